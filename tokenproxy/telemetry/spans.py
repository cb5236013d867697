"""Spans with ids, parents and times that were known before.

The SDK starts and ends a span in one go here: everything a span says is known when it
is made. Nothing is ever taken from, or left in, the thread's current context.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import msgspec
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, Sampler
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
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

_REMEMBERED_TRACES = 10_000
_PROPAGATOR = TraceContextTextMapPropagator()


class _Place(msgspec.Struct, frozen=True):
    """Where a span stands."""

    trace_id: str
    span_id: str
    parent_id: str | None
    start_ns: int


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

    def call(self, call: Call, row: Row | None, placed: Placed) -> Context:
        """Export a call. Returns its context, for the exemplars of its measurements."""
        start = call.start
        links = [*_client_link(call), *_retry_link(placed)]
        span = self._start(
            tell.call_name(call, row),
            SpanKind.CLIENT,
            _Place(start.trace_id, start.span_id, placed.parent_id, start.started_ns),
            tell.call_attributes(self._semconv, self._run, call, row),
            links,
        )
        ended_ns = max(call.end.ended_ns, start.started_ns)
        for part in (row.parts if row is not None else None) or ():
            span.add_event(
                names.PART_EVENT, tell.part_attributes(self._semconv, part), timestamp=ended_ns
            )
        _end(span, ended_ns, failed=tell.error_type(call, row) is not None)
        return set_span_in_context(span, Context())

    def tool(self, tool: Tool) -> Context:
        """Export a tool's run."""
        span = self._start(
            tell.tool_name(tool),
            SpanKind.INTERNAL,
            _Place(tool.trace_id, tool.span_id, tool.parent_id, tool.start_ns),
            tell.tool_attributes(self._semconv, self._run, tool),
        )
        _end(span, tool.end_ns, failed=tool.failed)
        return set_span_in_context(span, Context())

    def group(self, group: Group, end: IterationEnd | None = None) -> Context:
        """Export an iteration, turn or agent."""
        status = end.exit_status if end is not None else 0
        span = self._start(
            tell.group_name(group),
            SpanKind.INTERNAL,
            _Place(group.trace_id, group.span_id, group.parent_id, group.start_ns),
            tell.group_attributes(self._semconv, self._run, group, end),
        )
        why = f"exit status {status}" if status else None
        _end(span, max(group.end_ns, group.start_ns), failed=bool(status), why=why)
        return set_span_in_context(span, Context())

    def _start(
        self,
        name: str,
        kind: SpanKind,
        place: _Place,
        attributes: Mapping[str, tell.Value],
        links: Sequence[Link] = (),
    ) -> Span:
        context = self._parent(place)
        with self._ids.given(place.trace_id, place.span_id):
            return self._tracer.start_span(
                name,
                context=context,
                kind=kind,
                attributes=dict(attributes),
                links=links,
                start_time=place.start_ns,
            )

    def _parent(self, place: _Place) -> Context:
        """The context a span is started in: that of a parent which may not be exported yet."""
        if place.parent_id is None:
            return Context()
        if place.span_id == self._run.span_id and self._inherited is not None:
            return set_span_in_context(NonRecordingSpan(self._inherited), Context())
        sampled = TraceFlags.SAMPLED if self._decide(place.trace_id) else TraceFlags.DEFAULT
        state = self._inherited.trace_state if self._inherited is not None else None
        parent = SpanContext(
            int(place.trace_id, 16),
            int(place.parent_id, 16),
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


def _end(span: Span, end_ns: int, *, failed: bool, why: str | None = None) -> None:
    """``why``: what ``error.type`` alone does not tell a reader."""
    if failed:
        span.set_status(Status(StatusCode.ERROR, why))
    span.end(end_time=end_ns)
