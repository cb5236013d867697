"""The sink on real OTLP: over HTTP and gRPC, and against collectors that are not there."""

from __future__ import annotations

import logging
import math
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import msgspec
import pytest

from tests.telemetry import scene
from tests.telemetry.receiver import OtlpReceiver
from tokenproxy.config import RunContext
from tokenproxy.telemetry.otlp.ways import OtlpSpans
from tokenproxy.telemetry.pipeline import DEADLINE_S, Telemetry, open_telemetry

PROTOCOLS: list[Literal["http", "grpc"]] = ["http", "grpc"]
NAMES = {"http": "http/protobuf", "grpc": "grpc"}
FAR_TOO_LONG_S = 5.0
"""An exporter that is waited for takes ten seconds; all else a busy machine may take."""


@pytest.fixture(autouse=True)
def _no_variables_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("OTEL_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture(params=PROTOCOLS)
def receiver(request: pytest.FixtureRequest) -> Iterator[OtlpReceiver]:
    with OtlpReceiver(request.param) as started:
        yield started


def environment(receiver: OtlpReceiver, **more: str) -> dict[str, str]:
    return {
        **os.environ,
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": NAMES[receiver.protocol],
        **more,
    }


def play(env: Mapping[str, str], state: Path, run: RunContext = scene.RUN) -> tuple[str, ...]:
    sink = open_telemetry(env, run, state=state)
    feed(sink, run)
    return sink.finish(scene.END)


def let_go_of_its_id(sink: Telemetry) -> None:
    """As its process's end does, where an export may still be under way."""
    assert sink._instance is not None
    sink._instance.release()


def feed(sink: Telemetry, run: RunContext = scene.RUN) -> None:
    for call in scene.calls():
        sink.call(call, scene.row_of(call, run))


def test_an_iteration_arrives_whole(receiver: OtlpReceiver, tmp_path: Path) -> None:
    assert play(environment(receiver), tmp_path) == ()
    assert len(receiver.spans) == 14
    parents = {span.span_id: span.parent_id for span in receiver.spans}
    assert parents[scene.ROOT] == scene.OUTER
    assert parents[scene.TURN_SPAN] == scene.ROOT
    assert parents[scene.AGENT_SPAN] == scene.TURN_SPAN
    assert {span.trace_id for span in receiver.spans} == {scene.TRACE}
    (retry,) = [span for span in receiver.spans if span.span_id == scene.call_span(5)]
    assert retry.kind == "CLIENT"
    assert (retry.start_ns, retry.end_ns) == (scene.at(5), scene.at(6))
    assert [(link.trace_id, link.span_id) for link in retry.links] == [
        ("1" * 32, "2" * 16),
        (scene.TRACE, scene.call_span(4)),
    ]
    assert retry.attributes["gen_ai.usage.input_tokens"] == 2 * 17_062
    assert retry.attributes["gen_ai.response.finish_reasons"] == ("end_turn",)
    assert [event.name for event in retry.events] == ["tokenproxy.usage.part"] * 2
    (root,) = [span for span in receiver.spans if span.span_id == scene.ROOT]
    assert (root.kind, root.status) == ("INTERNAL", "unset")
    assert {(span.scope, span.schema_url) for span in receiver.spans} == {
        ("tokenproxy", "https://opentelemetry.io/schemas/1.41.0")
    }


def test_the_measurements_that_arrive_add_up_to_the_rows(
    receiver: OtlpReceiver, tmp_path: Path
) -> None:
    play(environment(receiver), tmp_path)
    rows = [row for call in scene.calls() if (row := scene.row_of(call))]
    tokens = sum((row.input_tokens or 0) + (row.output_tokens or 0) for row in rows)
    assert receiver.total("tokenproxy.usage.tokens") == tokens
    assert receiver.total("tokenproxy.calls") == len(rows)
    assert receiver.total("tokenproxy.cost.usd_nanos") == sum(
        round((row.cost_usd or 0) * 1e9) for row in rows
    )
    for point in receiver.metrics:
        assert point.temporality == "delta"
        assert point.monotonic
        if point.instrument == "counter":
            assert isinstance(point.value, int)
    bounds = {point.bounds for point in receiver.metrics if point.unit == "{token}"}
    assert max(bounds, key=len)[-1] == 67_108_864


def test_who_sends_is_stable_and_the_user_s_words_win(
    receiver: OtlpReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(environment(receiver), tmp_path)
    play(environment(receiver), tmp_path)
    said = [span.resource for span in receiver.spans if span.span_id == scene.ROOT]
    assert said[0] == said[1]
    assert said[0]["service.name"] == "tokenproxy"
    assert len(said[0]["service.instance.id"]) == 36
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "team.id=blue,service.instance.id=mine")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "loop")
    play(environment(receiver), tmp_path)
    mine = receiver.spans[-1].resource
    assert (mine["service.name"], mine["service.instance.id"], mine["team.id"]) == (
        "loop",
        "mine",
        "blue",
    )


