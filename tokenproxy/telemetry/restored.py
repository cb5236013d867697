"""From a ledger row back to the call and the run that it tells of. Imports no opentelemetry.

The row was made of the two (:mod:`tokenproxy.record.make_row`); what it did not keep is
unknown again: the request's parameters, the provider's host, the tools that were asked
for and their results, the client's own trace, the account and its limits, what a
compaction was set off by, and of the run the command, its start, its end and the trace
that it was a part of. Times are the row's: the start to the millisecond, the end to the
microsecond after it.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import cast

import msgspec

from tokenproxy.config import RunContext
from tokenproxy.ids import DERIVED_VERSION, iteration_span_id
from tokenproxy.record.call import Call, CallEnd, CallStart, Kind, Outcome
from tokenproxy.record.row import Row, of_gateway
from tokenproxy.wire.usage import Attribution, Reading, RequestFacts, ResponseFacts

_MS = 1_000_000
_TRACE_BITS, _SPAN_BITS = 128, 64


def restored_row(found: object) -> Row | None:
    """The row of a call that has a span; None if this is none.

    An older tool's rows have no ids. An id that is no id would be refused with all
    that is sent beside it.
    """
    try:
        row = msgspec.convert(found, Row)
        started_ns(row)
    except (msgspec.ValidationError, ValueError, OverflowError):
        return None
    told = _is_id(row.trace_id, _TRACE_BITS) and _is_id(row.span_id, _SPAN_BITS)
    return row if told and row.latency_ms >= 0 else None


def started_ns(row: Row) -> int:
    """The call's start, Unix time in nanoseconds.

    Raises:
        ValueError: The timestamp is none.
    """
    moment = datetime.fromisoformat(row.timestamp)
    since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - datetime.fromtimestamp(
        0, UTC
    )
    return (since.days * 86_400 + since.seconds) * 1000 * _MS + since.microseconds * 1000


def restored_run(row: Row) -> RunContext:
    """The run of a row, and of all rows with its run and trace id.

    The iteration's span id is the run's own, which follows from its ids.
    """
    trace_id = row.trace_id or ""
    return RunContext(
        run_id=row.run_id,
        trace_id=trace_id,
        span_id=iteration_span_id(trace_id, row.run_id),
        started_ns=started_ns(row),
        story_id=row.story_id,
        iteration=row.iteration,
        complexity=row.complexity,
        project=row.project,
        labels=row.labels or {},
        gateway=of_gateway(row.iteration, row.story_id, row.project),
    )


def restored_call(row: Row) -> Call:
    """The call of a row."""
    began_ns = started_ns(row)
    return Call(
        start=CallStart(
            call_id=row.call_id,
            trace_id=row.trace_id or "",
            span_id=row.span_id or "",
            started_ns=began_ns,
            provider=row.provider,
            dialect="",
            operation=row.operation,
            kind=_kind(row),
            server_address="",
            server_port=0,
            attribution=Attribution(
                session_id=row.session_id,
                turn_id=row.turn_id,
                agent_id=row.agent_id,
                parent_agent_id=row.parent_agent_id,
                agent_type=row.agent_type,
                request_class=row.request_class,
                client_request_id=row.client_request_id,
                attempt=row.attempt,
                tool_durations_ms=tuple(
                    (tool.name, tool.duration_ms) for tool in row.tool_durations or ()
                ),
                client=row.client,
            ),
        ),
        end=CallEnd(
            ended_ns=began_ns + round(row.latency_ms * _MS),
            outcome=cast("Outcome", row.outcome),
            error=row.error,
            status_code=row.status_code,
            stream=row.stream,
            first_content_ns=None if row.ttft_ms is None else began_ns + round(row.ttft_ms * _MS),
            request_bytes=row.request_bytes or 0,
            response_bytes=row.response_bytes or 0,
            reading=Reading(
                model=_served(row), response_id=row.response_id, stop_reason=row.stop_reason
            ),
            response=ResponseFacts(request_id=row.request_id),
        ),
        request=RequestFacts(
            model=row.requested_model, stream=row.stream, session_id=row.session_id
        ),
        attempt=row.attempt,
        retry_of=row.retry_of,
        fallback_used=row.fallback_used,
    )


def _served(row: Row) -> str | None:
    """The model that the answer named. Without any answer the row names the requested one."""
    answered = row.response_id is not None or row.completeness != "none"
    return row.model or None if answered or row.model != row.requested_model else None


def _kind(row: Row) -> Kind:
    """Answers that were fetched again bear a call id that follows from their own."""
    try:
        derived = uuid.UUID(row.call_id).version == DERIVED_VERSION
    except ValueError:
        derived = False
    return "batch_results" if derived else "inference"


def _is_id(text: str | None, bits: int) -> bool:
    """Hex digits of that many bits, not all zero (W3C Trace Context)."""
    try:
        return text is not None and len(text) == bits // 4 and int(text, 16) > 0
    except ValueError:
        return False
