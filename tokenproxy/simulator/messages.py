"""Messages of the Anthropic API: what was billed, and how JSON and SSE say it.

Theory of operation. A ``Message`` is built from what is *billed*: one
``Tokens`` a part. Its usage objects are derived from that, so that a test can
compare what it counted with what was charged, never with what was said:

* one part of role ``main``: top-level usage states it, ``iterations`` is not sent
  (or holds one entry, see ``Message.states_iterations``);
* compaction and advisor parts are in ``iterations`` only;
* after a server-side fallback top-level usage is the serving attempt alone.

A stream is a list of ``Event``. Each carries ``known``: the parts that a
reader of the stream can state once that event has arrived. Up to the last
``message_delta`` that is a lower bound (``final`` is false), because
``message_start`` holds only a placeholder for the output.
"""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

Json = dict[str, Any]

ITERATION_TYPES = {
    "main": "message",
    "compaction": "compaction",
    "advisor": "advisor_message",
    "fallback_declined": "message",
    "fallback_served": "fallback_message",
}
"""Role of a part -> ``type`` of its entry in ``usage.iterations``."""

STATES_MODEL = frozenset({"advisor", "fallback_declined", "fallback_served"})
"""Roles whose entry names a model; the others are billed to the requested one."""


def new_id(prefix: str) -> str:
    """An id as the API makes them: ``msg_01`` and 22 characters."""
    return f"{prefix}_01{uuid.uuid4().hex[:22]}"


def plain_id(prefix: str) -> str:
    """An id as OpenAI makes them."""
    return f"{prefix}_{uuid.uuid4().hex}"


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens billed to one model in one role."""

    model: str
    provider: str = "anthropic"
    """Whose bill it is on, as OpenTelemetry names providers."""
    role: str = "main"
    input: int = 0
    """Neither read from nor written to the cache."""
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    cache_write_30m: int = 0
    """OpenAI's only time to live but one."""
    output: int = 0
    """All billed output, thinking included."""
    thinking: int | None = None
    """Reasoning, a subset of ``output``; None: not stated."""
    cost_usd: Decimal | None = None
    """What the provider itself says it costs; None: it does not."""
    billable: bool = True
    """False for an attempt that declined before any output: stated, but not charged."""

    @property
    def cache_write(self) -> int:
        """Cache writes of any time to live."""
        return self.cache_write_5m + self.cache_write_1h + self.cache_write_30m

    @property
    def all_input(self) -> int:
        """Uncached input, cache reads and cache writes."""
        return self.input + self.cache_read + self.cache_write

    def plus(self, other: Tokens) -> Tokens:
        """The sum of both; model and role are this one's."""
        return msgspec.structs.replace(
            self,
            input=self.input + other.input,
            cache_read=self.cache_read + other.cache_read,
            cache_write_5m=self.cache_write_5m + other.cache_write_5m,
            cache_write_1h=self.cache_write_1h + other.cache_write_1h,
            cache_write_30m=self.cache_write_30m + other.cache_write_30m,
            output=self.output + other.output,
            thinking=None
            if self.thinking is None and other.thinking is None
            else (self.thinking or 0) + (other.thinking or 0),
            cost_usd=None
            if self.cost_usd is None and other.cost_usd is None
            else (self.cost_usd or Decimal()) + (other.cost_usd or Decimal()),
        )

    def written_for_30m(self) -> Tokens:
        """The same where every cache write lives half an hour."""
        return self._moved(cache_write_30m=self.cache_write)

    def written_free(self) -> Tokens:
        """The same where writing to the cache has no price of its own: plain input."""
        return self._moved(input=self.input + self.cache_write)

    def uncached(self) -> Tokens:
        """The same where nothing is said of a cache."""
        return self._moved(input=self.all_input, cache_read=0)

    def _moved(self, **counts: int) -> Tokens:
        none = {"cache_write_5m": 0, "cache_write_1h": 0, "cache_write_30m": 0}
        return msgspec.structs.replace(self, **none | counts)


class Known(msgspec.Struct, frozen=True):
    """What a reader of a response can state so far."""

    parts: tuple[Tokens, ...]
    final: bool
    """True once the provider said its last word on usage."""


