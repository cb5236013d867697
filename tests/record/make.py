"""Calls and runs to test with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenproxy import ids
from tokenproxy.config import RunContext
from tokenproxy.record.call import Call, CallEnd, CallStart, Kind, Outcome
from tokenproxy.wire.usage import Attribution, Reading, RequestFacts, UsagePart

T0 = 1_795_308_895_830_000_000
"""2026-11-22T00:54:55.830Z"""
SECOND = 1_000_000_000

MODEL = "claude-opus-5-5"
RUN = RunContext(
    run_id="0193-run",
    trace_id="0" * 31 + "1",
    span_id="0" * 15 + "1",
    started_ns=T0,
    story_id="US-7",
    iteration=3,
    complexity=5,
    project="loom",
)


def part(**counts: Any) -> UsagePart:
    return UsagePart(
        **({"uncached_input_tokens": 3, "output_tokens": 5} | counts),
    )


def reading(*parts: UsagePart, **fields: Any) -> Reading:
    usual: dict[str, Any] = {
        "model": MODEL,
        "response_id": "msg_1",
        "stop_reason": "end_turn",
        "parts": parts or (part(),),
        "usage": [{"input_tokens": 3, "output_tokens": 5}],
        "completeness": "final",
        "ended": True,
    }
    return Reading(**(usual | fields))


def start(
    call_id: str | None = None,
    *,
    at: float = 0.0,
    kind: Kind = "inference",
    who: Attribution | None = None,
    provider: str = "anthropic",
) -> CallStart:
    return CallStart(
        call_id=call_id or ids.uuid7(),
        trace_id=RUN.trace_id,
        span_id=ids.new_span_id(),
        started_ns=T0 + int(at * SECOND),
        provider=provider,
        dialect="fake",
        operation="chat",
        kind=kind,
        server_address="api.anthropic.com",
        server_port=443,
        attribution=who or Attribution(),
    )


def end(
    outcome: Outcome = "complete", *, at: float = 1.0, read: Reading | None = None, **fields: Any
) -> CallEnd:
    whole = outcome == "complete"
    usual: dict[str, Any] = {
        "ended_ns": T0 + int(at * SECOND),
        "outcome": outcome,
        "error": None if whole else "overloaded_error",
        "status_code": 200 if whole else 529,
        "reading": read or (reading() if whole else Reading()),
    }
    return CallEnd(**(usual | fields))


def call(
    begun: CallStart | None = None,
    ended: CallEnd | None = None,
    *,
    request: RequestFacts | None = None,
    **fields: Any,
) -> Call:
    return Call(
        start=begun or start(),
        end=ended or end(),
        request=request or RequestFacts(model=MODEL, stream=True),
        **fields,
    )


def names(directory: Path) -> list[str]:
    """What lies in a directory; nothing does in one that is gone."""
    return sorted(path.name for path in directory.iterdir()) if directory.exists() else []
