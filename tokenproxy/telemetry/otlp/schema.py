"""OTLP's messages: their fields' numbers, names in JSON and kinds.

From opentelemetry-proto 1.x (trace/v1, metrics/v1, common/v1, resource/v1), of which it has
what is sent from here: neither gauges nor summaries. ``*`` marks what may come repeatedly.
Tests hold it to Google's descriptors.
"""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

_POINT: Final = "2 startTimeUnixNano fixed64, 3 timeUnixNano fixed64"

_MESSAGES: Final = {
    "ExportTraceServiceRequest": "1 resourceSpans ResourceSpans*",
    "ExportMetricsServiceRequest": "1 resourceMetrics ResourceMetrics*",
    "ResourceSpans": "1 resource Resource, 2 scopeSpans ScopeSpans*, 3 schemaUrl string",
    "ScopeSpans": "1 scope InstrumentationScope, 2 spans Span*, 3 schemaUrl string",
    "ResourceMetrics": "1 resource Resource, 2 scopeMetrics ScopeMetrics*, 3 schemaUrl string",
    "ScopeMetrics": "1 scope InstrumentationScope, 2 metrics Metric*, 3 schemaUrl string",
    "Resource": "1 attributes KeyValue*, 2 droppedAttributesCount uint32",
    "InstrumentationScope": (
        "1 name string, 2 version string, 3 attributes KeyValue*, 4 droppedAttributesCount uint32"
    ),
    "KeyValue": "1 key string, 2 value AnyValue",
    "AnyValue": (
        "1 stringValue string, 2 boolValue bool, 3 intValue int64, 4 doubleValue double, "
        "5 arrayValue ArrayValue, 6 kvlistValue KeyValueList, 7 bytesValue bytes"
    ),
    "ArrayValue": "1 values AnyValue*",
    "KeyValueList": "1 values KeyValue*",
    "Span": (
        "1 traceId id, 2 spanId id, 3 traceState string, 4 parentSpanId id, 5 name string, "
        "6 kind int32, 7 startTimeUnixNano fixed64, 8 endTimeUnixNano fixed64, "
        "9 attributes KeyValue*, 10 droppedAttributesCount uint32, 11 events Event*, "
        "12 droppedEventsCount uint32, 13 links Link*, 14 droppedLinksCount uint32, "
        "15 status Status, 16 flags fixed32"
    ),
    "Event": (
        "1 timeUnixNano fixed64, 2 name string, 3 attributes KeyValue*, "
        "4 droppedAttributesCount uint32"
    ),
    "Link": (
        "1 traceId id, 2 spanId id, 3 traceState string, 4 attributes KeyValue*, "
        "5 droppedAttributesCount uint32, 6 flags fixed32"
    ),
    "Status": "2 message string, 3 code int32",
    "Metric": (
        "1 name string, 2 description string, 3 unit string, 7 sum Sum, 9 histogram Histogram, "
        "10 exponentialHistogram ExponentialHistogram, 12 metadata KeyValue*"
    ),
    "Sum": "1 dataPoints NumberDataPoint*, 2 aggregationTemporality int32, 3 isMonotonic bool",
    "Histogram": "1 dataPoints HistogramDataPoint*, 2 aggregationTemporality int32",
    "ExponentialHistogram": (
        "1 dataPoints ExponentialHistogramDataPoint*, 2 aggregationTemporality int32"
    ),
    "NumberDataPoint": (
        f"{_POINT}, 4 asDouble double, 5 exemplars Exemplar*, 6 asInt sfixed64, "
        "7 attributes KeyValue*, 8 flags uint32"
    ),
    "HistogramDataPoint": (
        f"{_POINT}, 4 count fixed64, 5 sum double, 6 bucketCounts fixed64*, "
        "7 explicitBounds double*, 8 exemplars Exemplar*, 9 attributes KeyValue*, "
        "10 flags uint32, 11 min double, 12 max double"
    ),
    "ExponentialHistogramDataPoint": (
        f"1 attributes KeyValue*, {_POINT}, 4 count fixed64, 5 sum double, 6 scale sint32, "
        "7 zeroCount fixed64, 8 positive Buckets, 9 negative Buckets, 10 flags uint32, "
        "11 exemplars Exemplar*, 12 min double, 13 max double, 14 zeroThreshold double"
    ),
    "Buckets": "1 offset sint32, 2 bucketCounts uint64*",
    "Exemplar": (
        "2 timeUnixNano fixed64, 3 asDouble double, 4 spanId id, 5 traceId id, 6 asInt sfixed64, "
        "7 filteredAttributes KeyValue*"
    ),
}

REQUESTS: Final = {
    "traces": "ExportTraceServiceRequest",
    "metrics": "ExportMetricsServiceRequest",
}
"""The message that a signal is sent in."""


class Field(NamedTuple):
    """One field of a message."""

    number: int
    name: str
    """In JSON."""
    kind: str
    """A message's name, a scalar's type, or ``id``: bytes that JSON has in hex, not in base64."""
    repeated: bool

    @property
    def message(self) -> bool:
        """Whether it holds a message."""
        return self.kind in _MESSAGES


@cache
def fields_of(name: str) -> tuple[Field, ...]:
    """The fields of a message, by their numbers."""
    found = (part.split() for part in _MESSAGES[name].split(","))
    return tuple(
        Field(int(number), field, kind.removesuffix("*"), kind.endswith("*"))
        for number, field, kind in found
    )


def messages() -> tuple[str, ...]:
    """All that there are."""
    return tuple(_MESSAGES)
