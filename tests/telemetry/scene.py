"""One iteration with everything in it, for the tests of spans and metrics.

Times are seconds after the run's start. Main agent ``M``, one subagent ``S``:

    0.5 - 2.0   M   asks for Bash (toolu_bash) and Agent (toolu_agent)
    2.2 - 3.0   S   asks for Read (toolu_read)
    3.5 - 4.0   S   carries Read's result, no duration stated: Read ran 3.0 - 3.5
    4.2 - 4.3   M   529 overloaded; carries Bash (1094 ms stated) and Agent (22 ms, an error)
    5.0 - 6.0   M   the same again, attempt 1: complete; billed to two models (compaction)
    6.1 - 6.2   M   count_tokens: no row
    6.3 - 7.0   M   the client leaves in mid-stream: counts are a lower bound
    7.1 - 7.5   -   a call without a turn: hangs on the iteration
    8.0             exit
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tokenproxy.config import IterationEnd, RunContext
from tokenproxy.ids import derived_span_id
from tokenproxy.record.call import Call, CallEnd, CallStart
from tokenproxy.record.make_row import make_row
from tokenproxy.record.row import Row, RowPart
from tokenproxy.wire.usage import (
    Attribution,
    Reading,
    RequestFacts,
    ResponseFacts,
    ToolResult,
    ToolUse,
    UsagePart,
)

T0 = 1_763_770_000_000_000_000
TRACE = "0af7651916cd43dd8448eb211c80319c"
ROOT = "b7ad6b7169203331"
OUTER = "00f067aa0ba902b7"
SESSION = "5f3c1a52-4c8a-4c8e-9f58-0e2f6f0f3c11"
TURN = "turn-1"
AGENT = "a8dafbeb582d237bd"
CLIENT_TRACEPARENT = "00-11111111111111111111111111111111-2222222222222222-01"
SONNET, HAIKU = "claude-sonnet-4-5", "claude-haiku-4-5"

RUN = RunContext(
    run_id="01890000-0000-7000-8000-000000000001",
    trace_id=TRACE,
    span_id=ROOT,
    started_ns=T0,
    parent_span_id=OUTER,
    tracestate="vendor=1",
    story_id="ST-1",
    iteration=3,
    complexity=5,
    project="shop",
    labels={"team": "blue"},
    agent="claude",
)

TURN_SPAN = derived_span_id(TRACE, "turn", TURN)
AGENT_SPAN = derived_span_id(TRACE, "agent", TURN, AGENT)


def at(seconds: float) -> int:
    return T0 + round(seconds * 1e9)


def tool_span(tool_use_id: str) -> str:
    return derived_span_id(TRACE, "tool", tool_use_id)


def call_span(number: int) -> str:
    return f"c0ffee00000000{number:02d}"


def usage(
    role: str = "main",
    model: str | None = None,
    *,
    output: int | None = 55,
    reasoning: int | None = None,
) -> UsagePart:
    return UsagePart(
        role=role,
        model=model,
        uncached_input_tokens=12,
        cache_read_input_tokens=15_000,
        cache_creation_input_tokens=2_050,
        cache_creation_5m_input_tokens=2_000,
        cache_creation_1h_input_tokens=48,
        output_tokens=output,
        reasoning_output_tokens=reasoning,
        server_tool_use={"web_search_requests": 2} if role == "main" else {},
        service_tier="standard",
    )


def complete(
    *parts: UsagePart, model: str = SONNET, uses: Sequence[ToolUse] = (), stop: str = "end_turn"
) -> Reading:
    return Reading(
        model=f"{model}-20250929",
        response_id="msg_1",
        stop_reason=stop,
        parts=parts or (usage(),),
        completeness="final",
        ended=True,
        content_started=True,
        tool_uses=tuple(uses),
    )


def make_call(
    number: int,
    begin: float,
    end: float,
    reading: Reading,
    who: Attribution,
    *,
    trace_id: str = TRACE,
    request: RequestFacts | None = None,
    outcome: str = "complete",
    error: str | None = None,
    status: int = 200,
    **more: object,
) -> Call:
    call = Call(
        start=CallStart(
            call_id=f"call-{number}",
            trace_id=trace_id,
            span_id=call_span(number),
            started_ns=at(begin),
            provider="anthropic",
            dialect="anthropic.messages",
            operation="chat",
            server_address="api.anthropic.com",
            server_port=443,
            attribution=who,
        ),
        end=CallEnd(
            ended_ns=at(end),
            outcome="complete",
            error=error,
            status_code=status,
            stream=True,
            first_content_ns=at(begin + 0.25) if reading.content_started else None,
            request_bytes=48_000,
            response_bytes=2_000,
            reading=reading,
            response=ResponseFacts(request_id=f"req_{number}"),
        ),
        request=request or RequestFacts(model=SONNET, stream=True, max_tokens=4_096),
    )
    ended = msgspec.structs.replace(call.end, outcome=outcome)
    return msgspec.structs.replace(call, end=ended, **more)


MAIN = Attribution(
    session_id=SESSION,
    turn_id=TURN,
    request_class="main",
    client="claude-cli/2.1.330",
    client_request_id="cr-1",
    traceparent=CLIENT_TRACEPARENT,
)
SUB = msgspec.structs.replace(
    MAIN, agent_id=AGENT, agent_type="general-purpose", request_class="subagent"
)


def calls() -> list[Call]:
    results = RequestFacts(
        model=SONNET,
        stream=True,
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        stop_sequences=("END",),
        tool_results=(ToolResult("toolu_bash"), ToolResult("toolu_agent", is_error=True)),
    )
    carries = msgspec.structs.replace(
        MAIN, tool_durations_ms=(("Bash", 1094.0), ("Agent", 22.0)), attempt=0
    )
    uses = (ToolUse("toolu_bash", "Bash"), ToolUse("toolu_agent", "Agent"))
    failed = Reading(error="overloaded_error")
    cut = msgspec.structs.replace(
        complete(usage(output=3, reasoning=2)),
        stop_reason=None,
        completeness="partial",
        ended=False,
    )
    two = complete(usage(reasoning=7), usage("compaction", HAIKU, output=30))
    counting = make_call(6, 6.1, 6.2, Reading(), MAIN)
    return [
        make_call(1, 0.5, 2.0, complete(uses=uses, stop="tool_use"), MAIN),
        make_call(
            2,
            2.2,
            3.0,
            complete(model=HAIKU, uses=[ToolUse("toolu_read", "Read")], stop="tool_use"),
            SUB,
            request=RequestFacts(model=HAIKU, stream=True),
        ),
        make_call(
            3,
            3.5,
            4.0,
            complete(model=HAIKU),
            SUB,
            request=RequestFacts(
                model=HAIKU, stream=True, tool_results=(ToolResult("toolu_read"),)
            ),
        ),
        make_call(
            4,
            4.2,
            4.3,
            failed,
            carries,
            request=results,
            outcome="error",
            error="overloaded_error",
            status=529,
            attempt=0,
        ),
        make_call(
            5,
            5.0,
            6.0,
            two,
            msgspec.structs.replace(carries, attempt=1),
            request=results,
            attempt=1,
            retry_of="call-4",
        ),
        msgspec.structs.replace(
            counting,
            start=msgspec.structs.replace(counting.start, operation="count_tokens", kind="count"),
        ),
        make_call(7, 6.3, 7.0, cut, MAIN, outcome="aborted", error="client_disconnected"),
        make_call(8, 7.1, 7.5, complete(), Attribution(session_id=SESSION)),
    ]


COSTS = {"call-1": 0.0144648, "call-2": 0.00482160, "call-3": 0.00482161, "call-8": 0.1}


def row_of(call: Call, run: RunContext = RUN) -> Row | None:
    """The call's row, with a cost as if prices were known; None for token counting."""
    if call.start.kind != "inference":
        return None
    row = make_row(call, run, None)
    if row.parts is not None:
        return msgspec.structs.replace(
            row, cost_usd=0.0300000011, parts=_priced(row.parts, 0.0200000004, 0.0100000007)
        )
    return msgspec.structs.replace(row, cost_usd=COSTS.get(call.start.call_id))


def _priced(parts: tuple[RowPart, ...], *costs: float) -> tuple[RowPart, ...]:
    return tuple(
        msgspec.structs.replace(part, cost_usd=cost)
        for part, cost in zip(parts, costs, strict=True)
    )


END = IterationEnd(ended_ns=at(8.0), exit_status=0)
