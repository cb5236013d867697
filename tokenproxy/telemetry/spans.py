"""Spans with ids, parents and times that were known before. Imports no opentelemetry.

A span is made in one go here: everything it says is known when it is made
(:mod:`tokenproxy.telemetry.span`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from tokenproxy.config import IterationEnd, RunContext
from tokenproxy.record.call import Call
from tokenproxy.record.row import Row, RowPart
from tokenproxy.telemetry import attributes as tell
from tokenproxy.telemetry import semconv as names
from tokenproxy.telemetry.call_attributes import CallAttributes
from tokenproxy.telemetry.semconv import Semconv
from tokenproxy.telemetry.span import (
    SAMPLED,
    Event,
    Link,
    Span,
    SpanContext,
    SpanTaker,
    extracted,
    trace_state,
)
from tokenproxy.telemetry.tree import Group, Placed, Tool

_REMEMBERED_TRACES = 10_000


class Spans:
    """Makes the spans of one run. Used by one thread at a time."""

    def __init__(self, *, run: RunContext, semconv: Semconv, taker: SpanTaker) -> None:
        self._run = run
        self._semconv = semconv
        self._taker = taker
        self._of_calls = CallAttributes(semconv, run)
        self._sampled: OrderedDict[str, bool] = OrderedDict()
        self._inherited = _inherited(run)
        self._place: tuple[str, str] | None = None
        self._above: SpanContext | None = None
        """What hangs below a place hangs on: the last trace and parent asked for."""

    def call(self, call: Call, row: Row | None, placed: Placed) -> SpanContext:
        """Export a call. Returns its context, for the exemplars of its measurements."""
        start = call.start
        end_ns = max(call.end.ended_ns, start.started_ns)
        kind, whose = self._of_calls.shared(call, row)
        linked = start.attribution.traceparent is not None or placed.retry_of is not None
        return self._taker.take(
            Span(
                name=kind.name,
                kind="client",
                trace_id=start.trace_id,
                span_id=start.span_id,
                parent=self._parent(start.trace_id, start.span_id, placed.parent_id),
                start_ns=start.started_ns,
                end_ns=end_ns,
                shared=(kind, whose),
                attributes=self._of_calls.own(call, row),
                events=() if row is None or not row.parts else self._parts(row.parts, end_ns),
                links=_links(call, placed) if linked else (),
                failed=kind.failed,
            )
        )

    def tool(self, tool: Tool) -> SpanContext:
        """Export a tool's run."""
        return self._taker.take(
            Span(
                name=tell.tool_name(tool),
                trace_id=tool.trace_id,
                span_id=tool.span_id,
                parent=self._parent(tool.trace_id, tool.span_id, tool.parent_id),
                start_ns=tool.start_ns,
                end_ns=tool.end_ns,
                attributes=tell.tool_attributes(self._semconv, self._run, tool),
                failed=tool.failed,
            )
        )

    def group(self, group: Group, end: IterationEnd | None = None) -> SpanContext:
        """Export an iteration, turn or agent."""
        status = end.exit_status if end is not None else 0
        return self._taker.take(
            Span(
                name=tell.group_name(group),
                trace_id=group.trace_id,
                span_id=group.span_id,
                parent=self._parent(group.trace_id, group.span_id, group.parent_id),
                start_ns=group.start_ns,
                end_ns=max(group.end_ns, group.start_ns),
                attributes=tell.group_attributes(self._semconv, self._run, group, end),
                failed=bool(status),
                why=f"exit status {status}" if status else None,
            )
        )

    def _parts(self, parts: Sequence[RowPart], at_ns: int) -> Sequence[Event]:
        return [
            Event(names.PART_EVENT, at_ns, tell.part_attributes(self._semconv, part))
            for part in parts
        ]

    def _parent(self, trace_id: str, span_id: str, parent_id: str | None) -> SpanContext | None:
        """Where a span hangs: on a parent which may not be exported yet."""
        if parent_id is None:
            return None
        if span_id == self._run.span_id and self._inherited is not None:
            return self._inherited
        place = trace_id, parent_id
        # Most calls hang where the last one did.
        if place != self._place:
            self._place, self._above = place, self._context(*place)
        return self._above

    def _context(self, trace_id: str, parent_id: str) -> SpanContext:
        flags = SAMPLED if self._decide(trace_id) else 0
        state = self._inherited.state if self._inherited is not None else ""
        return SpanContext(trace_id, parent_id, flags, state)

    def _decide(self, trace_id: str) -> bool:
        """Whether the root of a trace will be sampled: asked before it exists, once a trace.

        Children leave before their root, and whether they are kept is its decision.
        """
        known = self._sampled.get(trace_id)
        if known is not None:
            return known
        above = self._inherited if trace_id == self._run.trace_id else None
        kept = self._taker.keeps(trace_id, above)
        self._sampled[trace_id] = kept
        if len(self._sampled) > _REMEMBERED_TRACES:
            self._sampled.popitem(last=False)
        return kept


def _inherited(run: RunContext) -> SpanContext | None:
    """The iteration's own parent, from another process."""
    if run.gateway or run.parent_span_id is None:
        return None
    return SpanContext(
        run.trace_id,
        run.parent_span_id,
        run.trace_flags,
        trace_state(run.tracestate),
        remote=True,
    )


def _links(call: Call, placed: Placed) -> Sequence[Link]:
    """To the span that the client itself had open, and to the failed attempt that this repeats.

    The client's is a link, since a client spreads over traces.
    """
    traceparent = call.start.attribution.traceparent
    client = extracted(traceparent) if traceparent is not None else None
    links = [] if client is None else [Link(client, {names.LINK: "client"})]
    if placed.retry_of is not None:
        links.append(Link(SpanContext(*placed.retry_of), {names.LINK: "retry_of"}))
    return links
