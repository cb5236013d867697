"""Where a ledger is shipped to by OpenTelemetry's SDK: for gRPC, the console and other settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from tokenproxy.telemetry import switch
from tokenproxy.telemetry.delivery import Delivery
from tokenproxy.telemetry.instruments import Meter
from tokenproxy.telemetry.outlet import NotDeliveredError
from tokenproxy.telemetry.sdk import exporters
from tokenproxy.telemetry.sdk.dated import DatedMeasurements
from tokenproxy.telemetry.sdk.ids import GivenIds
from tokenproxy.telemetry.sdk.resource import sender as resource_of
from tokenproxy.telemetry.sdk.spans import SdkSpans
from tokenproxy.telemetry.sdk.watched import SdkLog
from tokenproxy.telemetry.semconv import Semconv
from tokenproxy.telemetry.span import SpanTaker
from tokenproxy.telemetry.switch import Signal


class SdkOutlet:
    """See :class:`tokenproxy.telemetry.outlet.Outlet`.

    Args:
        env: The process's environment.
        sender: ``service.instance.id``, unless the user's environment states one.
        dialect: names it all.
        spans: exporters of spans; none: they are not sent.
        metrics: exporters of measurements; likewise.
        deliveries: told by them.
    """

    def __init__(
        self,
        env: Mapping[str, str],
        sender: str,
        dialect: Semconv,
        *,
        spans: Sequence[SpanExporter] = (),
        metrics: Sequence[MetricExporter] = (),
        deliveries: Sequence[Delivery] = (),
    ) -> None:
        self.deliveries = deliveries
        self._exporters, self._measuring = spans, metrics
        resource = resource_of(sender)
        self._kept = _Kept()
        self.spans: SpanTaker | None = None
        if spans:
            ids = GivenIds()
            tracers = TracerProvider(resource=resource, id_generator=ids, shutdown_on_exit=False)
            tracers.add_span_processor(self._kept)
            self.spans = SdkSpans(tracers, dialect, ids)
        self._dated = DatedMeasurements(env, resource, dialect) if metrics else None
        self.meter: Meter | None = None if self._dated is None else self._dated.meter

    @property
    def waiting_spans(self) -> int:
        """Spans that wait to be sent."""
        return len(self._kept.spans)

    @property
    def waiting_points(self) -> int:
        """Data points that do."""
        return 0 if self._dated is None else self._dated.points

    def date(self, end_ns: int) -> None:
        """What was measured since the last time is of the millisecond that ends then."""
        if self._dated is not None:
            self._dated.date(end_ns)

    def send_spans(self) -> int:
        """Send the spans that wait, with the retries that the exporters make.

        Raises:
            NotDeliveredError: An exporter gave up.
        """
        spans, self._kept.spans = self._kept.spans, []
        for exporter in self._exporters if spans else ():
            if exporter.export(spans) is not SpanExportResult.SUCCESS:
                raise self._failure("spans")
        return len(spans)

    def send_points(self) -> int:
        """Send the points that wait; likewise.

        Raises:
            NotDeliveredError: An exporter gave up.
        """
        if self._dated is None or not self._dated.points:
            return 0
        points, data = self._dated.points, self._dated.take()
        for exporter in self._measuring:
            if exporter.export(data) is not MetricExportResult.SUCCESS:
                raise self._failure("metrics")
        return points

    def close(self) -> None:
        """Nothing is held back; connections end."""
        for shutdown in (
            *(one.shutdown for one in self._exporters),
            *(one.shutdown for one in self._measuring),
        ):
            with suppress(Exception):
                shutdown()

    def _failure(self, what: str) -> NotDeliveredError:
        failed = [one for one in self.deliveries if one.failed and one.what == what]
        told = [one.verdict for one in failed]
        return NotDeliveredError(" and ".join(told) or f"the exporter refused the {what}")


def open_sdk(
    env: Mapping[str, str], signals: Sequence[Signal], sender: str, dialect: Semconv
) -> SdkOutlet:
    """With the exporters that the environment names.

    Raises:
        Exception: One cannot be made.
    """
    sdk_log = SdkLog()
    sdk_log.install()
    spans, metrics = list[SpanExporter](), list[MetricExporter]()
    deliveries: list[Delivery] = []
    for signal in signals:
        for name in switch.choose(env, signal).exporters:
            if signal == "traces":
                exporter, delivery = exporters.spans(env, name, sdk_log)
                spans.append(exporter)
            else:
                measuring, delivery = exporters.metrics(env, name, sdk_log)
                metrics.append(measuring)
            deliveries.extend([delivery] if delivery else [])
    return SdkOutlet(env, sender, dialect, spans=spans, metrics=metrics, deliveries=deliveries)


class _Kept(SpanProcessor):
    """Holds sampled spans until they are sent."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        if span.context is not None and span.context.trace_flags.sampled:
            self.spans.append(span)
