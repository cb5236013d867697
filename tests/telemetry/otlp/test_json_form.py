"""OTLP in JSON: nothing is lost on the way there and back, and Google's reader agrees."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import pytest
from google.protobuf import json_format  # type: ignore[import-untyped] # it has no stubs
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_service
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_service
from opentelemetry.proto.metrics.v1 import metrics_pb2

from tests.telemetry.otlp.strategies import METRICS, RESOURCES, TEXT, spans
from tokenproxy.telemetry.measured import Metric
from tokenproxy.telemetry.otlp import schema
from tokenproxy.telemetry.otlp.json_form import NotOtlpError, to_json, to_protobuf
from tokenproxy.telemetry.otlp.metrics import MetricWriter
from tokenproxy.telemetry.otlp.request import Frame
from tokenproxy.telemetry.otlp.spans import SpanWriter
from tokenproxy.telemetry.span import Span
from tokenproxy.telemetry.switch import Signal

MESSAGES: dict[Signal, Any] = {
    "traces": trace_service.ExportTraceServiceRequest,
    "metrics": metrics_service.ExportMetricsServiceRequest,
}
LEFT_OUT = {
    "gauge", "summary", "entityRefs", "stringValueStrindex", "keyStrindex",
}  # fmt: skip
"""Fields that are never sent from here."""


def by_google(signal: Signal, line: bytes) -> Any:
    """The request as Google's reader has it; to that ids are base64."""

    def ids(value: Any) -> Any:
        if isinstance(value, list):
            return [ids(item) for item in value]
        if not isinstance(value, dict):
            return value
        return {
            name: base64.b64encode(bytes.fromhex(item)).decode()
            if name in ("traceId", "spanId", "parentSpanId")
            else ids(item)
            for name, item in value.items()
        }

    return json_format.ParseDict(ids(json.loads(line)), MESSAGES[signal]())


@settings(max_examples=60, deadline=None)
@given(st.lists(spans(), max_size=3), RESOURCES, TEXT)
def test_spans(found: list[Span], resource: dict[str, str], name: str) -> None:
    writer = SpanWriter()
    request = Frame(resource, name, "1", "url").request([writer.write(span) for span in found])
    line = to_json("traces", request)
    assert b"\n" not in line
    assert to_protobuf("traces", line) == request
    assert by_google("traces", line) == MESSAGES["traces"].FromString(request)


@settings(max_examples=60, deadline=None)
@given(st.lists(METRICS, max_size=3), RESOURCES)
def test_metrics(found: list[Metric], resource: dict[str, str]) -> None:
    writer = MetricWriter()
    request = Frame(resource, "n", "1", "url").request([writer.write(metric) for metric in found])
    line = to_json("metrics", request)
    assert to_protobuf("metrics", line) == request
    assert by_google("metrics", line) == MESSAGES["metrics"].FromString(request)


def test_exponential_histograms_and_no_numbers() -> None:
    point = metrics_pb2.ExponentialHistogramDataPoint(
        scale=-3, zero_count=2, sum=math.inf, min=-math.inf, zero_threshold=0.5
    )
    point.positive.offset = -7
    point.positive.bucket_counts.extend([1, 0, 300])
    metric = metrics_pb2.Metric(name="m")
    metric.exponential_histogram.data_points.append(point)
    made = MESSAGES["metrics"]()
    made.resource_metrics.add().scope_metrics.add().metrics.append(metric)
    request = made.SerializeToString()
    line = to_json("metrics", request)
    assert b'"Infinity"' in line
    assert to_protobuf("metrics", line) == request
    assert by_google("metrics", line) == made


@given(st.binary(max_size=60))
def test_other_bytes_are_refused_or_read(garbage: bytes) -> None:
    try:
        line = to_json("traces", garbage)
    except NotOtlpError:
        return
    json.loads(line)
    to_protobuf("traces", line)


@pytest.mark.parametrize(
    "line",
    [
        b"", b"[]", b"7", b"{", b'{"resourceLogs":[]}', b'{"resourceSpans":7}',
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"zz"}]}]}]}',
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":"-1"}]}]}]}',
        b'{"resourceSpans":[{"resource":{"attributes":[{"key":7}]}}]}',
        b'{"resourceSpans":' + b"[" * 3000, b"\xff",
    ],
)  # fmt: skip
def test_other_lines_are_refused(line: bytes) -> None:
    with pytest.raises(NotOtlpError):
        to_protobuf("traces", line)


def test_the_table_is_what_google_says() -> None:
    """Every field that there is, with its number, its name and its kind."""
    seen: set[str] = set()

    def check(descriptor: Any) -> None:
        if descriptor.name in seen:
            return
        seen.add(descriptor.name)
        ours = {field.number: field for field in schema.fields_of(descriptor.name)}
        theirs = {field.number: field for field in descriptor.fields}
        assert {theirs[number].json_name for number in theirs.keys() - ours.keys()} <= LEFT_OUT
        for number, field in ours.items():
            their = theirs[number]
            assert (field.name, field.repeated) == (their.json_name, their.is_repeated)
            if field.message:
                assert their.message_type.name == field.kind
                check(their.message_type)
            else:
                kind = "bytes" if field.kind == "id" else field.kind
                assert their.type == getattr(their, f"TYPE_{kind.upper()}") or (
                    kind == "int32" and their.type == their.TYPE_ENUM
                )

    for message in MESSAGES.values():
        check(message.DESCRIPTOR)
    assert seen == set(schema.messages())