def test_each_signal_can_go_its_own_way(tmp_path: Path) -> None:
    with OtlpReceiver("http") as traces, OtlpReceiver("grpc") as metrics:
        env = {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{traces.endpoint}/v1/traces",
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": metrics.endpoint,
            "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "grpc",
        }
        assert play(env, tmp_path) == ()
        assert (len(traces.spans), len(traces.metrics)) == (14, 0)
        assert (len(metrics.spans), len(metrics.metrics) > 0) == (0, True)


def test_one_signal_alone(tmp_path: Path) -> None:
    with OtlpReceiver() as receiver:
        assert play(environment(receiver, OTEL_TRACES_EXPORTER="none"), tmp_path) == ()
        assert receiver.spans == []
        assert receiver.total("tokenproxy.calls") == 7
        receiver.metrics.clear()
        assert play(environment(receiver, OTEL_METRICS_EXPORTER="none"), tmp_path) == ()
        assert receiver.metrics == []
        assert len(receiver.spans) == 14


def test_the_user_s_temporality_and_histograms(tmp_path: Path) -> None:
    with OtlpReceiver() as receiver:
        variable = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
        play(environment(receiver, **{variable: "Cumulative"}), tmp_path)
        assert {point.temporality for point in receiver.metrics} == {"cumulative"}
        receiver.metrics.clear()
        play(environment(receiver, **{variable: "nonsense"}), tmp_path)
        assert {point.temporality for point in receiver.metrics} == {"delta"}


def test_headers_and_compression_are_the_user_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with OtlpReceiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=blue")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
        assert play(environment(receiver), tmp_path) == ()
        assert len(receiver.spans) == 14
        assert {request.headers["x-team"] for request in receiver.requests} == {"blue"}
        assert {request.path for request in receiver.requests} == {"/v1/traces", "/v1/metrics"}


def test_a_long_run_is_told_while_it_lasts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "50")
    with OtlpReceiver() as receiver:
        sink = open_telemetry(environment(receiver), scene.RUN, state=tmp_path)
        feed(sink)
        assert receiver.wait(lambda r: r.total("tokenproxy.calls") == 7 and len(r.spans) == 11)
        feed(sink)
        sink.finish(scene.END)
        assert receiver.total("tokenproxy.calls") == 14
        requests = [request for request in receiver.requests if request.path == "/v1/metrics"]
        assert len(requests) >= 2


# -- collectors that are not there -------------------------------------------------------


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(params=["refused", "black hole"])
def dead_port(request: pytest.FixtureRequest) -> Iterator[int]:
    if request.param == "refused":
        yield free_port()
        return
    with closing(socket.socket()) as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen()
        yield hole.getsockname()[1]


def is_black_hole(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """For how long the sink is ready to wait for its ways out, each time that it waits."""
    asked: list[float] = []

    class Waited(threading.Thread):
        def join(self, timeout: float | None = None) -> None:
            asked.append(math.inf if timeout is None else timeout)
            super().join(timeout)

    ours = SimpleNamespace(**{**vars(threading), "Thread": Waited})
    monkeypatch.setattr("tokenproxy.telemetry.pipeline.threading", ours)
    return asked


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_dead_collector_costs_a_second_once_and_a_sentence(
    protocol: str,
    dead_port: int,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    waits: list[float],
) -> None:
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://user:secret@127.0.0.1:{dead_port}/otlp",
        "OTEL_EXPORTER_OTLP_PROTOCOL": NAMES[protocol],
    }
    if protocol == "grpc":
        env["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{dead_port}"
    sink = open_telemetry(env, scene.RUN, state=tmp_path)
    began = time.monotonic()
    feed(sink)
    assert waits == []
    sentences = sink.finish(scene.END)
    assert time.monotonic() - began < FAR_TOO_LONG_S
    asked, waits[:] = waits[:], []
    assert asked
    assert max(asked) <= DEADLINE_S  # of all of them: they have one deadline
    [sentence] = sentences
    told = sentence.removeprefix(f"telemetry: the collector at http://127.0.0.1:{dead_port} ")
    assert told in {
        # gRPC does not tell what went out.
        "did not answer; spans and metrics of this run were not delivered",
        "did not answer (Connection refused); spans and metrics of this run were not delivered",
        "gave no answer within 800 ms; whether spans and metrics of this run arrived is not known",
    }
    assert ("gave no answer" in told) == (protocol == "http" and is_black_hole(dead_port))
    assert sink.finish(scene.END) == ()
    assert waits == []
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "")
    let_go_of_its_id(sink)


