"""The ways out for a run's spans and measurements: what is written is sent from own threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tokenproxy import __version__
from tokenproxy.telemetry import semconv as names
from tokenproxy.telemetry import switch
from tokenproxy.telemetry.delivery import Delivery
from tokenproxy.telemetry.measured import Metric
from tokenproxy.telemetry.otlp.batch import Batches, Limits, limits
from tokenproxy.telemetry.otlp.metrics import MetricWriter
from tokenproxy.telemetry.otlp.request import Frame
from tokenproxy.telemetry.otlp.resource import sender
from tokenproxy.telemetry.otlp.sampler import Sampler, sampler
from tokenproxy.telemetry.otlp.sender import Sender
from tokenproxy.telemetry.otlp.settings import settings
from tokenproxy.telemetry.otlp.spans import SpanWriter
from tokenproxy.telemetry.periodic import PeriodicMeasures
from tokenproxy.telemetry.semconv import Semconv
from tokenproxy.telemetry.span import SAMPLED, Span, SpanContext
from tokenproxy.telemetry.ways import Ways


class OtlpSpans:
    """Writes the spans that are sampled, and lets them wait for a batch."""

    def __init__(self, batches: Batches, sampler: Sampler) -> None:
        self._batches = batches
        self._sampler = sampler
        self._writer = SpanWriter()

    def keeps(self, trace_id: str, parent: SpanContext | None) -> bool:
        """As the sampler decides."""
        return self._sampler.keeps(trace_id, parent)

    def take(self, span: Span) -> SpanContext:
        """Write it, if it is kept."""
        parent = span.parent
        kept = self._sampler.keeps(span.trace_id, parent)
        if kept:
            self._batches.put(self._writer.write(span))
        return SpanContext(
            span.trace_id,
            span.span_id,
            SAMPLED if kept else 0,
            parent.state if parent is not None else "",
        )

    def shutdown(self) -> None:
        """Send what waits."""
        self._batches.shutdown()


class OtlpMetrics:
    """Writes measurements and sends them."""

    def __init__(self, frame: Frame, sender: Sender) -> None:
        self._frame = frame
        self._sender = sender
        self._writer = MetricWriter()

    def export(self, found: Sequence[Metric], timeout_s: float) -> None:
        """Send; blocks while that takes."""
        body = self._frame.request([self._writer.write(metric) for metric in found])
        self._sender.send(body, timeout_s)

    def shutdown(self) -> None:
        """Close the connection."""
        self._sender.shutdown()


def open_ways(env: Mapping[str, str], instance_id: str, dialect: Semconv) -> Ways:
    """The ways out of a process, for the signals that are on.

    Args:
        env: fits (:func:`tokenproxy.telemetry.otlp.fit.fits`).
        instance_id: ``service.instance.id``, unless the user's words have another.
        dialect: for the schema.
    """
    found = Ways()
    frame = Frame(sender(env, instance_id), names.SCOPE, __version__, dialect.schema_url)
    if switch.choose(env, "traces").exporters:
        with found.said("traces"):
            found.spans = _spans(env, frame, found)
    if switch.choose(env, "metrics").exporters:
        with found.said("metrics"):
            found.measures = _measures(env, frame, found)
    return found


def _spans(env: Mapping[str, str], frame: Frame, ways: Ways) -> OtlpSpans:
    delivery = Delivery("spans", switch.endpoint(env, "traces"))
    batches = Batches(frame, Sender(settings(env, "traces"), delivery), limits(env) or Limits())
    ways.deliveries.append(delivery)
    return OtlpSpans(batches, sampler(env) or Sampler(1.0, parent_based=True))


def _measures(env: Mapping[str, str], frame: Frame, ways: Ways) -> PeriodicMeasures:
    delivery = Delivery("metrics", switch.endpoint(env, "metrics"))
    way = OtlpMetrics(frame, Sender(settings(env, "metrics"), delivery))
    ways.deliveries.append(delivery)
    return PeriodicMeasures(env, way)
