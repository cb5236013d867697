"""A dialect's instruments, to which attributes are bound. Imports no opentelemetry.

A gateway's calls have the same attributes again and again. They are put together once, bound to
each instrument once (:mod:`tokenproxy.telemetry.shape`), and from then on a measurement is an
addition.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from tokenproxy.telemetry.measured import Seen
from tokenproxy.telemetry.semconv import Metric, Semconv
from tokenproxy.telemetry.series import Labels, Series

type Add = Callable[[int, Seen | None], None]
type Record = Callable[[float, Seen | None], None]


class Adder(Protocol):
    """A counter's point."""

    def add(self, amount: int, seen: Seen | None) -> None:
        """Count; ``seen`` says within which span."""
        ...


class Recorder(Protocol):
    """A histogram's point."""

    def record(self, amount: float, seen: Seen | None) -> None:
        """Measure; ``seen`` says within which span."""
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

    def adder(self, metric: Metric, labels: Labels) -> Add:
        """What counts with these attributes."""
        bounded = self._series.bounded(metric.name, labels)
        return self._counters[metric.name].bind(bounded).add

    def recorder(self, metric: Metric | None, labels: Labels) -> Record:
        """What measures with these attributes, where the dialect has a metric for it."""
        if metric is None:
            return _nothing
        bounded = self._series.bounded(metric.name, labels)
        return self._histograms[metric.name].bind(bounded).record


def _nothing(_amount: float, _seen: Seen | None) -> None:
    """Nobody wants to know."""