@pytest.mark.parametrize("finish", ["sink.finish(scene.END)", "pass"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_process_then_ends_at_once(
    protocol: str, finish: str, dead_port: int, tmp_path: Path
) -> None:
    code = (
        "import sys, time, pathlib\n"
        "from tests.telemetry import scene\n"
        "from tokenproxy.telemetry.pipeline import open_telemetry\n"
        f"env = {{'OTEL_EXPORTER_OTLP_ENDPOINT': 'http://127.0.0.1:{dead_port}',\n"
        f"        'OTEL_EXPORTER_OTLP_PROTOCOL': {NAMES[protocol]!r}}}\n"
        f"sink = open_telemetry(env, scene.RUN, state=pathlib.Path({str(tmp_path)!r}))\n"
        "for call in scene.calls(): sink.call(call, scene.row_of(call))\n"
        f"{finish}\n"
        "print(time.monotonic())\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert time.monotonic() - float(ended.stdout) < FAR_TOO_LONG_S
    assert ended.stderr == ""


def test_a_collector_that_refuses_is_quoted(tmp_path: Path) -> None:
    with OtlpReceiver(status=401) as receiver:
        assert play(environment(receiver), tmp_path) == (
            (
                f"telemetry: the collector at {receiver.endpoint} answered 401 Unauthorized; "
                "spans and metrics of this run were not delivered"
            ),
        )


def test_an_export_that_did_not_even_begin_in_time_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine under load the time may be up before an exporter was called."""
    monkeypatch.setattr("tokenproxy.telemetry.pipeline.DEADLINE_S", 0.0)
    held = threading.Event()
    shutdown = OtlpSpans.shutdown

    def late(spans: OtlpSpans) -> None:
        held.wait(20)
        shutdown(spans)

    monkeypatch.setattr(OtlpSpans, "shutdown", late)
    with OtlpReceiver() as receiver:
        env = environment(receiver, OTEL_METRICS_EXPORTER="none")
        sink = open_telemetry(env, scene.RUN, state=tmp_path)
        feed(sink)
        (sentence,) = sink.finish(scene.END)
        held.set()
    let_go_of_its_id(sink)
    assert sentence.endswith("did not answer; spans of this run were not delivered")


def test_what_arrived_is_not_called_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    with OtlpReceiver() as receiver:
        env = environment(receiver, OTEL_METRICS_EXPORTER="none")
        sink = open_telemetry(env, scene.RUN, state=tmp_path)
        feed(sink)
        assert receiver.wait(lambda r: len(r.spans) == 11)
        receiver.status = 403
        (sentence,) = sink.finish(scene.END)
    assert sentence.endswith("answered 403 Forbidden; some spans of this run were not delivered")


class Kept(logging.Handler):
    """A handler of the root logger, as the user's stderr would be one."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_sdk_s_own_log_goes_to_ours_as_a_detail(
    protocol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": NAMES[protocol],
        "OTEL_EXPORTER_OTLP_TIMEOUT": "300",
    }
    kept, root = Kept(), logging.getLogger()
    monkeypatch.setattr(root, "handlers", [kept])
    before = root.level
    root.setLevel(logging.DEBUG)
    try:
        play(env, tmp_path)
    finally:
        root.setLevel(before)
    ours = [record for record in kept.records if record.name.startswith("tokenproxy.telemetry")]
    assert any("Failed to export" in record.getMessage() for record in ours)
    assert all(record.levelno == logging.DEBUG for record in ours)
    assert not [record for record in kept.records if record.name.startswith("opentelemetry")]


def test_a_timeout_is_milliseconds_as_the_specification_says(tmp_path: Path) -> None:
    with closing(socket.socket()) as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen()
        env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{hole.getsockname()[1]}",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "100",
        }
        sink = open_telemetry(env, scene.RUN, state=tmp_path)
        feed(sink)
        (sentence,) = sink.finish(scene.END)
        assert " no answer within 100 ms; " in sentence


# -- what the environment may hold -------------------------------------------------------


def test_values_that_cannot_be_followed_are_said_and_cost_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with OtlpReceiver("grpc") as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "zstd")
        env = environment(receiver, OTEL_TRACES_EXPORTER="otlp,zipkin")
        sentences = play(os.environ | env, tmp_path)
        assert len(receiver.spans) == 14
    assert sentences == (
        (
            "telemetry: OTEL_TRACES_EXPORTER names 'zipkin', which is not supported; "
            "use otlp, console or none"
        ),
        (
            'telemetry: metrics are off for this run: Invalid value "zstd" for compression envvar '
            "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION"
        ),
    )