class Event(msgspec.Struct, frozen=True):
    """One server-sent event."""

    name: str
    data: Json
    known: Known | None = None

    def encode(self, padding: int = 0) -> bytes:
        """The event's bytes; ``padding`` spaces follow the JSON, as the API sends them."""
        spaces = b" " * padding
        return b"event: %s\ndata: %s%s\n\n" % (
            self.name.encode(),
            msgspec.json.encode(self.data),
            spaces,
        )


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One answer of the model and everything it costs."""

    parts: tuple[Tokens, ...]
    """Billed parts in the order of ``usage.iterations``."""
    blocks: tuple[Json, ...] = ()
    stop_reason: str = "end_turn"
    stop_details: Json | None = None
    id: str = msgspec.field(default_factory=functools.partial(new_id, "msg"))
    service_tier: str = "standard"
    inference_geo: str = "global"
    speed: str | None = None
    server_tools: Mapping[str, int] = msgspec.field(default_factory=dict)
    """Requests by server tool, the API's keys (``web_search_requests``)."""
    placeholder_output: int = 1
    """``output_tokens`` of ``message_start``."""
    start_input: int | None = None
    """Uncached input as ``message_start`` has it, where it grows later (web search)."""
    interim_outputs: tuple[int, ...] = ()
    """Cumulative outputs of message_delta events before the last one."""
    states_iterations: bool = False
    """Send ``iterations`` for a single part too, as beta requests get it."""

    @property
    def top(self) -> Tokens:
        """What top-level usage counts, see the module's text."""
        served = [part for part in self.parts if part.role == "fallback_served"]
        own = served or [part for part in self.parts if part.role == "main"] or [self.parts[0]]
        return functools.reduce(Tokens.plus, own)

    @property
    def billed(self) -> tuple[Tokens, ...]:
        """The parts that are charged."""
        return tuple(part for part in self.parts if part.billable)

    def iterations(self) -> list[Json]:
        """``usage.iterations``."""
        return [_iteration(part) for part in self.parts]

    def usage(self) -> Json:
        """The usage object of a non-streaming body."""
        usage = _start_usage(self, self.top)
        usage |= _delta_usage(self, self.top)
        return usage

    def json(self) -> Json:
        """The body of a non-streaming response."""
        return {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.top.model,
            "content": list(self.blocks),
            "stop_reason": self.stop_reason,
            "stop_sequence": None,
            "stop_details": self.stop_details,
            "usage": self.usage(),
        }


def stream(message: Message, *, words_per_delta: int = 4) -> Iterator[Event]:
    """Yield the events of ``message`` in the API's order, with one early ping."""
    first = message.parts[0] if message.parts[0].role == "fallback_declined" else message.top
    start = msgspec.structs.replace(
        first,
        output=message.placeholder_output,
        thinking=None,
        cost_usd=None,
        billable=True,
        input=first.input if message.start_input is None else message.start_input,
    )
    head = message.json() | {
        "model": first.model,
        "content": [],
        "stop_reason": None,
        "stop_details": None,
        "usage": _start_usage(message, start),
    }
    known = Known((start,), final=False)
    yield Event("message_start", {"type": "message_start", "message": head}, known)
    pinged = False
    for index, block in enumerate(message.blocks):
        for event in _block_events(index, block, words_per_delta):
            if event.name == "content_block_start" and block["type"] == "fallback":
                # From here on the stream is another model's.
                switched = msgspec.structs.replace(start, model=block["to"]["model"])
                known = Known((switched,), final=False)
            yield msgspec.structs.replace(event, known=known)
            if not pinged:
                pinged = True
                yield Event("ping", {"type": "ping"}, known)
    for output in message.interim_outputs:
        so_far = msgspec.structs.replace(message.top, output=output, thinking=None, cost_usd=None)
        known = Known((so_far,), final=False)
        usage = _delta_usage(msgspec.structs.replace(message, parts=(so_far,)), so_far)
        yield _message_delta(None, None, usage, known)
    known = Known(message.parts, final=True)
    usage = _delta_usage(message, message.top)
    yield _message_delta(message.stop_reason, message.stop_details, usage, known)
    yield Event("message_stop", {"type": "message_stop"}, known)


def error_body(kind: str, text: str, *, code: str | None = None) -> Json:
    """The error envelope, the same in a body and in an ``error`` event."""
    error: Json = {"type": kind, "message": text}
    if code is not None:
        error["details"] = {"error_code": code}
    return {"type": "error", "error": error}


def error_event(kind: str, text: str) -> Event:
    """An error after HTTP 200. It changes nothing that was known."""
    return Event("error", error_body(kind, text))


def text(value: str) -> Json:
    """A text block."""
    return {"type": "text", "text": value}


def thinking(value: str) -> Json:
    """A thinking block with a signature that no model made."""
    return {"type": "thinking", "thinking": value, "signature": "c2ltdWxhdGVk"}


