"""Spans that are whole when they are made: told to the processors without having been open.

The SDK's way to a span is made for one that is open while code runs: attributes that may
be added by several threads, cleaned one by one, and a copy of it all at its end. Of a
call everything is known when its span is made, and clean; so the SDK's sampler is asked,
and its processors get the same span as from :meth:`Tracer.start_span` and ``end``, at a
third of the time. What the SDK would have to cut down (``OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT``
and its kin) is left to it.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, Tracer
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    get_current_span,
)

from tokenproxy import __version__
from tokenproxy.telemetry.attributes import Attributes
from tokenproxy.telemetry.semconv import SCOPE, Semconv

_UNSET = Status(StatusCode.UNSET)
_ERROR = Status(StatusCode.ERROR)


class Whole(msgspec.Struct, frozen=True):
    """All that a span says, beside where it hangs."""

    name: str
    kind: SpanKind
    trace_id: str
    span_id: str
    """Hex digits."""
    start_ns: int
    end_ns: int
    attributes: Attributes
    failed: bool = False
    why: str | None = None
    """What ``error.type`` alone does not tell a reader."""

    @property
    def status(self) -> Status:
        """As the span has it."""
        if not self.failed:
            return _UNSET
        return Status(StatusCode.ERROR, self.why) if self.why else _ERROR


class WholeSpans:
    """Tells the processors of a tracer."""

    def __init__(self, tracer: Tracer, semconv: Semconv) -> None:
        self._tracer = tracer
        self._scope = InstrumentationScope(SCOPE, __version__, semconv.schema_url)
        limits = SpanLimits()
        most = limits.max_span_attributes
        self._most = 0 if limits.max_span_attribute_length is not None else most

    def takes(self, attributes: Mapping[str, object]) -> bool:
        """Whether the SDK's limits leave these as they are."""
        return self._most is None or len(attributes) <= self._most

    def tell(self, span: Whole, parent: Context) -> SpanContext:
        """Tell a span below the one in ``parent``, or a root; as the sampler decides."""
        tracer, above = self._tracer, get_current_span(parent).get_span_context()
        trace_id = above.trace_id if above.is_valid else int(span.trace_id, 16)
        sampled = tracer.sampler.should_sample(
            parent, trace_id, span.name, span.kind, span.attributes, ()
        )
        kept = sampled.decision is Decision.RECORD_AND_SAMPLE
        flags = TraceFlags.SAMPLED if kept else TraceFlags.DEFAULT
        if above.trace_flags.random_trace_id if above.is_valid else self._random():
            flags |= TraceFlags.RANDOM_TRACE_ID
        context = SpanContext(
            trace_id,
            int(span.span_id, 16),
            is_remote=False,
            trace_flags=TraceFlags(flags),
            trace_state=sampled.trace_state,
        )
        if sampled.decision is not Decision.DROP:
            tracer.span_processor.on_end(
                ReadableSpan(
                    span.name,
                    context,
                    above if above.is_valid else None,
                    tracer.resource,
                    dict(sampled.attributes),
                    kind=span.kind,
                    status=span.status,
                    start_time=span.start_ns,
                    end_time=span.end_ns,
                    instrumentation_scope=self._scope,
                )
            )
        return context

    def _random(self) -> bool:
        return self._tracer.id_generator.is_trace_id_random()
