"""A run by both ways out: what arrives is the same."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.telemetry import scene
from tests.telemetry.receiver import OtlpReceiver
from tokenproxy.config import RunContext
from tokenproxy.telemetry import pipeline
from tokenproxy.telemetry.otlp import fit
from tokenproxy.telemetry.pipeline import open_telemetry

ODD = msgspec.structs.replace(
    scene.RUN,
    labels={"l\udcff": "v\udcff", "t": "\N{GREEK SMALL LETTER TAU}", **dict.fromkeys("abc", "x")},
    tracestate=None,
)
MANY = msgspec.structs.replace(
    scene.RUN, labels={f"label{number}": "x" for number in range(150)}, tracestate="a=1,b=2"
)
GATEWAY = msgspec.structs.replace(scene.RUN, gateway=True, parent_span_id=None)
UNSAMPLED = msgspec.structs.replace(scene.RUN, trace_flags=0)
NO_TIMES = ("start_ns", "time_ns")


@pytest.fixture(autouse=True)
def _no_variables_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("OTEL_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


def sent(
    run: RunContext, env: dict[str, str], state: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Any, Any]:
    """What a collector got of the scene: spans by id, and points by what they are of."""
    monkeypatch.setattr(pipeline, "DEADLINE_S", 30.0)  # a busy machine is no difference
    with OtlpReceiver() as receiver:
        whole = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
            "OTEL_EXPORTER_OTLP_TIMEOUT": "20000",
            **env,
        }
        for name, value in whole.items():
            monkeypatch.setenv(name, value)
        sink = open_telemetry(whole, run, state=state)
        for call in scene.calls():
            sink.call(call, scene.row_of(call, run))
        assert sink.finish(scene.END) == ()
    spans = sorted((without_sdk(dataclasses.asdict(span)) for span in receiver.spans), key=repr)
    points = [without_sdk(dataclasses.asdict(point)) for point in receiver.metrics]
    for point in points:
        for name in NO_TIMES:
            del point[name]
        point["attributes"] = sorted(point["attributes"].items())
    return spans, sorted(points, key=repr)


def without_sdk(told: dict[str, Any]) -> dict[str, Any]:
    """Without what names the SDK, in which they differ."""
    told["resource"] = {
        name: value
        for name, value in told["resource"].items()
        if not name.startswith("telemetry.sdk.")
    }
    return told


@pytest.mark.parametrize(
    "env",
    [
        {},
        {"OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental"},
        {"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "cumulative"},
        {"OTEL_TRACES_SAMPLER": "always_on"},
        {"OTEL_TRACES_SAMPLER": "parentbased_always_off"},
        {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.5"},
        {"OTEL_RESOURCE_ATTRIBUTES": "team.id=blue", "OTEL_SERVICE_NAME": "loop"},
        {"OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "run",
    [scene.RUN, ODD, MANY, GATEWAY, UNSAMPLED],
    ids=["plain", "odd", "many", "gateway", "unsampled"],
)
def test_what_arrives_is_the_same(
    run: RunContext, env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = sent(run, env, tmp_path, monkeypatch)
    monkeypatch.setattr(fit, "fits", lambda _: False)
    theirs = sent(run, env, tmp_path, monkeypatch)
    assert ours[1]
    assert ours == theirs


@pytest.mark.parametrize(
    ("more", "loaded"), [({}, False), ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, True)]
)
def test_the_sdk_is_loaded_for_what_only_it_does(
    more: dict[str, str], tmp_path: Path, *, loaded: bool
) -> None:
    code = (
        "import pathlib, sys\n"
        "from tests.telemetry import scene\n"
        "from tokenproxy.telemetry.pipeline import open_telemetry\n"
        f"env = {{'OTEL_EXPORTER_OTLP_ENDPOINT': 'http://127.0.0.1:9', **{more!r}}}\n"
        f"sink = open_telemetry(env, scene.RUN, state=pathlib.Path({str(tmp_path)!r}))\n"
        "for call in scene.calls(): sink.call(call, scene.row_of(call))\n"
        "sink.finish(scene.END)\n"
        "heavy = ('opentelemetry', 'google', 'requests', 'urllib3', 'grpc')\n"
        "print(*[name for name in heavy if name in sys.modules])\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert bool(ended.stdout.split()) is loaded
