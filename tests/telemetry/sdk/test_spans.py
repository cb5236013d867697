"""Spans made whole, held to those that the SDK starts and ends."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    ParentBased,
    Sampler,
    TraceIdRatioBased,
)

from tests.telemetry import scene
from tests.telemetry.memory import Memory
from tokenproxy.config import RunContext
from tokenproxy.telemetry.sdk.spans import SdkSpans
from tokenproxy.telemetry.semconv import GENAI_MAIN, V1_41, Semconv

ODD = msgspec.structs.replace(
    scene.RUN,
    labels={"l\udcff": "v\udcff", "t": "\N{GREEK SMALL LETTER TAU}"},
    parent_span_id=None,
)
GATEWAY = msgspec.structs.replace(scene.RUN, gateway=True, parent_span_id=None)
FLAGS_OFF = msgspec.structs.replace(scene.RUN, trace_flags=0)


def played(run: RunContext, dialect: Semconv, sampler: Sampler | None) -> list[Any]:
    return [plain(span) for span in Memory(run, dialect, sampler=sampler).play(scene.calls()).spans]


def plain(span: ReadableSpan) -> Any:
    return (
        span.to_json(),
        span.kind,
        span.context,
        span.parent,
        repr(span.status.status_code),
        span.status.description,
        span.instrumentation_scope,
        dict(span.attributes or {}),
        (span.dropped_attributes, span.dropped_events, span.dropped_links),
    )


@pytest.mark.parametrize("dialect", [V1_41, GENAI_MAIN])
@pytest.mark.parametrize("run", [scene.RUN, ODD, GATEWAY, FLAGS_OFF])
@pytest.mark.parametrize(
    "sampler", [None, ALWAYS_ON, ALWAYS_OFF, ParentBased(ALWAYS_OFF), TraceIdRatioBased(0.5)]
)
def test_a_span_is_the_same_however_it_is_made(
    run: RunContext, dialect: Semconv, sampler: Sampler | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = played(run, dialect, sampler)
    monkeypatch.setattr(SdkSpans, "_fits", lambda *_: False)
    assert whole == played(run, dialect, sampler)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "5"),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "5"),
        ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "4"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "4"),
    ],
)
def test_the_users_limits_hold(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    free = Memory().play(scene.calls()).spans
    monkeypatch.setenv(variable, value)
    for span, whole in zip(Memory().play(scene.calls()).spans, free, strict=True):
        attributes = dict(span.attributes or {})
        assert attributes != dict(whole.attributes or {})
        if "COUNT" in variable:
            assert len(attributes) == 5
        else:
            assert all(len(each) <= 4 for each in attributes.values() if isinstance(each, str))
