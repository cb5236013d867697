"""A large ledger as a team's gateway writes it, and the same calls as Claude Code's transcripts.

    python -m benchmarks.ledger_rows ROWS LEDGER [TRANSCRIPTS]

The same number of rows is the same bytes each time.
"""

from __future__ import annotations

import random
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from tokenproxy.record.row import SCHEMA, Row, RowPart, encode_lines

FIRST_MS = 1_795_308_895_830
"""Start of the first call, milliseconds since the epoch: 2026-11-22."""
SPAN_MS = 30 * 86_400_000
"""A month in all."""
BATCH = 2_000
RUN_CALLS = 50
MODELS = {
    # Model -> its share, and dollars per million tokens: input, read, written, output.
    "claude-opus-4-5": (25, (5.0, 0.5, 6.25, 25.0)),
    "claude-sonnet-4-5": (50, (3.0, 0.3, 3.75, 15.0)),
    "claude-haiku-4-5": (25, (1.0, 0.1, 1.25, 5.0)),
}
FAILED, PARTS, LABELLED, SUBAGENT = 0.02, 0.01, 0.5, 0.3
"""Shares of calls that fail, that bill two models, of runs with labels, of calls by subagents."""
MILLION = 1_000_000
NAMES = tuple(MODELS)
WEIGHTS = tuple(share for share, _ in MODELS.values())


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What both files tell of a call."""

    started_ms: int
    run: int
    run_ms: int
    model: str
    uncached: int
    read: int
    written: int
    output: int
    failed: bool

    @property
    def cost_usd(self) -> float:
        """By the table above."""
        prices = MODELS[self.model][1]
        counts = (self.uncached, self.read, self.written, self.output)
        return sum(price * n for price, n in zip(prices, counts, strict=True)) / MILLION


def calls(count: int) -> Iterator[tuple[Call, random.Random]]:
    """Calls in their order, and the dice that the rest of a row is thrown with."""
    dice = random.Random(count)
    for number in range(count):
        call = Call(
            started_ms=FIRST_MS + number * SPAN_MS // count,
            run=number // RUN_CALLS,
            run_ms=FIRST_MS + number // RUN_CALLS * RUN_CALLS * SPAN_MS // count,
            model=dice.choices(NAMES, WEIGHTS)[0],
            uncached=dice.randrange(2, 900),
            read=dice.randrange(8_000, 160_000),
            written=dice.randrange(200, 6_000),
            output=dice.randrange(20, 2_000),
            failed=dice.random() < FAILED,
        )
        yield call, dice


def write_ledger(count: int, path: Path) -> None:
    """Write that many rows."""
    encoder = msgspec.json.Encoder()
    with path.open("wb") as file:
        rows: list[Row] = []
        for call, dice in calls(count):
            rows.append(_row(call, dice))
            if len(rows) == BATCH:
                file.write(encode_lines(encoder, rows))
                rows.clear()
        if rows:
            file.write(encode_lines(encoder, rows))


def write_transcripts(count: int, directory: Path) -> None:
    """Write what Claude Code would have of the calls that succeeded: a file a session."""
    project = directory / "projects" / "-home-dev-shop"
    project.mkdir(parents=True)
    encoder = msgspec.json.Encoder()
    lines: list[dict[str, Any]] = []
    session = ""
    for number, (call, dice) in enumerate(calls(count)):
        _row(call, dice)  # the dice must fall as they do for the ledger
        mine = _session(call)
        if mine != session and lines:
            (project / f"{session}.jsonl").write_bytes(encoder.encode_lines(lines))
            lines.clear()
        session = mine
        if not call.failed:
            lines.append(_transcript_line(call, number, session))
    if lines:
        (project / f"{session}.jsonl").write_bytes(encoder.encode_lines(lines))


def _row(call: Call, dice: random.Random) -> Row:
    number = call.run
    main = dice.random() >= SUBAGENT
    latency_ms = round(dice.uniform(700, 20_000), 3)
    session = _session(call)
    told: dict[str, Any] = {
        "timestamp": _timestamp(call.started_ms),
        "story_id": f"US-{number % 97}",
        "iteration": number % 13,
        "provider": "anthropic",
        "model": call.model,
        "complexity": 3,
        "latency_ms": latency_ms,
        "fallback_used": False,
        "schema": SCHEMA,
        "run_id": _uuid7(call.run_ms, random.Random(number)),
        "call_id": _uuid7(call.started_ms, dice),
        "operation": "chat",
        "requested_model": call.model,
        "request_id": f"req_{dice.getrandbits(96):024x}",
        "session_id": session,
        "turn_id": f"{dice.getrandbits(128):032x}",
        "agent_id": None if main else f"agent-{number % 7}",
        "agent_type": None if main else "Explore",
        "request_class": "main" if main else "subagent",
        "attempt": 0,
        "stream": True,
        "request_bytes": dice.randrange(20_000, 400_000),
        "trace_id": f"{number:032x}",
        "span_id": f"{dice.getrandbits(64):016x}",
        "project": "shop",
        "labels": {"team": f"t{number % 5}"} if number % 2 < 2 * LABELLED - 0.5 else None,
        "client": "claude-cli/2.0.14 (external, cli)",
    }
    if call.failed:
        return Row(
            **told, success=False, error="overloaded_error", outcome="error",
            completeness="none", status_code=529, response_bytes=120,
        )  # fmt: skip
    parts = _parts(call) if dice.random() < PARTS else None
    return Row(
        **told,
        input_tokens=call.uncached + call.read + call.written,
        output_tokens=call.output,
        cost_usd=call.cost_usd,
        success=True,
        outcome="complete",
        completeness="final",
        response_id=f"msg_{dice.getrandbits(96):024x}",
        uncached_input_tokens=call.uncached,
        cache_read_input_tokens=call.read,
        cache_creation_input_tokens=call.written,
        cache_creation_5m_input_tokens=call.written,
        service_tier="standard",
        stop_reason="tool_use",
        parts=parts,
        status_code=200,
        ttft_ms=round(latency_ms / 5, 3),
        response_bytes=call.output * 40,
        price_version="2026-11-20",
        usage=[_usage(call)],
    )


def _parts(call: Call) -> tuple[RowPart, ...]:
    """The call's tokens as two models' work."""
    half = call.output // 2
    advisor = RowPart(
        model="claude-haiku-4-5", role="advisor", input_tokens=0, output_tokens=half,
        cost_usd=half * 5.0 / MILLION,
    )  # fmt: skip
    main = RowPart(
        model=call.model, role="main", input_tokens=call.uncached + call.read + call.written,
        output_tokens=call.output - half, uncached_input_tokens=call.uncached,
        cache_read_input_tokens=call.read, cache_creation_input_tokens=call.written,
        cost_usd=call.cost_usd,
    )  # fmt: skip
    return (main, advisor)


def _usage(call: Call) -> dict[str, Any]:
    """As the API states it."""
    return {
        "input_tokens": call.uncached,
        "cache_creation_input_tokens": call.written,
        "cache_read_input_tokens": call.read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": call.written,
            "ephemeral_1h_input_tokens": 0,
        },
        "output_tokens": call.output,
        "service_tier": "standard",
    }


def _transcript_line(call: Call, number: int, session: str) -> dict[str, Any]:
    return {
        "parentUuid": None,
        "isSidechain": False,
        "userType": "external",
        "cwd": "/srv/shop",
        "sessionId": session,
        "version": "2.0.14",
        "type": "assistant",
        "uuid": str(uuid.UUID(int=number)),
        "timestamp": _timestamp(call.started_ms),
        "requestId": f"req_{number:024x}",
        "message": {
            "id": f"msg_{number:024x}",
            "type": "message",
            "role": "assistant",
            "model": call.model,
            "content": [{"type": "text", "text": "Done."}],
            "stop_reason": "tool_use",
            "usage": _usage(call),
        },
    }


def _session(call: Call) -> str:
    return str(uuid.UUID(int=call.run + 1))


def _timestamp(ms: int) -> str:
    moment = datetime.fromtimestamp(ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"


def _uuid7(ms: int, dice: random.Random) -> str:
    bits = ms << 80 | 7 << 76 | dice.getrandbits(12) << 64 | 2 << 62 | dice.getrandbits(62)
    return str(uuid.UUID(int=bits))


if __name__ == "__main__":
    write_ledger(int(sys.argv[1]), Path(sys.argv[2]))
    if len(sys.argv) > 3:  # noqa: PLR2004 - the third argument
        write_transcripts(int(sys.argv[1]), Path(sys.argv[3]))
