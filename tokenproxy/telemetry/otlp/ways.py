"""The ways out for a run's spans and measurements: what is written is sent from own threads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

from tokenproxy import __version__
from tokenproxy.telemetry import semconv as names
from tokenproxy.telemetry import switch
from tokenproxy.telemetry.delivery import Delivery
from tokenproxy.telemetry.measured import Metric
from tokenproxy.telemetry.otlp.batch import Batches, Limits, RequestTaker, limits
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
from tokenproxy.telemetry.spool import Spool
from tokenproxy.telemetry.ways import Ways


class SpanQueue(Protocol):
    """Where written spans wait."""

    def put(self, span: bytes) -> None:
        """Take one."""
        ...

    def shutdown(self) -> None:
        """Send what waits; blocks while that takes. Once."""
        ...


class OtlpSpans:
    """Writes the spans that are sampled, and lets them wait for a batch."""

    def __init__(self, batches: SpanQueue, sampler: Sampler) -> None:
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

    def __init__(self, frame: Frame, sender: RequestTaker) -> None:
        self._frame = frame
        self._sender = sender
        self._writer = MetricWriter()

    def export(self, found: Sequence[Metric], timeout_s: float) -> None:
        """Send; blocks while that takes."""
        self._sender.send(self._body(found), timeout_s)

    def leave(self, keep: Callable[[bytes], bool], rest: Sequence[Metric]) -> bool:
        """Time is up: keep what is being sent, and what has not been. Whether nothing is lost."""
        sent = self._sender.leave()
        return (not rest or keep(self._body(rest))) and sent

    def _body(self, found: Sequence[Metric]) -> bytes:
        return self._frame.request([self._writer.write(metric) for metric in found])

    def shutdown(self) -> None:
        """Close the connection."""
        self._sender.shutdown()


class Kept:
    """Where requests go that have no collector: into the spool."""

    def __init__(self, keep: Callable[[bytes], bool]) -> None:
        self._keep = keep

    def send(self, body: bytes, timeout_s: float) -> bool:
        """Keep it."""
        del timeout_s
        return self._keep(body)

    def leave(self) -> bool:
        """Nothing is ever under way for long."""
        return True

    def shutdown(self) -> None:
        """Nothing is open."""


def open_ways(
    env: Mapping[str, str], instance_id: str, dialect: Semconv, spool: Spool | None = None
) -> Ways:
    """The ways out of a process, for the signals that are on.

    Args:
        env: fits (:func:`tokenproxy.telemetry.otlp.fit.fits`).
        instance_id: ``service.instance.id``, unless the user's words have another.
        dialect: for the schema.
        spool: keeps what cannot be delivered.
    """
    found = Ways()
    frame = frame_of(env, instance_id, dialect)
    if switch.choose(env, "traces").exporters:
        with found.said("traces"):
            keep = partial(spool.keep, "traces") if spool else None
            delivery = Delivery("spans", switch.endpoint(env, "traces"))
            taker = Sender(settings(env, "traces"), delivery, keep)
            _add_spans(found, env, frame, taker, keep, drop=delivery.drop)
            found.deliveries.append(delivery)
    if switch.choose(env, "metrics").exporters:
        with found.said("metrics"):
            keep = partial(spool.keep, "metrics") if spool else None
            delivery = Delivery("metrics", switch.endpoint(env, "metrics"))
            _add_metrics(found, env, frame, Sender(settings(env, "metrics"), delivery, keep), keep)
            found.deliveries.append(delivery)
    return found


def add_spooled(
    ways: Ways, env: Mapping[str, str], instance_id: str, dialect: Semconv, spool: Spool
) -> None:
    """Ways into the spool, for the signals that have no other."""
    frame = frame_of(env, instance_id, dialect)
    if switch.spooled(env, "traces"):
        keep = partial(spool.keep, "traces")
        _add_spans(ways, env, frame, Kept(keep), keep, drop=_untold)
    if switch.spooled(env, "metrics"):
        keep = partial(spool.keep, "metrics")
        _add_metrics(ways, env, frame, Kept(keep), keep)


def frame_of(env: Mapping[str, str], instance_id: str, dialect: Semconv) -> Frame:
    """What is around all that a process sends."""
    return Frame(sender(env, instance_id), names.SCOPE, __version__, dialect.schema_url)


def _untold(_count: int) -> None:
    """The spool itself says what it could not keep."""


def _add_spans(
    ways: Ways,
    env: Mapping[str, str],
    frame: Frame,
    taker: RequestTaker,
    keep: Callable[[bytes], bool] | None,
    *,
    drop: Callable[[int], None],
) -> None:
    batches = Batches(frame, taker, limits(env) or Limits(), drop, keep)
    ways.spans = OtlpSpans(batches, sampler(env) or Sampler(1.0, parent_based=True))
    if keep is not None:
        ways.leave["spans"] = batches.leave


def _add_metrics(
    ways: Ways,
    env: Mapping[str, str],
    frame: Frame,
    taker: RequestTaker,
    keep: Callable[[bytes], bool] | None,
) -> None:
    way = OtlpMetrics(frame, taker)
    measures = PeriodicMeasures(env, way)
    ways.measures = measures
    if keep is not None:
        ways.leave["metrics"] = lambda: way.leave(keep, measures.collect())
