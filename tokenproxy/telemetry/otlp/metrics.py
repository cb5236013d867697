"""OTLP's ``Metric`` (opentelemetry-proto, metrics/v1) from what was measured."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from tokenproxy.telemetry import measured
from tokenproxy.telemetry.measured import Metric, Spread, Total
from tokenproxy.telemetry.otlp.attributes import AttributeWriter
from tokenproxy.telemetry.otlp.protobuf import (
    LEN,
    VARINT,
    double,
    fixed64,
    message,
    sfixed64,
    tag,
    text,
)

_METRICS: Final = tag(2, LEN)
"""Of ScopeMetrics."""
_NAME, _DESCRIPTION, _UNIT = tag(1, LEN), tag(2, LEN), tag(3, LEN)
_SUM, _HISTOGRAM = tag(7, LEN), tag(9, LEN)
_POINT: Final = tag(1, LEN)
_DELTA, _CUMULATIVE = tag(2, VARINT) + b"\x01", tag(2, VARINT) + b"\x02"
_MONOTONIC: Final = tag(3, VARINT) + b"\x01"
_START, _END = b"\x11", b"\x19"  # of both kinds of points
_TOTAL_EXEMPLAR, _TOTAL_VALUE = tag(5, LEN), b"\x31"
_COUNT, _SUM_OF_POINT, _BUCKETS, _BOUNDS = b"\x21", b"\x29", tag(6, LEN), tag(7, LEN)
_SPREAD_EXEMPLAR, _LEAST, _MOST = tag(8, LEN), b"\x59", b"\x61"
_AT, _DOUBLE, _INT = b"\x11", b"\x19", b"\x31"  # of Exemplar
_SPAN_ID, _TRACE_ID = tag(4, LEN) + b"\x08", tag(5, LEN) + b"\x10"


class MetricWriter:
    """Writes metrics as a ``ScopeMetrics``' repeated field. Used by one thread at a time."""

    def __init__(self) -> None:
        self._of_totals = AttributeWriter(7)
        self._of_spreads = AttributeWriter(9)

    def write(self, metric: Metric) -> bytes:
        """One metric with all its points.

        Raises:
            ValueError: An id of an exemplar is none.
            struct.error: A number has more than 64 bits.
        """
        totals = [message(_POINT, self._total(p)) for p in metric.points if isinstance(p, Total)]
        spreads = [message(_POINT, self._spread(p)) for p in metric.points if isinstance(p, Spread)]
        how = _DELTA if metric.delta else _CUMULATIVE
        if totals:
            data = message(_SUM, b"".join((*totals, how, _MONOTONIC)))
        else:
            data = message(_HISTOGRAM, b"".join((*spreads, how)))
        return message(
            _METRICS,
            text(_NAME, metric.name)
            + text(_DESCRIPTION, metric.description)
            + text(_UNIT, metric.unit)
            + data,
        )

    def _total(self, point: Total) -> bytes:
        return b"".join(
            (
                *_times(point),
                *_exemplars(_TOTAL_EXEMPLAR, point.exemplars),
                _TOTAL_VALUE,
                sfixed64(point.value),
                self._of_totals.write(point.labels),
            )
        )

    def _spread(self, point: Spread) -> bytes:
        counts, bounds = len(point.buckets), len(point.bounds)
        count = sum(point.buckets)
        return b"".join(
            (
                *_times(point),
                *((_COUNT, fixed64(count)) if count else ()),
                _SUM_OF_POINT,
                double(point.sum),
                message(_BUCKETS, struct.pack(f"<{counts}Q", *point.buckets)),
                message(_BOUNDS, struct.pack(f"<{bounds}d", *point.bounds)) if bounds else b"",
                *_exemplars(_SPREAD_EXEMPLAR, point.exemplars),
                self._of_spreads.write(point.labels),
                _LEAST,
                double(point.least),
                _MOST,
                double(point.most),
            )
        )


def _times(point: Total | Spread) -> tuple[bytes, ...]:
    return _START, fixed64(point.start_ns), _END, fixed64(point.end_ns)


def _exemplars(field: bytes, kept: Sequence[measured.Exemplar]) -> list[bytes]:
    return [message(field, _exemplar(one)) for one in kept]


def _exemplar(one: measured.Exemplar) -> bytes:
    span = _SPAN_ID + bytes.fromhex(one.span_id) + _TRACE_ID + bytes.fromhex(one.trace_id)
    at = _AT + fixed64(one.at_ns)
    if isinstance(one.value, float):
        return at + _DOUBLE + double(one.value) + span
    return at + span + _INT + sfixed64(one.value)
