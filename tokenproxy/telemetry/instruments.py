"""A dialect's instruments, and attributes that are bound to them. Imports no opentelemetry.

A gateway's calls have the same attributes again and again. They are put together once, bound to
each instrument once (:class:`Labelled`), and from then on a measurement is a look-up and an
addition.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from tokenproxy.telemetry.semconv import Metric, Semconv
from tokenproxy.telemetry.series import Labels, Series
from tokenproxy.telemetry.span import SpanContext


class Adder(Protocol):
    """A counter's point."""

    def add(self, amount: int, span: SpanContext | None) -> None:
        """Count; ``span`` is that of what is counted."""
        ...


class Recorder(Protocol):
    """A histogram's point."""

    def record(self, amount: float, span: SpanContext | None) -> None:
        """Measure; ``span`` is that of what is measured."""
        ...


class Counter(Protocol):
    """Adds up."""

    def bind(self, labels: Mapping[str, str | bool | int]) -> Adder:
        """What adds to the point with these attributes."""
        ...


class Histogram(Protocol):
    """Counts by size."""

    def bind(self, labels: Mapping[str, str | bool | int]) -> Recorder:
        """What measures into the point with these attributes."""
        ...


class Meter(Protocol):
    """Makes instruments: :class:`tokenproxy.telemetry.measures.Measures`, or the SDK."""

    def create_counter(self, name: str, unit: str = "", description: str = "") -> Counter:
        """A counter; the one that has that name, if there is one."""
        ...

    def create_histogram(
        self,
        name: str,
        unit: str = "",
        description: str = "",
        *,
        explicit_bucket_boundaries_advisory: Sequence[float] | None = None,
    ) -> Histogram:
        """A histogram; the one that has that name, if there is one."""
        ...


class Instruments:
    """Those of a dialect, made by a meter; how many series they have is bounded."""

    def __init__(self, semconv: Semconv, meter: Meter, series: Series) -> None:
        self._series = series
        self._counters: dict[str, Counter] = {}
        self._histograms: dict[str, Histogram] = {}
        for metric in semconv.metrics():
            if metric.instrument == "counter":
                self._counters[metric.name] = meter.create_counter(
                    metric.name, unit=metric.unit, description=metric.description
                )
            else:
                self._histograms[metric.name] = meter.create_histogram(
                    metric.name,
                    unit=metric.unit,
                    description=metric.description,
                    explicit_bucket_boundaries_advisory=metric.bounds,
                )

    def adder(self, name: str, labels: Labels) -> Callable[[int, SpanContext | None], None]:
        """What counts with these attributes."""
        return self._counters[name].bind(self._series.bounded(name, labels)).add

    def recorder(self, name: str, labels: Labels) -> Callable[[float, SpanContext | None], None]:
        """What measures with these attributes."""
        return self._histograms[name].bind(self._series.bounded(name, labels)).record


class Labelled:
    """Attributes, and what takes the measurements that have them: bound as they are needed."""

    def __init__(self, instruments: Instruments, labels: Labels) -> None:
        self._instruments = instruments
        self._labels = labels
        self._adders: dict[str, Callable[[int, SpanContext | None], None]] = {}
        self._recorders: dict[str, Callable[[float, SpanContext | None], None]] = {}

    def add(self, metric: Metric, amount: int, span: SpanContext | None) -> None:
        """Count."""
        add = self._adders.get(metric.name)
        if add is None:
            add = self._instruments.adder(metric.name, self._labels)
            self._adders[metric.name] = add
        add(amount, span)

    def record(self, metric: Metric | None, amount: float, span: SpanContext | None) -> None:
        """Measure, where the dialect has a metric for it."""
        if metric is None:
            return
        record = self._recorders.get(metric.name)
        if record is None:
            record = self._instruments.recorder(metric.name, self._labels)
            self._recorders[metric.name] = record
        record(amount, span)
