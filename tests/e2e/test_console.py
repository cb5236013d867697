"""Telemetry's console exporters: on stderr, where a user of OpenTelemetry looks for it."""

from __future__ import annotations

import signal
import subprocess

import pytest

from tests.e2e.bench import Bench, curl, reverse_curl
from tests.e2e.test_serve import serving
from tokenproxy.simulator.server import Simulator

CONSOLE = {"OTEL_TRACES_EXPORTER": "console", "OTEL_METRICS_EXPORTER": "console"}


def test_a_run_prints_them_when_the_command_has_ended(bench: Bench) -> None:
    line = f"{' '.join(reverse_curl()[2:])} >/dev/null; sleep 0.2; echo the command >&2; echo out"
    with Simulator("stream") as sim:
        env = {**CONSOLE, "ANTHROPIC_BASE_URL": sim.url, "OTEL_BSP_SCHEDULE_DELAY": "50"}
        run = bench.tokenproxy("run", "--", "sh", "-c", line, env=env)
    assert (run.returncode, run.stdout) == (0, b"out\n")
    said = run.stderr.decode()
    before, _, after = said.partition("the command\n")
    assert before == ""
    assert '"name": "chat claude-opus-5-5"' in after
    assert '"name": "invoke_agent sh"' in after
    assert '"name": "tokenproxy.usage.tokens"' in after
    assert after.splitlines()[-1].startswith("tokenproxy: 1 call ")
    assert not list(bench.state.glob("runs/*")), "nothing is left"


@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full", "2>/dev/null"])
def test_a_stderr_that_takes_nothing_is_no_fault(bench: Bench, where: str) -> None:
    words = ["sh", "-c", f'exec "$@" {where}', "sh", *bench.argv("run", "--", "echo", "ran")]
    run = subprocess.run(
        words, env={**bench.env, **CONSOLE}, stdout=subprocess.PIPE, check=False, timeout=60
    )
    assert (run.returncode, run.stdout) == (0, b"ran\n")


def test_a_gateway_prints_them_as_they_come(bench: Bench) -> None:
    bench.env.update(CONSOLE, OTEL_BSP_SCHEDULE_DELAY="50")
    with Simulator("stream") as sim, serving(bench, sim) as (gateway, url, _):
        subprocess.run(curl(f"{url}/v1/messages"), check=True, capture_output=True)
        assert gateway.stderr is not None
        while b'"name": "chat claude-opus-5-5"' not in (line := gateway.stderr.readline()):
            assert line, "the gateway has ended"
        gateway.send_signal(signal.SIGTERM)
        assert gateway.wait(timeout=20) == 0
        assert b'"name": "tokenproxy.usage.tokens"' in gateway.stderr.read()
