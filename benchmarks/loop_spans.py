"""Spans as agents' loops leave them, for measuring what they weigh."""

from __future__ import annotations

import random
from collections.abc import Iterator

import msgspec
from opentelemetry.sdk.trace import ReadableSpan

from tests.telemetry.memory import Memory
from tests.telemetry.scene import make_call
from tokenproxy.config import IterationEnd, RunContext
from tokenproxy.ids import new_span_id, new_trace_id
from tokenproxy.record.make_row import make_row
from tokenproxy.wire.usage import (
    Attribution,
    Reading,
    RequestFacts,
    ResponseFacts,
    ToolResult,
    ToolUse,
    UsagePart,
)

CALLS = 40
"""Calls of an iteration; all but the last ask for a tool."""
_NS = 1_000_000_000
_LIMITS = ("requests", "tokens", "input-tokens", "output-tokens")
_TOOLS = ("Bash", "Read", "Edit", "Grep", "Write")
_MODELS = ("claude-opus-5-5", "claude-opus-5-5", "claude-haiku-4-5")


def iterations(count: int, start_ns: int, seed: int = 1) -> Iterator[list[ReadableSpan]]:
    """The spans of as many iterations, spread over a day."""
    dice = random.Random(seed)
    for number in range(count):
        yield _iteration(number, start_ns + number * 86_400 * _NS // count, dice)


def _iteration(number: int, start_ns: int, dice: random.Random) -> list[ReadableSpan]:
    run = RunContext(
        run_id=_uuid7(start_ns, dice),
        trace_id=new_trace_id(),
        span_id=new_span_id(),
        started_ns=start_ns,
        story_id=f"US-{number % 300}",
        iteration=number % 9,
        complexity=dice.randrange(1, 9),
        project=f"project-{number % 20}",
        labels={"branch": "main"},
        agent="claude",
    )
    memory = Memory(run=run)
    session, turn = _uuid7(start_ns, dice), _uuid7(start_ns, dice)
    at, used = start_ns + _NS, 12_000
    results: tuple[ToolResult, ...] = ()
    for position in range(CALLS):
        last = position == CALLS - 1
        tool = ToolUse(f"toolu_{dice.getrandbits(120):030x}", dice.choice(_TOOLS))
        new = dice.randrange(200, 4_000)
        model = dice.choice(_MODELS)
        part = UsagePart(
            uncached_input_tokens=dice.randrange(3, 12),
            cache_read_input_tokens=used,
            cache_creation_input_tokens=new,
            cache_creation_5m_input_tokens=new,
            cache_creation_1h_input_tokens=0,
            output_tokens=dice.randrange(30, 2_500),
            service_tier="standard",
        )
        used += new
        reading = Reading(
            model=model,
            response_id=f"msg_{dice.getrandbits(96):024x}",
            stop_reason="end_turn" if last else "tool_use",
            parts=(part,),
            completeness="final",
            ended=True,
            content_started=True,
            tool_uses=() if last else (tool,),
        )
        made = make_call(
            position,
            0,
            1,
            reading,
            Attribution(
                session_id=session,
                turn_id=turn,
                request_class="main",
                client="claude-cli/2.1.330",
                client_request_id=_uuid7(at, dice),
                tool_durations_ms=tuple((tool.name, 900.0) for _ in results),
            ),
            trace_id=run.trace_id,
            request=RequestFacts(model=model, stream=True, max_tokens=32_000, tool_results=results),
        )
        took = dice.randrange(2 * _NS, 20 * _NS)
        start = msgspec.structs.replace(
            made.start, call_id=_uuid7(at, dice), span_id=new_span_id(), started_ns=at
        )
        end = msgspec.structs.replace(
            made.end,
            ended_ns=at + took,
            first_content_ns=at + took // 4,
            request_bytes=used * 4,
            response_bytes=dice.randrange(2_000, 60_000),
            response=ResponseFacts(
                request_id=f"req_{dice.getrandbits(96):024x}",
                organization_id="0a1b2c3d-1111-4222-8333-444455556666",
                rate_limits={
                    f"anthropic-ratelimit-{name}-{what}": value
                    for name in _LIMITS
                    for what, value in (
                        ("limit", "4000000"),
                        ("remaining", str(dice.randrange(4_000_000))),
                        ("reset", "2026-11-22T00:55:00Z"),
                    )
                },
            ),
        )
        call = msgspec.structs.replace(made, start=start, end=end)
        cost = round(dice.randrange(10**8) / 1e9, 9)
        row = msgspec.structs.replace(
            make_row(call, run, None), cost_usd=cost, price_version="genai-prices/0.2.3"
        )
        memory.sink.call(call, row)
        results = (ToolResult(tool.id),)
        at += took + dice.randrange(_NS // 10, 5 * _NS)
    memory.sink.finish(IterationEnd(ended_ns=at, exit_status=0))
    return memory.spans


def _uuid7(unix_ns: int, dice: random.Random) -> str:
    value = dice.getrandbits(80) | (unix_ns // 1_000_000) << 80
    value = value & ~(0xF << 76) | 7 << 76
    digits = f"{value & ~(0x3 << 62) | 0x2 << 62:032x}"
    return "-".join(
        digits[start:end] for start, end in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))
    )
