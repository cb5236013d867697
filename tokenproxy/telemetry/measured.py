"""What was measured, on its way out. Imports no opentelemetry.

The data model is OTLP's (opentelemetry-proto, metrics/v1): sums that only grow, and
histograms with explicit bounds.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import msgspec

from tokenproxy.telemetry.span import SpanContext

type Labels = Mapping[str, str | bool | int]


class Seen(msgspec.Struct, frozen=True):
    """Where and when a measurement was made: all of one call's have the same."""

    span: SpanContext
    at_ns: int
    """Unix time, nanoseconds."""
    kept: bool
    """The span was sampled."""


def seen(span: SpanContext | None) -> Seen | None:
    """Now, within this span."""
    return None if span is None else Seen(span, time.time_ns(), span.sampled)


class Exemplar(msgspec.Struct, frozen=True):
    """One measurement, and the sampled span that it is of. Ids are hex digits."""

    value: int | float
    trace_id: str
    span_id: str
    at_ns: int


class Total(msgspec.Struct, frozen=True):
    """A sum's data point."""

    labels: Labels
    start_ns: int
    end_ns: int
    value: int
    exemplars: Sequence[Exemplar] = ()


class Spread(msgspec.Struct, frozen=True):
    """A histogram's data point."""

    labels: Labels
    start_ns: int
    end_ns: int
    sum: float
    least: float
    most: float
    buckets: Sequence[int]
    bounds: Sequence[float]
    exemplars: Sequence[Exemplar] = ()


class Metric(msgspec.Struct, frozen=True):
    """All points of an instrument. ``delta``: since the last time, not since the beginning."""

    name: str
    unit: str
    description: str
    delta: bool
    points: Sequence[Total] | Sequence[Spread]
    """At least one; all of one kind."""
