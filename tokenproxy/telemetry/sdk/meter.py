"""Measurements through the SDK's meter: for what ours cannot do, and for those of the past."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from opentelemetry import metrics
from opentelemetry.context import Context
from opentelemetry.sdk.metrics import MeterProvider

from tokenproxy import __version__
from tokenproxy.telemetry.measured import Seen
from tokenproxy.telemetry.sdk.spans import within
from tokenproxy.telemetry.semconv import SCOPE, Semconv

type _Labels = Mapping[str, str | bool | int]


class SdkMeter:
    """The SDK's instruments, used as ours are."""

    def __init__(self, provider: MeterProvider, semconv: Semconv) -> None:
        self._provider = provider
        self._meter = provider.get_meter(SCOPE, __version__, semconv.schema_url)
        self._asked: tuple[Seen | None, Context] = None, Context()

    def create_counter(self, name: str, unit: str = "", description: str = "") -> _Counter:
        """A counter; the one that has that name, if there is one."""
        return _Counter(self, self._meter.create_counter(name, unit, description))

    def create_histogram(
        self,
        name: str,
        unit: str = "",
        description: str = "",
        *,
        explicit_bucket_boundaries_advisory: Sequence[float] | None = None,
    ) -> _Histogram:
        """A histogram; the one that has that name, if there is one."""
        made = self._meter.create_histogram(
            name,
            unit,
            description,
            explicit_bucket_boundaries_advisory=explicit_bucket_boundaries_advisory,
        )
        return _Histogram(self, made)

    def within(self, seen: Seen | None) -> Context:
        """The SDK's context. All measurements of a call are made within the same span."""
        if self._asked[0] is not seen:
            self._asked = seen, within(None if seen is None else seen.span)
        return self._asked[1]

    def shutdown(self) -> None:
        """Export what is left."""
        self._provider.shutdown()


class _Counter:
    def __init__(self, meter: SdkMeter, counter: metrics.Counter) -> None:
        self._meter = meter
        self._counter = counter

    def bind(self, labels: _Labels) -> _Adder:
        return _Adder(self._meter, self._counter, labels)


class _Adder:
    def __init__(self, meter: SdkMeter, counter: metrics.Counter, labels: _Labels) -> None:
        self._meter = meter
        self._counter = counter
        self._labels = labels

    def add(self, amount: int, seen: Seen | None) -> None:
        self._counter.add(amount, self._labels, self._meter.within(seen))


class _Histogram:
    def __init__(self, meter: SdkMeter, histogram: metrics.Histogram) -> None:
        self._meter = meter
        self._histogram = histogram

    def bind(self, labels: _Labels) -> _Recorder:
        return _Recorder(self._meter, self._histogram, labels)


class _Recorder:
    def __init__(self, meter: SdkMeter, histogram: metrics.Histogram, labels: _Labels) -> None:
        self._meter = meter
        self._histogram = histogram
        self._labels = labels

    def record(self, amount: float, seen: Seen | None) -> None:
        self._histogram.record(amount, self._labels, self._meter.within(seen))