def tool_use(name: str, tool_input: Json, *, tool_id: str | None = None) -> Json:
    """A call of a client's tool."""
    return {
        "type": "tool_use",
        "id": tool_id or new_id("toolu"),
        "name": name,
        "input": tool_input,
    }


def _start_usage(message: Message, tokens: Tokens) -> Json:
    usage: Json = {
        "input_tokens": tokens.input,
        "cache_creation_input_tokens": tokens.cache_write,
        "cache_read_input_tokens": tokens.cache_read,
        "cache_creation": _split(tokens),
        "output_tokens": tokens.output,
        "service_tier": message.service_tier,
        "inference_geo": message.inference_geo,
    }
    if message.speed is not None:
        usage["speed"] = message.speed
    return usage


def _delta_usage(message: Message, tokens: Tokens) -> Json:
    usage: Json = {
        "input_tokens": tokens.input,
        "cache_creation_input_tokens": tokens.cache_write,
        "cache_read_input_tokens": tokens.cache_read,
        "output_tokens": tokens.output,
    }
    if tokens.thinking is not None:
        usage["output_tokens_details"] = {"thinking_tokens": tokens.thinking}
    if message.server_tools:
        usage["server_tool_use"] = dict(message.server_tools)
    if tokens.cost_usd is not None:
        usage["cost"] = float(tokens.cost_usd)  # a gateway's own word, OpenRouter's
    if len(message.parts) > 1 or message.states_iterations:
        usage["iterations"] = message.iterations()
    return usage


def _iteration(tokens: Tokens) -> Json:
    entry: Json = {
        "input_tokens": tokens.input,
        "output_tokens": tokens.output,
        "cache_read_input_tokens": tokens.cache_read,
        "cache_creation_input_tokens": tokens.cache_write,
        "cache_creation": _split(tokens),
        "type": ITERATION_TYPES[tokens.role],
    }
    if tokens.role in STATES_MODEL:
        entry["model"] = tokens.model
    return entry


def _split(tokens: Tokens) -> Json:
    return {
        "ephemeral_5m_input_tokens": tokens.cache_write_5m,
        "ephemeral_1h_input_tokens": tokens.cache_write_1h,
    }


def _message_delta(
    stop_reason: str | None, stop_details: Json | None, usage: Json, known: Known
) -> Event:
    delta = {"stop_reason": stop_reason, "stop_sequence": None, "stop_details": stop_details}
    return Event("message_delta", {"type": "message_delta", "delta": delta, "usage": usage}, known)


def _block_events(index: int, block: Json, words: int) -> Iterator[Event]:
    empty, deltas = _OPENERS.get(str(block["type"]), _whole)(block, words)
    name = "content_block_start"
    yield Event(name, {"type": name, "index": index, "content_block": empty})
    name = "content_block_delta"
    for delta in deltas:
        yield Event(name, {"type": name, "index": index, "delta": delta})
    name = "content_block_stop"
    yield Event(name, {"type": name, "index": index})


Opened = tuple[Json, Sequence[Json]]
"""A block as ``content_block_start`` has it, and the deltas that fill it."""


def _text(block: Json, words: int) -> Opened:
    deltas = [{"type": "text_delta", "text": part} for part in cut_words(block["text"], words)]
    return block | {"text": ""}, deltas


def _thinking(block: Json, words: int) -> Opened:
    parts = cut_words(block["thinking"], words)
    deltas = [{"type": "thinking_delta", "thinking": part} for part in parts]
    deltas.append({"type": "signature_delta", "signature": block["signature"]})
    return block | {"thinking": "", "signature": ""}, deltas


def _tool_use(block: Json, words: int) -> Opened:
    parts = ["", *cut_words(msgspec.json.encode(block["input"]).decode(), words)]
    deltas = [{"type": "input_json_delta", "partial_json": part} for part in parts]
    return block | {"input": {}}, deltas


def _compaction(block: Json, _words: int) -> Opened:
    return block | {"content": None}, [{"type": "compaction_delta", "content": block["content"]}]


def _whole(block: Json, _words: int) -> Opened:
    return block, []


_OPENERS: Mapping[str, Callable[[Json, int], Opened]] = {
    "text": _text,
    "thinking": _thinking,
    "tool_use": _tool_use,
    "server_tool_use": _tool_use,
    "compaction": _compaction,
}


def cut_words(value: str, words: int = 4) -> list[str]:
    """``value`` in deltas of so many words."""
    pieces = value.split(" ")
    groups = [" ".join(pieces[at : at + words]) for at in range(0, len(pieces), words)]
    return groups[:1] + [" " + group for group in groups[1:]]
