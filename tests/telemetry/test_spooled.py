"""A run whose collector fails, with a spool: what is sent later is what would have arrived."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.telemetry import scene
from tests.telemetry.otlp.collector import DROP, HANG, Collector, answer
from tests.telemetry.receiver import OtlpReceiver
from tests.telemetry.test_pipeline import let_go_of_its_id
from tokenproxy.telemetry import pipeline
from tokenproxy.telemetry.pipeline import open_telemetry
from tokenproxy.telemetry.replay import replay
from tokenproxy.telemetry.spool import entries


@pytest.fixture(autouse=True)
def _no_variables_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("OTEL_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


def told(
    env: dict[str, str], state: Path, spool: Path | None, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, ...]:
    """What a run says at its end."""
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    sink = open_telemetry(env, scene.RUN, state=state, spool=spool)
    for call in scene.calls():
        sink.call(call, scene.row_of(call, scene.RUN))
    said = sink.finish(scene.END)
    let_go_of_its_id(sink)
    return said


def arrived(receiver: OtlpReceiver) -> tuple[list[str], list[str]]:
    """Spans and points, without their times of measuring."""

    def plain(one: Any) -> str:
        fields = dataclasses.asdict(one)
        fields["resource"] = {
            name: value
            for name, value in fields["resource"].items()
            if not name.startswith("telemetry.sdk")
        }
        for name in ("start_ns", "time_ns"):
            if "metric" in fields:
                fields.pop(name, None)
        fields["attributes"] = sorted(fields["attributes"].items())
        fields["resource"] = sorted(fields["resource"].items())
        return repr(fields)

    return sorted(map(plain, receiver.spans)), sorted(map(plain, receiver.metrics))


@pytest.fixture
def wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], list[str]]:
    """What arrives without a fault."""
    with monkeypatch.context() as alone, OtlpReceiver() as receiver:
        alone.setattr(pipeline, "DEADLINE_S", 30.0)
        env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
            "OTEL_EXPORTER_OTLP_TIMEOUT": "20000",
        }
        assert told(env, tmp_path / "state", None, alone) == ()
    return arrived(receiver)


FAULTS = {
    "refused": None,
    "closed": DROP,
    "black hole": HANG,
    "busy": answer("503 Busy", "retry-after: 30"),
    "too many": answer("429 Too Many", "retry-after: 1"),
    "unauthorized": answer("401 Unauthorized"),
    "redirect": answer("307 Elsewhere", "location: http://127.0.0.1:1/"),
    "garbage": b"garbage\r\n\r\n",
    "half an answer": b"HTTP/1.1 503 Bu",
    "huge": answer("500 Oh", body=b"x" * 3_000_000),
}


@pytest.mark.parametrize(
    ("fault", "protocol"), [*((fault, "http/protobuf") for fault in FAULTS), ("refused", "grpc")]
)
def test_what_was_kept_is_what_would_have_arrived(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wanted: tuple[list[str], list[str]],
    fault: str,
    protocol: str,
) -> None:
    spool = tmp_path / "spool"
    with Collector([FAULTS[fault] or DROP]) as collector:
        if fault == "refused":
            collector.__exit__()
        env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        }
        begun = time.thread_time()
        sentences = told(env, tmp_path / "state", spool, monkeypatch)
        assert time.thread_time() > begun
    [sentence] = sentences
    assert sentence.endswith(
        f"; spans and metrics of this run are kept in {spool} for `tokenproxy otel replay`"
    )
    with OtlpReceiver() as receiver:
        outcome = replay(spool, {}, receiver.endpoint)
    assert outcome.kept == 0
    assert arrived(receiver) == wanted
    assert entries(spool) == []


def test_without_a_collector_all_goes_to_the_spool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: tuple[list[str], list[str]]
) -> None:
    spool = tmp_path / "spool"
    assert told({}, tmp_path / "state", spool, monkeypatch) == ()
    with OtlpReceiver() as receiver:
        replay(spool, {}, receiver.endpoint)
    assert arrived(receiver) == wanted


def test_a_signal_that_is_off_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env = {"OTEL_METRICS_EXPORTER": "none"}
    assert told(env, tmp_path / "state", tmp_path / "spool", monkeypatch) == ()
    assert {entry.signal for entry in entries(tmp_path / "spool")} == {"traces"}


def test_what_arrives_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "DEADLINE_S", 30.0)
    with OtlpReceiver() as receiver:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint}
        assert told(env, tmp_path / "state", tmp_path / "spool", monkeypatch) == ()
    assert not (tmp_path / "spool").exists()


def test_a_spool_that_takes_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "spool").write_text("")
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    lost, why = told(env, tmp_path / "state", tmp_path / "spool", monkeypatch)
    assert lost.endswith("spans and metrics of this run were not delivered")
    assert why.startswith(f"telemetry: it cannot be kept in {tmp_path / 'spool'}: ")


def test_a_queue_that_overflows_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: tuple[list[str], list[str]]
) -> None:
    spool = tmp_path / "spool"
    with Collector([HANG]) as collector:
        env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}",
            "OTEL_BSP_MAX_QUEUE_SIZE": "2",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "2",
        }
        told(env, tmp_path / "state", spool, monkeypatch)
    with OtlpReceiver() as receiver:
        replay(spool, {}, receiver.endpoint)
    assert arrived(receiver) == wanted
