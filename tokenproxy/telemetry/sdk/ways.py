"""The SDK's ways out for a run's spans and measurements."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TextIO

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from tokenproxy import __version__
from tokenproxy.telemetry import switch
from tokenproxy.telemetry.delivery import Delivery
from tokenproxy.telemetry.measured import Metric
from tokenproxy.telemetry.otlp.fit import measures_fit
from tokenproxy.telemetry.periodic import PeriodicMeasures
from tokenproxy.telemetry.sdk import exporters
from tokenproxy.telemetry.sdk.ids import GivenIds
from tokenproxy.telemetry.sdk.measured import metrics_data
from tokenproxy.telemetry.sdk.meter import SdkMeter
from tokenproxy.telemetry.sdk.resource import sender
from tokenproxy.telemetry.sdk.spans import SdkSpans
from tokenproxy.telemetry.sdk.watched import SdkLog, WatchedMetrics, WatchedSpans
from tokenproxy.telemetry.semconv import SCOPE, Semconv
from tokenproxy.telemetry.spool import Spool
from tokenproxy.telemetry.switch import Exporter, Signal
from tokenproxy.telemetry.ways import MeasureTaker, Ways


class SdkMetrics:
    """Gives measurements of ours to one of the SDK's exporters."""

    def __init__(self, exporter: MetricExporter, resource: Resource, dialect: Semconv) -> None:
        self._exporter = exporter
        self._resource = resource
        self._scope = InstrumentationScope(SCOPE, __version__, dialect.schema_url)

    def export(self, found: Sequence[Metric], timeout_s: float) -> None:
        """Export; blocks while that takes."""
        data = metrics_data(found, self._resource, self._scope)
        self._exporter.export(data, timeout_s * 1000)

    def shutdown(self) -> None:
        """Shut the exporter down."""
        self._exporter.shutdown()


def open_sdk_ways(
    env: Mapping[str, str],
    instance_id: str,
    dialect: Semconv,
    spool: Spool | None = None,
    console_fd: int | None = None,
) -> Ways:
    """The ways out of a process, for the signals that are on; a spool keeps what fails there.

    Console exporters print to ``console_fd``, by default to stderr.
    """
    found, log = Ways(), SdkLog()
    console = sys.stderr if console_fd is None else _text(console_fd)
    log.install()
    resource = sender(instance_id)
    keep_spans = partial(spool.keep, "traces") if spool else None
    keep_metrics = partial(spool.keep, "metrics") if spool else None
    if takers := _each(
        env, "traces", lambda name: exporters.spans(env, name, log, keep_spans, console), found
    ):
        with found.said("traces"):
            found.spans = _spans(takers, resource, dialect)
            found.leave["spans"] = partial(_left_spans, found.spans, takers)
    if measuring := _each(
        env, "metrics", lambda name: exporters.metrics(env, name, log, keep_metrics, console), found
    ):
        with found.said("metrics"):
            found.measures = _measures(env, measuring, resource, dialect)
            found.leave["metrics"] = partial(_left_metrics, measuring)
    found.problems += log.complaints()
    return found


def _text(fd: int) -> TextIO:
    return open(fd, "w", encoding="utf-8", errors="backslashreplace", closefd=False)


def _left_spans(spans: SdkSpans, takers: Sequence[SpanExporter]) -> bool:
    """Have each keep what it is sending. What the SDK's own queues hold behind that is lost."""
    watched = [one for one in takers if isinstance(one, WatchedSpans)]
    kept = [one.leave() and one.seen >= spans.told for one in watched]
    return all(kept)


def _left_metrics(takers: Sequence[MetricExporter]) -> bool:
    kept = [one.leave() for one in takers if isinstance(one, WatchedMetrics)]
    return all(kept)


def _each[T](
    env: Mapping[str, str],
    signal: Signal,
    build: Callable[[Exporter], tuple[T, Delivery | None]],
    ways: Ways,
) -> list[T]:
    """Build a signal's exporters; one that cannot be built is said and left out."""
    built: list[T] = []
    for name in switch.choose(env, signal).exporters:
        with ways.said(signal):
            exporter, delivery = build(name)
            built.append(exporter)
            ways.deliveries.extend([delivery] if delivery else [])
    return built


def _spans(takers: Sequence[SpanExporter], resource: Resource, dialect: Semconv) -> SdkSpans:
    # No atexit handlers, here and below: the end of the run is ours to bound, once.
    ids = GivenIds()
    provider = TracerProvider(resource=resource, id_generator=ids, shutdown_on_exit=False)
    for taker in takers:
        provider.add_span_processor(BatchSpanProcessor(taker))
    return SdkSpans(provider, dialect, ids)


def _measures(
    env: Mapping[str, str], takers: Sequence[MetricExporter], resource: Resource, dialect: Semconv
) -> MeasureTaker:
    """Ours, which is cheaper; the SDK's for what only that can do."""
    if len(takers) == 1 and measures_fit(env):
        return PeriodicMeasures(env, SdkMetrics(takers[0], resource, dialect))
    readers = [PeriodicExportingMetricReader(taker) for taker in takers]
    provider = MeterProvider(metric_readers=readers, resource=resource, shutdown_on_exit=False)
    return SdkMeter(provider, dialect)
