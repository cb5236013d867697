"""`tokenproxy serve`: one port, both ways, many sessions."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from tests.e2e.bench import Bench, curl, wait_until
from tokenproxy.simulator.server import Simulator


@contextmanager
def serving(
    bench: Bench, sim: Simulator, *words: str
) -> Iterator[tuple[subprocess.Popen[bytes], str, str]]:
    """A gateway in front of ``sim``: its process, its URL, its CA's path."""
    listen = words or ("--listen", "127.0.0.1:0")
    process = bench.start("serve", *listen, "--route", f"api.anthropic.com={sim.url}")
    assert process.stderr is not None
    try:
        said = b"".join(process.stderr.readline() for _ in range(3)).decode()
        url = re.search(r"listening on (\S+),", said)
        ca = re.search(r"NODE_EXTRA_CA_CERTS=(\S+)", said)
        assert url, said
        assert ca, said
        yield process, url[1], ca[1]
    finally:
        process.kill()
        process.communicate(timeout=10)


def test_both_ways_and_a_clean_end(bench: Bench) -> None:
    turn = ("-H", "x-claude-code-session-id: s", "-H", "x-claude-code-prompt-id: t1")
    with Simulator("stream") as sim, serving(bench, sim) as (gateway, url, ca):
        for words in (
            curl(f"{url}/anthropic/v1/messages", *turn),
            curl(f"{url}/v1/messages?beta=true", *turn),
            curl("https://api.anthropic.com/v1/messages", "-x", url, "--cacert", ca),
        ):
            got = subprocess.run(words, capture_output=True, check=True, timeout=20)
            assert got.stdout == bytes(sim.calls[-1].sent)
        gateway.send_signal(signal.SIGTERM)
        assert gateway.wait(timeout=10) == 0
        assert gateway.stderr is not None
        assert b"3 calls" in gateway.stderr.read()
    first, second, third = bench.rows()
    assert all(row["outcome"] == "complete" and row["iteration"] == 0 for row in bench.rows())
    assert len({row["run_id"] for row in bench.rows()}) == 1
    assert first["trace_id"] == second["trace_id"] != third["trace_id"], "a trace is one turn's"
    assert bench.journals() == []


@pytest.mark.parametrize("closed", ["<&-", "<&- >&-", "<&- >&- 2>&-"])
def test_standard_streams_may_be_closed(bench: Bench, closed: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        place = f"127.0.0.1:{free.getsockname()[1]}"
    words = ["sh", "-c", f'exec "$@" {closed}', "sh", *bench.argv("serve", "--listen", place)]
    gateway = subprocess.Popen(words, env=bench.env)
    try:
        asking = ["curl", "-sf", "--retry", "30", "--retry-connrefused", "--retry-delay", "1"]
        subprocess.run([*asking, f"http://{place}/healthz"], check=True, timeout=60)
        gateway.send_signal(signal.SIGTERM)
        assert gateway.wait(timeout=20) == 0
    finally:
        gateway.kill()
        gateway.wait(timeout=10)


def test_open_calls_are_accounted_for_at_the_end(bench: Bench) -> None:
    with Simulator("stall") as sim, serving(bench, sim) as (gateway, url, _):
        client = subprocess.Popen(curl(f"{url}/v1/messages"), stdout=subprocess.DEVNULL)
        sim.wait_for(lambda s: bool(s.calls and s.calls[0].known))
        gateway.send_signal(signal.SIGTERM)
        gateway.wait(timeout=10)
        client.wait(timeout=10)
    (row,) = bench.rows()
    assert (row["outcome"], row["error"], row["success"]) == ("lost", "proxy_stopped", False)
    assert row["completeness"] == "partial"
    assert row["input_tokens"] == 17_060


def test_where_others_reach_it_it_is_asked_for_and_serves_model_apis_alone(bench: Bench) -> None:
    with (
        Simulator("stream") as sim,
        serving(bench, sim, "--listen", "0.0.0.0:0", "--allow-remote", "--no-token") as (
            gateway,
            url,
            _,
        ),
    ):
        here = url.replace("0.0.0.0", "127.0.0.1")
        for words in (curl(f"{here}/v1/messages"), curl(f"{sim.url}/v1/messages", "-x", here)):
            subprocess.run(words, capture_output=True, check=True, timeout=20)
        assert len(sim.calls) == 1
        gateway.send_signal(signal.SIGTERM)
        assert gateway.wait(timeout=10) == 0
    assert len(bench.rows()) == 1


@pytest.mark.parametrize(
    "words",
    [
        ["--listen", "0.0.0.0:0"],
        ["--listen", "nonsense"],
        ["--listen", "127.0.0.1:99999"],
        ["--route", "x"],
        ["--label", "x"],
        ["--ledger", "/proc/x/y"],
        ["surplus"],
    ],
)
def test_bad_input(bench: Bench, words: list[str]) -> None:
    run = bench.tokenproxy("serve", *words)
    assert run.returncode == 2
    assert run.stderr.count(b"\n") == 1, run.stderr
    assert b"Traceback" not in run.stderr


def test_a_gateway_does_not_go_through_itself(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        place = f"127.0.0.1:{free.getsockname()[1]}"
    for proxy in (f"http://{place}", f"http://{place.replace('127.0.0.1', 'localhost')}"):
        run = bench.tokenproxy("serve", "--listen", place, env={"HTTPS_PROXY": proxy})
        assert run.returncode == 2
        assert b"HTTPS_PROXY names this gateway itself" in run.stderr
        assert run.stderr.count(b"\n") == 1


def test_workers_share_a_port_and_nothing_else(bench: Bench) -> None:
    words = ("--listen", "127.0.0.1:0", "--workers", "3")
    with Simulator("stream") as sim, serving(bench, sim, *words) as (gateway, url, _):
        workers = psutil.Process(gateway.pid).children()
        assert len(workers) == 3
        ask = curl(f"{url}/v1/messages")
        for _ in range(24):
            got = subprocess.run(ask, capture_output=True, check=True, timeout=20)
            assert got.stdout == bytes(sim.calls[-1].sent)
        # A worker that is killed before it has settled leaves a row that says so.
        wait_until(lambda: len(bench.rows()) == 24)
        served = {row["run_id"] for row in bench.rows()}
        assert len(served) > 1, "the kernel deals connections out"

        workers[0].kill()
        for _ in range(12):
            subprocess.run([*ask, "--retry", "3"], capture_output=True, check=True, timeout=20)
        gateway.send_signal(signal.SIGTERM)
        assert gateway.wait(timeout=20) == 0
        assert gateway.stderr is not None
        said = gateway.stderr.read().decode()
    rows = bench.rows()
    assert len(rows) == len(sim.calls) >= 36
    assert len({row["call_id"] for row in rows}) == len(rows)
    assert {row["outcome"] for row in rows} == {"complete"}
    assert f"{len(rows)} calls" in said
    assert bench.journals() == []


def test_a_port_that_a_gateway_with_workers_has_is_taken(bench: Bench) -> None:
    words = ("--listen", "127.0.0.1:0", "--workers", "2")
    with Simulator("plain") as sim, serving(bench, sim, *words) as (_, url, _):
        second = bench.tokenproxy(
            "serve", "--workers", "2", "--listen", url.removeprefix("http://")
        )
        assert second.returncode == 2
        assert b"choose another port" in second.stderr
