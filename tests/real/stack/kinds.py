"""Calls of every kind that a report can tell apart, with their rows and their spans."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
from opentelemetry.sdk.trace import ReadableSpan

from tests.telemetry.memory import Memory
from tests.telemetry.scene import make_call
from tokenproxy.config import RunContext
from tokenproxy.ids import new_span_id, new_trace_id
from tokenproxy.record.call import Call
from tokenproxy.record.make_row import make_row
from tokenproxy.record.row import Row
from tokenproxy.telemetry.semconv import DIALECTS
from tokenproxy.wire.usage import Attribution, Reading, RequestFacts, UsagePart

MODELS = ("claude-opus-5-5", "claude-haiku-4-5", "gpt-6", "unheard-of")
PROVIDERS = ("anthropic", "google", "openai", "openrouter", "gcp.vertex_ai", "llm.example.net")
START_MS = 1_793_400_000_000
"""2026-10-30, so that weeks, a month and a change of the clocks lie within."""
DAYS = 40


@dataclass(frozen=True)
class Told:
    """A call as the ledger and as telemetry tell it."""

    row: Row | None
    spans: tuple[ReadableSpan, ...]


class Kinds:
    """Calls by a seed: the same every time."""

    def __init__(self, seed: int = 7) -> None:
        """Of the randomness that ``seed`` gives."""
        self._random = random.Random(seed)
        self._runs = tuple(self._make_runs())

    def calls(self, count: int) -> Iterator[tuple[Told, Told]]:
        """Each call as it ended, and as it was told while less of it was known."""
        for number in range(count):
            yield self._call(number)

    def _make_runs(self) -> Iterator[RunContext]:
        labels: tuple[dict[str, str], ...] = (
            {},
            {"team": "blue"},
            {"team": "", "cost centre": 'a,"b'},
            {"team": "green"},
        )
        for number in range(12):
            yield RunContext(
                run_id=self._uuid(START_MS + number, 7),
                trace_id=new_trace_id(),
                span_id=new_span_id(),
                started_ns=START_MS * 1_000_000,
                story_id=("", "US-1", "US-2", "ß 🦊")[number % 4],
                iteration=0 if number == 11 else number % 5,
                project=(None, "shop", "")[number % 3],
                labels=labels[number % 4],
                gateway=number == 11,
                agent="claude",
            )

    def _call(self, number: int) -> tuple[Told, Told]:
        dice = self._random
        run = dice.choice(self._runs)
        begin_ns = (START_MS * 1_000_000) + dice.randrange(DAYS * 86_400) * 1_000_000_000
        begin_ns += dice.randrange(1_000_000_000)
        end_ns = begin_ns + dice.randrange(1_000, 90_000_000_000)
        made = make_call(number, 0, 1, self._reading(number), self._who(), request=self._request())
        provider = dice.choice(PROVIDERS)
        start = msgspec.structs.replace(
            made.start,
            call_id=self._call_id(number, begin_ns // 1_000_000),
            started_ns=begin_ns,
            span_id=new_span_id(),
            trace_id=run.trace_id,
            provider=provider,
            kind="count" if number % 40 == 39 else "inference",
        )
        end = msgspec.structs.replace(
            made.end,
            ended_ns=end_ns,
            first_content_ns=dice.choice((None, begin_ns + (end_ns - begin_ns) // 3)),
            **self._outcome(made.end.reading),
        )
        call = msgspec.structs.replace(made, start=start, end=end)
        dialect = DIALECTS[number % 2]
        less = msgspec.structs.replace(end, outcome="lost", status_code=None, reading=Reading())
        before = msgspec.structs.replace(
            call,
            start=msgspec.structs.replace(start, span_id=new_span_id(), trace_id=new_trace_id()),
            end=less,
        )
        row = None if start.kind == "count" else self._priced(make_row(call, run, None))
        unknown = None if row is None else make_row(before, run, None)
        return (
            Told(row, tuple(self._spans(run, dialect, call, row))),
            Told(unknown, tuple(self._spans(run, dialect, before, unknown))),
        )

    def _spans(
        self, run: RunContext, dialect: object, call: Call, row: Row | None
    ) -> list[ReadableSpan]:
        memory = Memory(run=run, dialect=dialect)  # type: ignore[arg-type]
        memory.sink.call(call, row)
        memory.sink.finish(None)
        return memory.spans

    def _uuid(self, unix_ms: int, version: int) -> str:
        value = self._random.getrandbits(80) | unix_ms << 80
        value = value & ~(0xF << 76) | version << 76
        return str(uuid.UUID(int=value & ~(0x3 << 62) | 0x2 << 62))

    def _call_id(self, number: int, unix_ms: int) -> str:
        if number % 50 == 7:
            return f"somebody's own id {number}"
        return self._uuid(unix_ms, 8 if number % 20 == 3 else 7)

    def _who(self) -> Attribution:
        dice = self._random
        return Attribution(
            session_id=dice.choice((None, "s1", "s2")),
            turn_id=dice.choice((None, "t1")),
            agent_id=dice.choice((None, "a1")),
            agent_type=dice.choice((None, None, "Explore")),
            request_class=dice.choice((None, "main", "compaction")),
            client=dice.choice((None, "claude-cli/2.1.330", "curl/8")),
        )

    def _request(self) -> RequestFacts:
        model = self._random.choice((None, *MODELS))
        return RequestFacts(model=model, stream=True)

    def _part(self, model: str | None = None, *, billable: bool | None = None) -> UsagePart:
        dice = self._random
        some = dice.randrange
        return UsagePart(
            model=model,
            uncached_input_tokens=dice.choice((0, some(5_000))),
            cache_read_input_tokens=dice.choice((None, some(150_000))),
            cache_creation_input_tokens=dice.choice((None, 0, some(9_000))),
            output_tokens=some(4_000),
            reasoning_output_tokens=dice.choice((None, some(500))),
            server_tool_use=dice.choice(({}, {"web_search_requests": 2})),
            billable=billable,
        )

    def _reading(self, number: int) -> Reading:
        dice = self._random
        if number % 9 == 4:
            return Reading(error=dice.choice((None, "overloaded_error")))
        parts = [self._part()]
        if number % 4 == 1:
            parts += [self._part(model) for model in dice.choices(MODELS[:3], k=dice.randrange(4))]
            parts.append(self._part("claude-haiku-4-5", billable=dice.choice((None, True, False))))
        elif number % 30 == 2:
            parts = [self._part(billable=False)]
        return Reading(
            model=dice.choice((None, *MODELS)),
            response_id="msg_1",
            parts=tuple(parts),
            completeness=dice.choice(("final", "final", "final", "partial")),
            ended=True,
            content_started=True,
            provider_cost_usd=dice.choice((None, None, 0.0, 0.5, dice.random() / 7)),
        )

    def _outcome(self, reading: Reading) -> dict[str, object]:
        if reading.completeness == "final":
            return {"outcome": "complete", "status_code": 200}
        status, outcome = self._random.choice(
            ((200, "aborted"), (200, "truncated"), (529, "error"), (200, "error"), (None, "lost"))
        )
        return {"outcome": outcome, "status_code": status}

    def _priced(self, row: Row) -> Row:
        """The row with costs such as prices give, or without."""
        dice = self._random
        if row.completeness == "none":
            return row
        if row.parts is None:
            cost = dice.choice((None, 0.0, dice.randrange(10**9) / 1e10, 3.75e-8, 0.07232))
            return msgspec.structs.replace(row, cost_usd=cost)
        known = dice.random() < 0.7
        parts = tuple(
            msgspec.structs.replace(
                part,
                cost_usd=0.0
                if part.billable is False
                else dice.choice((0.0, dice.randrange(10**9) / 1e10))
                if known or dice.random() < 0.5
                else None,
            )
            for part in row.parts
        )
        costs = [part.cost_usd for part in parts if part.cost_usd is not None]
        total = round(sum(costs), 12) if len(costs) == len(parts) else None
        return msgspec.structs.replace(row, parts=parts, cost_usd=total)
