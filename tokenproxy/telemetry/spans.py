"""Spans with ids, parents and times that were known before.

A span is started and ended in one go here: everything it says is known when it is made
(:mod:`tokenproxy.telemetry.whole`). Nothing is ever taken from, or left in, the thread's
current context.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Tracer as SdkTracer
from opentelemetry.sdk.trace.sampling import Decision, Sampler
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    TraceFlags,
    Tracer,
    TraceState,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tokenproxy.config import IterationEnd, RunContext
from tokenproxy.record.call import Call
from tokenproxy.record.row import Row
from tokenproxy.telemetry import attributes as tell
from tokenproxy.telemetry import semconv as names
from tokenproxy.telemetry.ids import GivenIds
from tokenproxy.telemetry.semconv import Semconv
from tokenproxy.telemetry.tree import Group, Placed, Tool
from tokenproxy.telemetry.whole import Whole, WholeSpans

_REMEMBERED_TRACES = 10_000
_PROPAGATOR = TraceContextTextMapPropagator()


class Spans:
    """Makes the spans of one run. Used by one thread at a time."""

    def __init__(
        self, *, run: RunContext, semconv: Semconv, tracer: Tracer, sampler: Sampler, ids: GivenIds
    ) -> None:
        self._run = run
        self._semconv = semconv
        self._tracer = tracer
        self._sampler = sampler
        self._ids = ids
        self._sampled: OrderedDict[str, bool] = OrderedDict()
        self._inherited = _inherited(run)
        self._whole = WholeSpans(tracer, semconv) if isinstance(tracer, SdkTracer) else None
        self._place: tuple[str, str] | None = None
        self._above = Context()
        """What hangs below a place is started in: the last trace and parent asked for."""

    def call(self, call: Call, row: Row | None, placed: Placed) -> Context:
        """Export a call. Returns its context, for the exemplars of its measurements."""
        start = call.start
        span = Whole(
            tell.call_name(call, row),
            SpanKind.CLIENT,
            start.trace_id,
            start.span_id,
            start.started_ns,
            max(call.end.ended_ns, start.started_ns),
            tell.call_attributes(self._semconv, self._run, call, row),
            failed=tell.error_type(call, row) is not None,
        )
        parts = (row.parts if row is not None else None) or ()
        links = [*_client_link(call), *_retry_link(placed)]
        return self._tell(
            span,
            placed.parent_id,
            links,
            [tell.part_attributes(self._semconv, part) for part in parts],
        )

    def tool(self, tool: Tool) -> Context:
        """Export a tool's run."""
        span = Whole(
            tell.tool_name(tool),
            SpanKind.INTERNAL,
            tool.trace_id,
            tool.span_id,
            tool.start_ns,
            tool.end_ns,
            tell.tool_attributes(self._semconv, self._run, tool),
            failed=tool.failed,
        )
        return self._tell(span, tool.parent_id)

    def group(self, group: Group, end: IterationEnd | None = None) -> Context:
        """Export an iteration, turn or agent."""
        status = end.exit_status if end is not None else 0
        span = Whole(
            tell.group_name(group),
            SpanKind.INTERNAL,
            group.trace_id,
            group.span_id,
            group.start_ns,
            max(group.end_ns, group.start_ns),
            tell.group_attributes(self._semconv, self._run, group, end),
            failed=bool(status),
            why=f"exit status {status}" if status else None,
        )
        return self._tell(span, group.parent_id)

    def _tell(
        self,
        span: Whole,
        parent_id: str | None,
        links: Sequence[Link] = (),
        parts: Sequence[tell.Attributes] = (),
    ) -> Context:
        parent = self._parent(span, parent_id)
        whole = self._whole
        if whole is not None and not links and not parts and whole.takes(span.attributes):
            return set_span_in_context(NonRecordingSpan(whole.tell(span, parent)), Context())
        with self._ids.given(span.trace_id, span.span_id):
            opened = self._tracer.start_span(
                span.name,
                context=parent,
                kind=span.kind,
                attributes=span.attributes,
                links=links,
                start_time=span.start_ns,
            )
        for part in parts:
            opened.add_event(names.PART_EVENT, part, timestamp=span.end_ns)
        if span.failed:
            opened.set_status(span.status)
        opened.end(end_time=span.end_ns)
        return set_span_in_context(opened, Context())

    def _parent(self, span: Whole, parent_id: str | None) -> Context:
        """The context a span is started in: that of a parent which may not be exported yet."""
        if parent_id is None:
            return Context()
        if span.span_id == self._run.span_id and self._inherited is not None:
            return set_span_in_context(NonRecordingSpan(self._inherited), Context())
        place = span.trace_id, parent_id
        # Most calls hang where the last one did.
        if place != self._place:
            self._place, self._above = place, self._context(*place)
        return self._above

    def _context(self, trace_id: str, parent_id: str) -> Context:
        sampled = TraceFlags.SAMPLED if self._decide(trace_id) else TraceFlags.DEFAULT
        state = self._inherited.trace_state if self._inherited is not None else None
        parent = SpanContext(
            int(trace_id, 16),
            int(parent_id, 16),
            is_remote=False,
            trace_flags=TraceFlags(sampled),
            trace_state=state,
        )
        return set_span_in_context(NonRecordingSpan(parent), Context())

    def _decide(self, trace_id: str) -> bool:
        """Whether the root of a trace will be sampled: asked before it exists, once a trace.

        Children leave before their root, and whether they are kept is its decision.
        """
        known = self._sampled.get(trace_id)
        if known is not None:
            return known
        above = Context()
        if self._inherited is not None and trace_id == self._run.trace_id:
            above = set_span_in_context(NonRecordingSpan(self._inherited), above)
        result = self._sampler.should_sample(
            above,
            int(trace_id, 16),
            names.INVOKE_AGENT,
            SpanKind.INTERNAL,
            {self._semconv.operation: names.INVOKE_AGENT},
        )
        self._sampled[trace_id] = result.decision is Decision.RECORD_AND_SAMPLE
        if len(self._sampled) > _REMEMBERED_TRACES:
            self._sampled.popitem(last=False)
        return self._sampled[trace_id]


def _inherited(run: RunContext) -> SpanContext | None:
    """The iteration's own parent, from another process."""
    if run.gateway or run.parent_span_id is None:
        return None
    return SpanContext(
        int(run.trace_id, 16),
        int(run.parent_span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(run.trace_flags),
        trace_state=TraceState.from_header([run.tracestate]) if run.tracestate else None,
    )


def _client_link(call: Call) -> list[Link]:
    """To the span that the client itself had open: a link, since a client spreads over traces."""
    who = call.start.attribution
    if who.traceparent is None:
        return []
    carrier = {"traceparent": who.traceparent, "tracestate": who.tracestate or ""}
    context = get_current_span(_PROPAGATOR.extract(carrier, Context())).get_span_context()
    return [Link(context, {names.LINK: "client"})] if context.is_valid else []


def _retry_link(placed: Placed) -> list[Link]:
    """To the failed attempt that this call repeats."""
    if placed.retry_of is None:
        return []
    trace_id, span_id = placed.retry_of
    failed = SpanContext(
        int(trace_id, 16),
        int(span_id, 16),
        is_remote=False,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )
    return [Link(failed, {names.LINK: "retry_of"})]
