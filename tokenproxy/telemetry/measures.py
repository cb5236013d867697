"""Counters and histograms, kept here until they are exported. Imports no opentelemetry.

The SDK looks at every attribute of every measurement: cleans it, copies it, sorts it to
a key. A call has about ten measurements, most with the same attributes as the last
call's. Here attributes are bound once (:meth:`Counter.bind`), and a measurement is an
addition. What is collected is what the SDK's meter would have collected: a test holds the
two to each other.

An exemplar is the last measurement of a point, in a histogram of a bucket, whose span
was sampled.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from operator import itemgetter
from weakref import WeakValueDictionary

from tokenproxy.telemetry import measured
from tokenproxy.telemetry.measured import Exemplar, Labels, Metric, Seen

type _Key = frozenset[tuple[str, str | bool | int]]
type _Kept = tuple[int | float, Seen]
"""A measurement, and where it was made."""


class Measures:
    """The instruments of one scope. Thread-safe.

    Args:
        delta: whether what is collected is since the last time, or since the beginning.
    """

    def __init__(self, *, delta: bool) -> None:
        self.lock = threading.Lock()
        self.delta = delta
        self.collected_ns = time.time_ns()
        """When points were last collected: those to come begin then."""
        self._instruments: dict[str, Counter | Histogram] = {}

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

    def collect(self) -> list[Metric]:
        """What was measured: with deltas since the last time.

        The clock may have been set back meanwhile: collectors drop a point that is not later
        than the last of its series.
        """
        with self.lock:
            now_ns = max(time.time_ns(), self.collected_ns + 1)
            metrics = self._collect(self.collected_ns if self.delta else None, now_ns)
            self.collected_ns = now_ns
        return metrics

    def collect_of(self, start_ns: int, end_ns: int) -> list[Metric]:
        """What was measured since the last time, told as of another time."""
        with self.lock:
            return self._collect(start_ns, end_ns)

    def _collect(self, start_ns: int | None, end_ns: int) -> list[Metric]:
        return [
            metric
            for each in self._instruments.values()
            if (metric := each.collect(start_ns, end_ns)) is not None
        ]


class _Instrument[P: (_Total, _Spread)]:
    """What counters and histograms have in common: points by their attributes."""

    def __init__(self, measures: Measures, name: str, unit: str, description: str) -> None:
        self.measures = measures
        self._name = name
        self._unit = unit
        self._description = description
        self._points: WeakValueDictionary[_Key, P] = WeakValueDictionary()
        """Those that somebody is bound to, or that have something to tell."""
        self.told: list[P] = []
        """Those that have something to tell. With deltas few of many have."""

    def _bound(self, labels: Labels, fresh: P) -> P:
        with self.measures.lock:
            return self._points.setdefault(frozenset(labels.items()), fresh)

    def collect(self, start_ns: int | None, end_ns: int) -> Metric | None:
        """All points that were measured; the lock is held. None: there are none.

        Args:
            start_ns: since when, Unix time; None: each since it is there.
            end_ns: until when.
        """
        if not self.told:
            return None
        found, delta = [], self.measures.delta
        for point in self.told:
            since_ns = min(point.start_ns, end_ns) if start_ns is None else start_ns
            found.append(point.told(since_ns, end_ns))
            point.exemplars.clear()
            if delta:
                point.reset()
        if delta:
            self.told.clear()
        return Metric(self._name, self._unit, self._description, delta, found)


class _Total:
    """A counter's point: bound to its attributes."""

    def __init__(self, counter: Counter, labels: Labels) -> None:
        self.start_ns = time.time_ns()
        self.measured = False
        self.exemplars: dict[int, _Kept] = {}
        self._lock = counter.measures.lock
        self._told = counter.told
        self._labels = dict(labels)
        self._value = 0

    def add(self, amount: int, seen: Seen | None) -> None:
        """Count."""
        with self._lock:
            if not self.measured:
                self.measured = True
                self._told.append(self)
            self._value += amount
            if seen is not None and seen.kept:
                self.exemplars[0] = amount, seen

    def told(self, start_ns: int, now_ns: int) -> measured.Total:
        """As it leaves."""
        return measured.Total(
            self._labels, start_ns, now_ns, self._value, _exemplars(self.exemplars)
        )

    def reset(self) -> None:
        """A new delta begins."""
        self.measured, self._value = False, 0


class _Spread:
    """A histogram's point: bound to its attributes."""

    def __init__(self, histogram: Histogram, labels: Labels, bounds: tuple[float, ...]) -> None:
        self.start_ns = time.time_ns()
        self.measured = False
        self.exemplars: dict[int, _Kept] = {}
        """The last of each bucket, by its place."""
        self._lock = histogram.measures.lock
        self._told = histogram.told
        self._labels = dict(labels)
        self._bounds = bounds
        self._sum: float = 0
        self._least: float = 0
        self._most: float = 0
        self._buckets = [0] * (len(bounds) + 1)

    def record(self, amount: float, seen: Seen | None) -> None:
        """Measure."""
        with self._lock:
            if not self.measured:
                self.measured = True
                self._told.append(self)
                self._least = self._most = amount
            elif amount < self._least:
                self._least = amount
            elif amount > self._most:
                self._most = amount
            self._sum += amount
            bucket = bisect_left(self._bounds, amount)
            self._buckets[bucket] += 1
            if seen is not None and seen.kept:
                self.exemplars[bucket] = amount, seen

    def told(self, start_ns: int, now_ns: int) -> measured.Spread:
        """As it leaves."""
        return measured.Spread(
            self._labels,
            start_ns,
            now_ns,
            sum=self._sum,
            least=self._least,
            most=self._most,
            buckets=tuple(self._buckets),
            bounds=self._bounds,
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
        return self._bound(labels, _Total(self, labels))


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
        return self._bound(labels, _Spread(self, labels, self._bounds))


def _exemplars(kept: Mapping[int, _Kept]) -> Sequence[Exemplar]:
    return [
        Exemplar(value, seen.span.trace_id, seen.span.span_id, seen.at_ns)
        for _, (value, seen) in sorted(kept.items(), key=itemgetter(0))
    ]
