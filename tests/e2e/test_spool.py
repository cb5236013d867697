"""``--otel-spool`` and ``otel replay`` as a user has them."""

from __future__ import annotations

import json
import stat
import time
from pathlib import Path

import pytest

from tests.e2e.bench import Bench, curl, reverse_curl
from tests.telemetry.otlp.collector import HANG, Collector
from tests.telemetry.receiver import OtlpReceiver
from tokenproxy.simulator.server import Simulator


def files(spool: Path) -> list[Path]:
    return sorted(spool.iterdir())


def test_a_dead_collector_costs_at_most_a_second_and_nothing_is_lost(bench: Bench) -> None:
    spool, stamp = bench.work / "spool", bench.work / "stamp"
    with Collector([HANG]) as hole, Simulator("plain") as sim:
        env = {
            "ANTHROPIC_BASE_URL": sim.url,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{hole.port}",
        }
        run = bench.tokenproxy(
            "run", "--otel-spool", "spool", "--",
            "sh", "-c", f"{reverse_curl()[2]}; sleep 1; touch {stamp}", env=env,
        )  # fmt: skip
        ended = time.time()
    assert run.returncode == 0
    assert ended - stamp.stat().st_mtime < 1.3
    assert run.stderr.count(b"the collector at") == 1
    assert f"kept in {spool} for `tokenproxy otel replay`".encode() in run.stderr
    assert stat.S_IMODE(spool.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in files(spool)} == {0o600}
    [row] = bench.rows()
    with OtlpReceiver() as receiver:
        sent = bench.tokenproxy("otel", "replay", "spool", "--endpoint", receiver.endpoint)
    assert sent.returncode == 0, sent.stderr
    assert sent.stdout.decode() == f"2 requests sent to {receiver.endpoint}\n"
    assert row["span_id"] in {span.span_id for span in receiver.spans}
    assert receiver.total("tokenproxy.calls") == 1
    assert files(spool) == []


def test_without_a_collector_and_with_none_to_replay_to(bench: Bench) -> None:
    env = {"TOKENPROXY_OTEL_SPOOL": str(bench.work / "spool")}
    with Simulator("plain") as sim:
        run = bench.tokenproxy(
            "run", "--", *reverse_curl(), env={**env, "ANTHROPIC_BASE_URL": sim.url}
        )
    assert b"telemetry" not in run.stderr
    assert len(files(bench.work / "spool")) == 2
    sent = bench.tokenproxy("otel", "replay", "--endpoint", "http://127.0.0.1:9", env=env)
    assert sent.returncode == 1
    assert (
        b"did not answer (Connection refused); 0 requests sent to http://127.0.0.1:9, 2 kept in"
        in sent.stderr
    )
    with OtlpReceiver() as receiver:
        env["OTEL_EXPORTER_OTLP_ENDPOINT"] = receiver.endpoint
        assert bench.tokenproxy("otel", "replay", env=env).returncode == 0
        again = bench.tokenproxy("otel", "replay", env=env)
    assert again.stdout == f"nothing waits in {bench.work / 'spool'}\n".encode()
    assert len(receiver.spans) == 2


def test_a_gateway_keeps_too(bench: Bench) -> None:
    with Simulator("plain") as sim:
        gateway = bench.start(
            "serve", "--listen", "127.0.0.1:0", "--otel-spool", "spool",
            "--route", f"api.anthropic.com={sim.url}",
        )  # fmt: skip
        assert gateway.stderr is not None
        port = gateway.stderr.readline().partition(b"http://127.0.0.1:")[2].partition(b",")[0]
        call = bench.tokenproxy(
            "run", "--", *curl(f"http://127.0.0.1:{port.decode()}/anthropic/v1/messages")
        )
        assert call.returncode == 0
        gateway.terminate()
        gateway.communicate(timeout=20)
    kept = [json.loads(path.read_text()) for path in files(bench.work / "spool")]
    assert {key for one in kept for key in one} == {"resourceSpans", "resourceMetrics"}


@pytest.mark.parametrize(
    "words", [("run", "--otel-spool", "file", "--", "true"), ("serve", "--otel-spool", "file")]
)
def test_a_spool_that_is_no_directory_is_refused(bench: Bench, words: tuple[str, ...]) -> None:
    (bench.work / "file").write_text("")
    refused = bench.tokenproxy(*words, env={"TOKENPROXY_LISTEN": "127.0.0.1:0"})
    assert refused.returncode == 2
    assert b"nothing can be kept in --otel-spool" in refused.stderr
    assert b"Traceback" not in refused.stderr


def test_replay_needs_a_directory(bench: Bench) -> None:
    refused = bench.tokenproxy("otel", "replay")
    assert refused.returncode == 2
    assert b"no directory: tokenproxy otel replay DIR" in refused.stderr
