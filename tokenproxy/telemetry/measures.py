"""Measurements as sums and histograms, kept here until they are exported.

The SDK looks at every attribute of every measurement: cleans it, copies it, sorts it to
a key. A call has about ten measurements, most with the same attributes as the last
call's. Here attributes are bound once (:meth:`Counter.bind`), and a measurement is an
addition. What is collected is what the SDK's meter would have collected, in its own data
types, so that its exporters take it: a test holds the two to each other.

An exemplar is the last measurement of a point, in a histogram of a bucket, whose span
was sampled.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Histogram as HistogramData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import get_current_span

type _Span = tuple[int, int, int]
"""Trace id, span id, and the Unix time at which it was measured, nanoseconds."""

type Labels = Mapping[str, str | bool | int]

_DELTA = AggregationTemporality.DELTA


class Measures:
    """The instruments of one scope. Thread-safe.

    Args:
        resource: who measures.
        scope: what measures.
        counters: the temporality in which counters are exported.
        histograms: that of histograms.
    """

    def __init__(
        self,
        resource: Resource,
        scope: InstrumentationScope,
        *,
        counters: AggregationTemporality,
        histograms: AggregationTemporality,
    ) -> None:
        self.lock = threading.Lock()
        self.counters = counters
        self.histograms = histograms
        self.collected_ns = time.time_ns()
        """When points were last collected: those to come begin then."""
        self._resource = resource
        self._scope = scope
        self._instruments: dict[str, Counter | Histogram] = {}
        self._context: Context | None = None
        self._span: _Span | None = None

    def create_counter(self, name: str, unit: str = "", description: str = "") -> Counter:
        """A counter; the one that has that name, if there is one."""
        with self.lock:
            found = self._instruments.setdefault(name, Counter(self, name, unit, description))
        if not isinstance(found, Counter):
            raise TypeError(name)
        return found

    def create_histogram(
        self,
        name: str,
        unit: str = "",
        description: str = "",
        *,
        explicit_bucket_boundaries_advisory: Sequence[float] | None = None,
    ) -> Histogram:
        """A histogram; the one that has that name, if there is one."""
        bounds = tuple(explicit_bucket_boundaries_advisory or ())
        with self.lock:
            made = Histogram(self, name, unit, description, bounds)
            found = self._instruments.setdefault(name, made)
        if not isinstance(found, Histogram):
            raise TypeError(name)
        return found

    def span_in(self, context: Context | None) -> _Span | None:
        """The sampled span that a measurement is of; the lock is held.

        All measurements of a call have the same context.
        """
        if context is not self._context:
            self._context, self._span = context, _sampled(context)
        return self._span

    def collect(self) -> MetricsData | None:
        """What was measured: with deltas since the last time. None: nothing."""
        now_ns = time.time_ns()
        with self.lock:
            metrics = [
                metric
                for each in self._instruments.values()
                if (metric := each.collect(now_ns)) is not None
            ]
            self.collected_ns = now_ns
            self._context = self._span = None
        if not metrics:
            return None
        scoped = ScopeMetrics(self._scope, metrics, self._scope.schema_url or "")
        return MetricsData([ResourceMetrics(self._resource, [scoped], self._resource.schema_url)])


class _Instrument[P: (_Total, _Spread)]:
    """What counters and histograms have in common: points by their attributes."""

    def __init__(self, measures: Measures, name: str, unit: str, description: str) -> None:
        self.measures = measures
        self._name = name
        self._unit = unit
        self._description = description
        self._points: dict[frozenset[tuple[str, str | bool | int]], P] = {}

    def _bound(self, labels: Labels, fresh: P) -> P:
        with self.measures.lock:
            return self._points.setdefault(frozenset(labels.items()), fresh)

    def _told(self, now_ns: int, temporality: AggregationTemporality) -> list[Any]:
        found = []
        for point in self._points.values():
            if not point.measured:
                continue
            delta = temporality is _DELTA
            start_ns = self.measures.collected_ns if delta else point.start_ns
            found.append(point.told(start_ns, now_ns))
            point.exemplars.clear()
            if delta:
                point.reset()
        return found

    def _metric(self, data: Sum | HistogramData) -> Metric | None:
        if not data.data_points:
            return None
        return Metric(self._name, self._description, self._unit, data)


class _Total:
    """A counter's point: bound to its attributes."""

    def __init__(self, measures: Measures, labels: Labels) -> None:
        self.start_ns = time.time_ns()
        self.measured = False
        self.exemplars: dict[int, tuple[float, _Span]] = {}
        self._measures = measures
        self._labels = dict(labels)
        self._value = 0

    def add(self, amount: int, context: Context | None) -> None:
        """Count."""
        with self._measures.lock:
            self.measured = True
            self._value += amount
            span = self._measures.span_in(context)
            if span is not None:
                self.exemplars[0] = amount, span

    def told(self, start_ns: int, now_ns: int) -> NumberDataPoint:
        """As the exporters take it."""
        return NumberDataPoint(
            self._labels, start_ns, now_ns, self._value, _exemplars(self.exemplars)
        )

    def reset(self) -> None:
        """A new delta begins."""
        self.measured, self._value = False, 0


