"""What is said of variables that cannot be followed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.telemetry import scene
from tests.telemetry.receiver import OtlpReceiver
from tokenproxy.telemetry import switch
from tokenproxy.telemetry.pipeline import open_telemetry
from tokenproxy.telemetry.problems import problems

OTLP = "OTEL_EXPORTER_OTLP_"
ENDPOINT = f"{OTLP}ENDPOINT"
HERE = {ENDPOINT: "http://127.0.0.1:4318"}


@pytest.mark.parametrize(
    ("endpoint", "shown", "instead"),
    [
        ("http://", " ('http://')", "http://HOST:4318"),
        ("localhost", " ('localhost')", "http://localhost:4318"),
        ("localhost:4318", " ('localhost:4318')", "http://localhost:4318"),
        (
            "localhost:4317",
            " ('localhost:4317')",
            "http://localhost:4317, and OTEL_EXPORTER_OTLP_PROTOCOL=grpc for gRPC's port",
        ),
        ("ftp://x", " ('ftp://x')", "http://HOST:4318"),
        ("unix:///run/collector", " ('unix:///run/collector')", "http://HOST:4318"),
        ("http://a b", " ('http://a b')", "http://HOST:4318"),
        ("http://a:99999", " ('http://a:99999')", "http://HOST:4318"),
        ("http://a:0", " ('http://a:0')", "http://HOST:4318"),
        ("http://[::1", " ('http://[::1')", "http://HOST:4318"),
        ("http://me:secret/@", "", "http://HOST:4318"),
        ("me:secret@host:4318", "", "http://HOST:4318"),
        ("host:4318?key=secret", " ('host:4318')", "http://HOST:4318"),
    ],
)
def test_an_endpoint_that_names_no_server(endpoint: str, shown: str, instead: str) -> None:
    env = {ENDPOINT: endpoint}
    assert problems(env) == (
        (
            f"telemetry: {ENDPOINT} is no http:// or https:// URL{shown}, so nothing is sent"
            f" there; write {instead}"
        ),
    )
    assert switch.enabled(env), "it must be said"
    assert not any(switch.choose(env, signal).exporters for signal in switch.SIGNALS)
    assert switch.any_spooled(env), "a spool takes what has nowhere to go"
    own = {f"{OTLP}TRACES_ENDPOINT": endpoint, **HERE}
    (said,) = problems(own)
    assert f"{OTLP}TRACES_ENDPOINT is no " in said
    assert switch.choose(own, "metrics").exporters == ("otlp",)


@pytest.mark.parametrize(
    "endpoint",
    ["localhost:4317", "collector", "http://c", "https://c:1", "unix:/run/c", "dns:///c:4317"],
)
def test_grpc_has_names_of_its_own(endpoint: str) -> None:
    assert problems({ENDPOINT: endpoint, f"{OTLP}PROTOCOL": "grpc"}) == ()


@pytest.mark.parametrize("endpoint", ["ftp://x", "http://", "a b:4317", "c:port"])
def test_and_not_all_are(endpoint: str) -> None:
    assert len(problems({ENDPOINT: endpoint, f"{OTLP}PROTOCOL": "grpc"})) == 1


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("TIMEOUT", "abc", "is 'abc', which is no number of milliseconds above 0; 2000 is used"),
        ("TIMEOUT", "0", "is '0', which is no number of milliseconds above 0; 2000 is used"),
        ("TIMEOUT", "-1", "is '-1', which is no"),
        ("TRACES_TIMEOUT", "1.5", "is '1.5', which is no"),
        ("TIMEOUT", "9" * 100, f"is '{'9' * 60}…', which is no"),
        ("HEADERS", "secret", "has an entry that is not name=value and is not sent; separate"),
        ("METRICS_HEADERS", "a=b,se cret=c", "has an entry that is not name=value"),
        ("COMPRESSION", "zstd", "is 'zstd', which is not supported; none is used (or set it to"),
        ("PROTOCOL", "http/json", "is 'http/json', which is not supported; http/protobuf is used"),
        ("METRICS_TEMPORALITY_PREFERENCE", "sum", "delta is used (or set it to cumulative or"),
    ],
)  # fmt: skip
def test_a_value_that_is_none(variable: str, value: str, said: str) -> None:
    (sentence,) = problems({**HERE, OTLP + variable: value})
    assert sentence.startswith(f"telemetry: {OTLP}{variable} ")
    assert said in sentence
    assert "secret" not in sentence
    assert problems({OTLP + variable: value}) == (), "telemetry is off"


@pytest.mark.parametrize("name", ["OTEL_METRIC_EXPORT_INTERVAL", "OTEL_METRIC_EXPORT_TIMEOUT"])
@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan", "inf"])
def test_an_interval_that_is_none(name: str, value: str) -> None:
    (sentence,) = problems({**HERE, name: value})
    assert sentence.startswith(f"telemetry: {name} is {value!r}, which is no number")


def test_a_time_of_its_own_that_is_none_leaves_the_one_for_all() -> None:
    env = {**HERE, f"{OTLP}TIMEOUT": "500", f"{OTLP}TRACES_TIMEOUT": "x"}
    assert switch.timeout_s(env, "traces") == 0.5
    (sentence,) = problems(env)
    assert sentence.endswith("500 is used")


def test_what_can_be_followed_is_not_complained_of() -> None:
    assert problems({}) == ()
    env = {
        **HERE,
        f"{OTLP}TIMEOUT": "100",
        f"{OTLP}HEADERS": "a=b, c = d%20e,,",
        f"{OTLP}COMPRESSION": " GZIP ",
        f"{OTLP}PROTOCOL": "http/protobuf",
        f"{OTLP}METRICS_TEMPORALITY_PREFERENCE": "LowMemory",
        "OTEL_METRIC_EXPORT_INTERVAL": "5000",
    }
    assert problems(env) == ()


@given(st.text(max_size=30), st.sampled_from(["ENDPOINT", "HEADERS", "TIMEOUT", "PROTOCOL"]))
def test_no_value_makes_it_stumble(value: str, variable: str) -> None:
    for sentence in problems({**HERE, OTLP + variable: value}):
        assert sentence.startswith("telemetry: OTEL_")


def test_a_signal_without_a_server_costs_the_other_nothing(tmp_path: Path) -> None:
    with OtlpReceiver() as receiver:
        env = {ENDPOINT: receiver.endpoint, f"{OTLP}TRACES_ENDPOINT": "localhost:4318"}
        sink = open_telemetry(env, scene.RUN, state=tmp_path)
        for call in scene.calls():
            sink.call(call, scene.row_of(call))
        (sentence,) = sink.finish(scene.END)
        assert receiver.total("tokenproxy.calls") == 7
        assert receiver.spans == []
    assert "TRACES_ENDPOINT is no http://" in sentence


def test_what_the_sdk_complains_of_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "xray")
    with OtlpReceiver() as receiver:
        env = {ENDPOINT: receiver.endpoint, "OTEL_TRACES_SAMPLER": "xray"}
        sink = open_telemetry(env, scene.RUN, state=tmp_path)
        for call in scene.calls():
            sink.call(call, scene.row_of(call))
        (sentence,) = sink.finish(scene.END)
        assert len(receiver.spans) == 14
    assert sentence.startswith("telemetry: OpenTelemetry's SDK: ")
    assert "xray" in sentence
