"""Our OTLP, held to what the SDK's encoder makes of the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from tests.telemetry.otlp.strategies import METRICS, RESOURCES, spans
from tokenproxy import __version__
from tokenproxy.telemetry.measured import Metric
from tokenproxy.telemetry.otlp import attributes
from tokenproxy.telemetry.otlp import spans as spans_module
from tokenproxy.telemetry.otlp.metrics import MetricWriter
from tokenproxy.telemetry.otlp.request import Frame
from tokenproxy.telemetry.otlp.spans import LIMIT, SpanWriter
from tokenproxy.telemetry.sdk.ids import GivenIds
from tokenproxy.telemetry.sdk.measured import metrics_data
from tokenproxy.telemetry.sdk.spans import SdkSpans
from tokenproxy.telemetry.semconv import SCOPE, V1_41
from tokenproxy.telemetry.span import Attributes, Event, Link, Shared, Span, SpanContext

SPAN_WRITER, METRIC_WRITER = SpanWriter(), MetricWriter()
"""The same for all examples: what they have in mind must not get in one another's way."""


def frame(resource: Mapping[str, str]) -> Frame:
    return Frame(resource, SCOPE, __version__, V1_41.schema_url)


def sdk_spans(told: Sequence[Span], resource: Mapping[str, str]) -> list[ReadableSpan]:
    """The same spans, as the SDK makes them."""
    exporter, ids = InMemorySpanExporter(), GivenIds()
    provider = TracerProvider(
        sampler=ALWAYS_ON,
        resource=Resource(dict(resource)),
        id_generator=ids,
        shutdown_on_exit=False,
    )
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    taker = SdkSpans(provider, V1_41, ids)
    for span in told:
        taker.take(span)
    return list(exporter.get_finished_spans())


def same_spans(told: Sequence[Span], resource: Mapping[str, str]) -> ExportTraceServiceRequest:
    ours = frame(resource).request([SPAN_WRITER.write(span) for span in told])
    theirs = encode_spans(sdk_spans(told, resource))
    assert ExportTraceServiceRequest.FromString(ours) == theirs
    return theirs


@given(told=st.lists(spans(), min_size=1, max_size=3), resource=RESOURCES)
def test_spans_are_the_sdks(told: list[Span], resource: dict[str, str]) -> None:
    assert len(same_spans(told, resource).resource_spans[0].scope_spans[0].spans) == len(told)


@given(found=st.lists(METRICS, min_size=1, max_size=3), resource=RESOURCES)
def test_measurements_are_the_sdks(found: list[Metric], resource: dict[str, str]) -> None:
    ours = frame(resource).request([METRIC_WRITER.write(metric) for metric in found])
    scope = InstrumentationScope(SCOPE, __version__, V1_41.schema_url)
    theirs = encode_metrics(metrics_data(found, Resource(resource), scope))
    assert ExportMetricsServiceRequest.FromString(ours) == theirs


CONTEXT = SpanContext("a" * 32, "b" * 16)


def plain(**more: Any) -> Span:
    fields: dict[str, Any] = {
        "name": "n", "trace_id": "1" * 32, "span_id": "2" * 16, "start_ns": 1, "end_ns": 2,
        "attributes": {"a": "b"},
    }  # fmt: skip
    return Span(**{**fields, **more})


def many(count: int) -> Attributes:
    return {f"a{number}": number for number in range(count)}


@pytest.mark.parametrize("count", [LIMIT, LIMIT + 1, LIMIT + 300])
def test_more_than_the_limits_is_dropped_and_counted(count: int) -> None:
    over = max(count - LIMIT, 0)
    one = Link(CONTEXT, many(count))
    span = plain(
        attributes=many(count),
        events=[Event(f"e{number}", number, many(count)) for number in range(count)],
        links=[one] * count,
    )
    encoded = same_spans([span], {}).resource_spans[0].scope_spans[0].spans[0]
    assert encoded.dropped_attributes_count == over
    assert encoded.dropped_events_count == encoded.dropped_links_count == over
    assert encoded.events[0].dropped_attributes_count == over
    assert encoded.attributes[0].key == f"a{over}"


@pytest.mark.parametrize("own", [0, 1, LIMIT, LIMIT + 1])
@pytest.mark.parametrize("shared", [0, 1, LIMIT])
def test_shared_attributes_are_told_before_its_own(shared: int, own: int) -> None:
    """And of more than the limits they are dropped first, whether they were written before."""
    alike = Shared({f"s{number}": number for number in range(shared)})
    kept, few = plain(shared=(alike,), attributes=many(1)), plain(attributes=many(1))
    spans = [kept, plain(shared=(alike, Shared({"t": "x"})), attributes=many(own)), kept, few]
    encoded = same_spans(spans, {}).resource_spans[0].scope_spans[0].spans
    assert encoded[1].dropped_attributes_count == max(shared + 1 + own - LIMIT, 0)
    assert encoded[0].attributes == encoded[2].attributes
    assert [each.key for each in encoded[3].attributes] == ["a0"]


@pytest.mark.parametrize(
    "odd", [2**63, -(2**63) - 1, 2**70, (2**63,), b"bytes", {"a": 1}, ("a", b"bytes")]
)
def test_what_cannot_be_told_is_left_out_alone(odd: Any) -> None:
    written = SPAN_WRITER.write(plain(attributes={"a": odd, "b": 1}))
    request = ExportTraceServiceRequest.FromString(frame({}).request([written]))
    (span,) = request.resource_spans[0].scope_spans[0].spans
    assert [(pair.key, pair.value.int_value) for pair in span.attributes] == [("b", 1)]


def test_half_a_surrogate_pair_spoils_nothing() -> None:
    odd = plain(
        attributes={"a": "x\udcff", "b": ("fine", "\ud83d")},
        events=[Event("e", 1, {"c": "\udcff"})],
    )
    encoded = same_spans([odd], {}).resource_spans[0].scope_spans[0].spans[0]
    assert encoded.attributes[0].value.string_value == "x?"


@pytest.mark.parametrize(
    "wrong",
    [
        {"trace_id": "not hex"},
        {"trace_id": "ab"},
        {"span_id": "1" * 32},
        {"parent": SpanContext("1" * 32, "")},
        {"links": [Link(SpanContext("1" * 16, "1" * 16), {})]},
        {"start_ns": -1},
        {"end_ns": 2**64},
        {"events": [Event("e", -1, {})]},
    ],
)
def test_a_span_that_would_spoil_a_batch_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"hex|is no id|is no time"):
        SPAN_WRITER.write(plain(**wrong))


def test_what_is_kept_in_mind_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attributes, "REMEMBERED", 10)
    monkeypatch.setattr(spans_module, "REMEMBERED", 10)
    writer = SpanWriter()
    for number in range(100):
        told: Attributes = {f"n{number}": f"v{number}", "same": "same", "count": 1 << number // 2}
        span = plain(name=f"n{number}", attributes=told)
        assert writer.write(span) == SpanWriter().write(span)
    kept = writer._attributes
    assert max(len(kept._texts), len(kept._values), len(writer._names)) <= 10