class _Spread:
    """A histogram's point: bound to its attributes."""

    def __init__(self, measures: Measures, labels: Labels, bounds: tuple[float, ...]) -> None:
        self.start_ns = time.time_ns()
        self.measured = False
        self.exemplars: dict[int, tuple[float, _Span]] = {}
        """The last of each bucket, by its place."""
        self._measures = measures
        self._labels = dict(labels)
        self._bounds = bounds
        self._sum: float = 0
        self._least: float = 0
        self._most: float = 0
        self._buckets = [0] * (len(bounds) + 1)

    def record(self, amount: float, context: Context | None) -> None:
        """Measure."""
        with self._measures.lock:
            if not self.measured:
                self.measured = True
                self._least = self._most = amount
            elif amount < self._least:
                self._least = amount
            elif amount > self._most:
                self._most = amount
            self._sum += amount
            bucket = bisect_left(self._bounds, amount)
            self._buckets[bucket] += 1
            span = self._measures.span_in(context)
            if span is not None:
                self.exemplars[bucket] = amount, span

    def told(self, start_ns: int, now_ns: int) -> HistogramDataPoint:
        """As the exporters take it."""
        return HistogramDataPoint(
            attributes=self._labels,
            start_time_unix_nano=start_ns,
            time_unix_nano=now_ns,
            count=sum(self._buckets),
            sum=self._sum,
            bucket_counts=tuple(self._buckets),
            explicit_bounds=self._bounds,
            min=self._least,
            max=self._most,
            exemplars=_exemplars(self.exemplars),
        )

    def reset(self) -> None:
        """A new delta begins."""
        self.measured, self._sum = False, 0
        self._buckets = [0] * (len(self._bounds) + 1)


class Counter(_Instrument[_Total]):
    """Adds up."""

    def bind(self, labels: Labels) -> _Total:
        """What adds to the point with these attributes."""
        return self._bound(labels, _Total(self.measures, labels))

    def collect(self, now_ns: int) -> Metric | None:
        """All points that were measured; the lock is held."""
        kind = self.measures.counters
        return self._metric(Sum(self._told(now_ns, kind), kind, is_monotonic=True))


class Histogram(_Instrument[_Spread]):
    """Counts by size."""

    def __init__(
        self,
        measures: Measures,
        name: str,
        unit: str,
        description: str,
        bounds: tuple[float, ...],
    ) -> None:
        super().__init__(measures, name, unit, description)
        self._bounds = bounds

    def bind(self, labels: Labels) -> _Spread:
        """What measures into the point with these attributes."""
        return self._bound(labels, _Spread(self.measures, labels, self._bounds))

    def collect(self, now_ns: int) -> Metric | None:
        """All points that were measured; the lock is held."""
        kind = self.measures.histograms
        return self._metric(HistogramData(self._told(now_ns, kind), kind))


def _exemplars(kept: Mapping[int, tuple[float, _Span]]) -> list[Exemplar]:
    return [
        Exemplar({}, value, at_ns, span_id, trace_id)
        for _, (value, (trace_id, span_id, at_ns)) in sorted(kept.items())
    ]


def _sampled(context: Context | None) -> _Span | None:
    """Trace, span and the time now, if there is a sampled span in the context."""
    if context is None:
        return None
    span = get_current_span(context).get_span_context()
    if not span.trace_flags.sampled:
        return None
    return span.trace_id, span.span_id, time.time_ns()