def test_a_limit_that_is_no_number_costs_the_spans_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "many")
    with OtlpReceiver() as receiver:
        (sentence,) = play(environment(receiver), tmp_path)
        assert "traces are off for this run" in sentence
        assert receiver.total("tokenproxy.calls") == 7


def test_a_certificate_that_is_not_there_costs_its_signal_only(tmp_path: Path) -> None:
    with OtlpReceiver() as receiver:
        env = environment(
            receiver,
            OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="https://127.0.0.1:1/v1/traces",
            OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE="/not/there.pem",
        )
        assert play(env, tmp_path) == (
            ("telemetry: traces are off for this run: /not/there.pem: No such file or directory"),
        )
        assert receiver.total("tokenproxy.calls") == 7


def test_the_console_is_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    env = {"OTEL_TRACES_EXPORTER": "console", "OTEL_METRICS_EXPORTER": "console"}
    assert play(env, tmp_path) == ()
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "invoke_agent general-purpose" in printed.err
    assert "tokenproxy.usage.tokens" in printed.err


def test_the_user_s_proxy_is_honoured_and_ours_is_not_in_our_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with OtlpReceiver() as proxy:
        monkeypatch.setenv("http_proxy", proxy.endpoint)
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.test:4318"}
        assert play(os.environ | env, tmp_path) == ()
        assert {request.path for request in proxy.requests} == {
            "http://collector.test:4318/v1/traces",
            "http://collector.test:4318/v1/metrics",
        }
        proxy.requests.clear()
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with OtlpReceiver() as receiver:
            assert play(environment(receiver), tmp_path) == ()
            assert len(receiver.spans) == 14
        assert proxy.requests == []


def test_a_sampler_that_drops_leaves_the_measurements(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with OtlpReceiver() as receiver:
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
        assert play(environment(receiver), tmp_path) == ()
        assert receiver.spans == []
        assert receiver.total("tokenproxy.calls") == 7


def test_the_other_dialect_on_the_wire(tmp_path: Path) -> None:
    variable = "OTEL_SEMCONV_STABILITY_OPT_IN"
    with OtlpReceiver() as receiver:
        play(environment(receiver, **{variable: "gen_ai_latest_experimental"}), tmp_path)
        (call,) = [span for span in receiver.spans if span.span_id == scene.call_span(1)]
        assert call.attributes["gen_ai.usage.cache_write.input_tokens"] == 2_050
        assert call.schema_url == "https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev"
        assert receiver.total("gen_ai.client.inference.usage.input_tokens") == 7 * 17_062


def test_a_fault_of_ours_is_ours_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with OtlpReceiver() as receiver:
        sink = open_telemetry(environment(receiver), scene.RUN, state=tmp_path)
        broken = scene.calls()[0]
        start = msgspec.structs.replace(broken.start, span_id="not hex")
        sink.call(msgspec.structs.replace(broken, start=start), None)
        feed(sink)
        assert sink.finish(scene.END) == ()
        assert len(receiver.spans) == 14
    assert "is missing in telemetry" in caplog.text


def test_a_gateway_s_quiet_turns_are_told_without_waiting_for_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tokenproxy.telemetry.pipeline._SWEEP_S", 0.02)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    run = msgspec.structs.replace(scene.RUN, gateway=True, parent_span_id=None)
    with OtlpReceiver() as receiver:
        sink = open_telemetry(environment(receiver), run, state=tmp_path)
        feed(sink, run)
        # The scene lies in the past, longer ago than a turn may be quiet.
        roles = ("turn", "agent")
        assert receiver.wait(
            lambda r: (
                len([s for s in r.spans if s.attributes["tokenproxy.span.role"] in roles]) == 2
            )
        )
        feed(sink, run)
        sink.finish(None)
        assert len([s for s in receiver.spans if s.span_id == scene.TURN_SPAN]) == 1
