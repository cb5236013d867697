"""Spans through the SDK: its sampler, its limits, its processors.

The SDK's way to a span is made for one that is open while code runs: attributes that may
be added by several threads, cleaned one by one, and a copy of it all at its end. Ours are
whole when they come; so the sampler is asked, and the processors get the same span as from
:meth:`Tracer.start_span` and ``end``, at a third of the time. What the SDK would have to cut
down (``OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT`` and its kin) is left to it.
"""

from __future__ import annotations

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, Tracer, TracerProvider
from opentelemetry.sdk.trace.sampling import Decision, SamplingResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)
from opentelemetry.trace import SpanContext as SdkContext

from tokenproxy import __version__
from tokenproxy.telemetry import semconv as names
from tokenproxy.telemetry.attributes import text
from tokenproxy.telemetry.sdk.ids import GivenIds
from tokenproxy.telemetry.semconv import Semconv
from tokenproxy.telemetry.span import Attributes, Span, SpanContext, Value

_KINDS = {"internal": SpanKind.INTERNAL, "client": SpanKind.CLIENT}


class SdkSpans:
    """A way out for spans.

    Args:
        provider: made with ``ids``.
        semconv: the dialect, for the schema.
        ids: gives the spans their own ids.
    """

    def __init__(self, provider: TracerProvider, semconv: Semconv, ids: GivenIds) -> None:
        self.told = 0
        """Spans that were sampled."""
        self._provider = provider
        self._operation = semconv.operation
        self._ids = ids
        tracer = provider.get_tracer(names.SCOPE, __version__, semconv.schema_url)
        if not isinstance(tracer, Tracer):
            raise TypeError(tracer)  # OTEL_SDK_DISABLED, which is looked at before
        self._tracer = tracer
        self._scope = InstrumentationScope(names.SCOPE, __version__, semconv.schema_url)
        limits = SpanLimits()
        self._most_attributes = limits.max_span_attributes
        self._cuts_values = limits.max_span_attribute_length is not None
        self._asked: tuple[SpanContext | None, Context] = None, Context()

    def keeps(self, trace_id: str, parent: SpanContext | None) -> bool:
        """As the sampler decides of an agent's span."""
        attributes: Attributes = {self._operation: names.INVOKE_AGENT}
        result = self._sample(trace_id, parent, names.INVOKE_AGENT, SpanKind.INTERNAL, attributes)
        return result.decision is Decision.RECORD_AND_SAMPLE

    def take(self, span: Span) -> SpanContext:
        """Tell the processors, as the sampler decides."""
        attributes = _clean(span.told)
        whole = not (span.links or span.events) and self._fits(attributes)
        told = (self._tell if whole else self._start_and_end)(span, attributes)
        self.told += bool(told.trace_flags & TraceFlags.SAMPLED)
        return SpanContext(
            span.trace_id,
            span.span_id,
            int(told.trace_flags),
            span.parent.state if span.parent is not None else "",
        )

    def shutdown(self) -> None:
        """Export what is left."""
        self._provider.shutdown()

    def _fits(self, attributes: Attributes) -> bool:
        """Whether the SDK's limits leave these as they are."""
        if self._cuts_values:
            return False
        return self._most_attributes is None or len(attributes) <= self._most_attributes

    def _tell(self, span: Span, attributes: Attributes) -> SdkContext:
        tracer, above = self._tracer, span.parent
        kind = _KINDS[span.kind]
        result = self._sample(span.trace_id, above, span.name, kind, attributes)
        kept = result.decision is Decision.RECORD_AND_SAMPLE
        flags = TraceFlags.SAMPLED if kept else TraceFlags.DEFAULT
        random = TraceFlags.RANDOM_TRACE_ID
        if above.flags & random if above else tracer.id_generator.is_trace_id_random():
            flags |= random
        context = SdkContext(
            int(span.trace_id, 16),
            int(span.span_id, 16),
            is_remote=False,
            trace_flags=TraceFlags(flags),
            trace_state=result.trace_state,
        )
        if result.decision is not Decision.DROP:
            tracer.span_processor.on_end(
                ReadableSpan(
                    span.name,
                    context,
                    sdk_context(above) if above is not None else None,
                    tracer.resource,
                    dict(result.attributes),
                    kind=kind,
                    status=_status(span),
                    start_time=span.start_ns,
                    end_time=span.end_ns,
                    instrumentation_scope=self._scope,
                )
            )
        return context

    def _start_and_end(self, span: Span, attributes: Attributes) -> SdkContext:
        with self._ids.given(span.trace_id, span.span_id):
            opened = self._tracer.start_span(
                span.name,
                context=self._within(span.parent),
                kind=_KINDS[span.kind],
                attributes=attributes,
                links=[Link(sdk_context(link.to), link.attributes) for link in span.links],
                start_time=span.start_ns,
            )
        for event in span.events:
            opened.add_event(event.name, _clean(event.attributes), timestamp=event.at_ns)
        if span.failed:
            opened.set_status(_status(span))
        opened.end(end_time=span.end_ns)
        return opened.get_span_context()

    def _sample(
        self,
        trace_id: str,
        parent: SpanContext | None,
        name: str,
        kind: SpanKind,
        attributes: Attributes,
    ) -> SamplingResult:
        return self._tracer.sampler.should_sample(
            self._within(parent), int(trace_id, 16), name, kind, attributes, ()
        )

    def _within(self, parent: SpanContext | None) -> Context:
        """The SDK's context with this span in it. Most calls hang where the last one did."""
        if self._asked[0] is not parent:
            self._asked = parent, within(parent)
        return self._asked[1]


def within(span: SpanContext | None) -> Context:
    """The SDK's context with this span in it; an empty one for None."""
    if span is None:
        return Context()
    return set_span_in_context(NonRecordingSpan(sdk_context(span)), Context())


def sdk_context(span: SpanContext) -> SdkContext:
    """The same in the SDK's type."""
    return SdkContext(
        int(span.trace_id, 16),
        int(span.span_id, 16),
        is_remote=span.remote,
        trace_flags=TraceFlags(span.flags),
        trace_state=TraceState.from_header([span.state]) if span.state else None,
    )


def _clean(attributes: Attributes) -> Attributes:
    """In valid UTF-8."""
    return {name: _cleaned(value) for name, value in attributes.items()}


def _cleaned(value: Value) -> Value:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, (bool, int, float)):
        return value
    return tuple(text(item) for item in value)


def _status(span: Span) -> Status:
    if not span.failed:
        return Status(StatusCode.UNSET)
    return Status(StatusCode.ERROR, span.why)
