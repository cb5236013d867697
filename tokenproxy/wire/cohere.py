"""Cohere's dialect: chat of versions 2 and 1, generate, embed and rerank.

The rules (SDK, ``types/usage.py``, ``types/api_meta.py``; API reference, "Chat",
"Chat with streaming"):

* Usage stands in ``usage`` (chat, version 2) or ``meta`` (all else). It counts
  twice: ``tokens`` is what the model saw, with everything that Cohere puts
  around a prompt; ``billed_units`` is what is charged. The billed ones count,
  and only where there are none the others do; both are kept verbatim.
* ``cached_tokens`` are a part of the input: charged, as far as the price list
  goes, like the rest of it.
* ``search_units`` and ``classifications`` are charged by the piece. Billed
  images have tokens of their own (``image_tokens``), beside the text's.
* Version 2 streams server-sent events that end with ``message-end``; version 1
  JSON lines that end with ``stream-end``, which repeats the whole answer.
* No answer names its model. Errors are sentences: their status is their type;
  a generation that failed says so in its ``finish_reason``.
* Reasoning is not told apart from output.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tokenproxy.wire import notes
from tokenproxy.wire.bookkeeping import add_tool_uses, keep, say
from tokenproxy.wire.dialect import Dialect, Head, ResponseParser
from tokenproxy.wire.digest import prompt_digest
from tokenproxy.wire.framing.document import DocumentParser
from tokenproxy.wire.framing.events import EventStreamParser
from tokenproxy.wire.framing.lines import LinesParser
from tokenproxy.wire.framing.sniff import SniffingParser
from tokenproxy.wire.framing.sse import Event
from tokenproxy.wire.headers import limits, retry_after_s
from tokenproxy.wire.lenient import Lenient, array_items
from tokenproxy.wire.openai import chat_request
from tokenproxy.wire.openai.errors import ErrorParser
from tokenproxy.wire.usage import Reading, RequestFacts, ResponseFacts, ToolUse, UsagePart
from tokenproxy.wire.words import count, word

_EVENTS: Final = frozenset({"text/event-stream"})
_LINES: Final = frozenset({"application/stream+json", "application/x-ndjson"})

_SKIPPED: Final = (b"content-delta", b"tool-plan-delta", b"tool-call-delta", b"citation-start")
"""Events whose data is never looked at."""
_LAST: Final = frozenset({"message-end", "stream-end"})
_BEGINNINGS: Final = frozenset({"message-start", "stream-start"})
"""Events before any content."""

_FAILED: Final = frozenset({"ERROR", "ERROR_TOXIC", "ERROR_LIMIT", "TIMEOUT"})
"""Finish reasons that are errors."""

_WARNINGS: Final = "warnings"
"""Sentences among ``meta``, which may repeat what was asked: they are not kept."""

_PIECES: Final = ("search_units", "classifications")
_MAX_STOP_SEQUENCES: Final = 64


class _Function(msgspec.Struct):
    name: str | None = None


class _ToolCall(msgspec.Struct):
    """A tool call. Version 1's have no id and cannot be followed."""

    id: str | None = None
    function: _Function | None = None


class _Message(msgspec.Struct):
    """``message``: in a stream it has one tool call in the place of the list."""

    tool_calls: msgspec.Raw = msgspec.Raw()


class _Delta(msgspec.Struct):
    """``delta`` of an event."""

    finish_reason: str | None = None
    usage: dict[str, Any] | None = None
    message: _Message | None = None


class _Whole(msgspec.Struct):
    """An answer, or the ``response`` of ``stream-end``."""

    id: str | None = None
    response_id: str | None = None
    generation_id: str | None = None
    finish_reason: str | None = None
    message: _Message | None = None
    usage: dict[str, Any] | None = None
    meta: dict[str, Any] | None = None


class _Event(_Whole):
    """An event of either version."""

    type: str | None = None
    event_type: str | None = None
    delta: _Delta | None = None
    response: _Whole | None = None


class _Request(msgspec.Struct):
    """What a request says otherwise than OpenAI's."""

    p: float | None = None
    k: int | None = None
    stop_sequences: list[str] | None = None
    message: msgspec.Raw = msgspec.Raw()
    texts: msgspec.Raw = msgspec.Raw()
    query: msgspec.Raw = msgspec.Raw()


_EVENT: Final = Lenient(_Event)
_CALL: Final = Lenient(_ToolCall)
_REQUEST: Final = Lenient(_Request)


class CohereReading:
    """Gathers one answer into ``reading``.

    Args:
        reading: filled in place.
        operation: of the route: what an answer without output is.
    """

    def __init__(self, reading: Reading, operation: str) -> None:
        self.reading = reading
        self._chats = operation in {"chat", "text_completion"}

    def event(self, name: str, event: _Event | None) -> bool:
        """Take an event; None: its data was of no interest. True if id or usage changed."""
        if name not in _BEGINNINGS:
            self.reading.content_started = True
        if event is None:
            return False
        before = self.reading.response_id, len(self.reading.usage)
        self._take(event)
        if event.response is not None:
            self._take(event.response)
        if event.delta is not None:
            self._take(_Whole(
                finish_reason=event.delta.finish_reason,
                usage=event.delta.usage,
                message=event.delta.message,
            ))  # fmt: skip
        if name in _LAST:
            self._end()
        return before != (self.reading.response_id, len(self.reading.usage))

    def whole(self, answer: _Event) -> None:
        """Take an answer that came whole."""
        self._take(answer)
        self._end()

    def _take(self, said: _Whole) -> None:
        reading = self.reading
        ids = said.id, said.response_id, said.generation_id
        reading.response_id = reading.response_id or next(filter(None, map(word, ids)), None)
        reading.stop_reason = word(said.finish_reason) or reading.stop_reason
        if said.message is not None:
            add_tool_uses(reading, _tool_uses(said.message.tool_calls))
        usage = said.usage if said.usage is not None else said.meta
        if usage is not None:
            self._bill(usage)

    def _bill(self, usage: dict[str, Any]) -> None:
        keep(self.reading, {key: usage[key] for key in usage if key != _WARNINGS})
        part, said = _part(usage)
        for note in said:
            say(self.reading, note)
        if part is not None:
            self.reading.parts = (part,)
            self.reading.completeness = "partial"

    def _end(self) -> None:
        reading = self.reading
        reading.ended = True
        if reading.stop_reason in _FAILED:
            reading.error = reading.stop_reason.lower()
        if not reading.parts:
            say(reading, notes.USAGE_ABSENT)
            return
        [part] = reading.parts
        stated = part.uncached_input_tokens, part.output_tokens
        if not self._chats or None not in stated:
            reading.completeness = "final"


class EventsParser(EventStreamParser):
    """Reads a stream of version 2."""

    def __init__(self, reading: Reading, operation: str) -> None:
        super().__init__(reading, _SKIPPED)
        self._answer = CohereReading(reading, operation)

    def _take(self, event: Event) -> bool:
        name, data = event.name.decode(errors="replace"), event.data
        if data is None:
            return self._answer.event(name, None)
        if data.strip() == b"[DONE]":
            return False
        content = _EVENT.decode(data)
        if content is None:
            if not event.torn:
                say(self.reading, notes.EVENT_UNREADABLE)
            return False
        return self._answer.event(content.type or content.event_type or name, content)


class CohereChat:
    """Chat and what else Cohere's own API offers."""

    name = "cohere.chat"

    def read_request(self, body: bytes) -> RequestFacts:
        """Facts of a decoded request body."""
        request = _REQUEST.decode(body)
        if request is None:
            return RequestFacts(malformed=True)
        stops = [stop for text in request.stop_sequences or [] if (stop := word(text)) is not None]
        asked = request.message, request.texts, request.query
        facts = chat_request.read_request(body)
        return msgspec.structs.replace(
            facts,
            top_p=request.p,
            top_k=count(request.k),
            stop_sequences=tuple(stops[:_MAX_STOP_SEQUENCES]),
            prompt_digest=facts.prompt_digest
            or prompt_digest(next(filter(None, map(bytes, asked)), b"")),
        )

    def read_response_headers(self, headers: Mapping[str, str]) -> ResponseFacts:
        """Ids and limits, from response headers with lower-cased names."""
        return ResponseFacts(
            request_id=word(headers.get("x-request-id")) or word(headers.get("x-debug-trace-id")),
            rate_limits=limits(headers, "x-trial-endpoint-call-", "x-ratelimit-"),
            retry_after_s=retry_after_s(headers),
        )

    def open_response(self, head: Head) -> ResponseParser:
        """A parser for the response that begins with this head."""
        if head.failed:
            return ErrorParser(head.status)
        if head.media_type in _LINES:
            return _lines(Reading(), head.operation)
        return SniffingParser(
            stream=lambda reading: EventsParser(reading, head.operation),
            document=lambda reading: DocumentParser(
                lambda body: _read_document(body, reading, head.operation), reading
            ),
            declared_stream=head.media_type in _EVENTS,
        )


def _lines(reading: Reading, operation: str) -> LinesParser:
    """A parser for a stream of version 1; a whole answer may stand in its place."""
    answer = CohereReading(reading, operation)
    begun = False

    def read(line: bytes) -> bool | None:
        nonlocal begun
        event = _EVENT.decode(line)
        if event is None:
            return None
        if event.event_type is not None:
            begun = True
            return answer.event(event.event_type, event)
        if not begun:
            answer.whole(event)
        return not begun

    return LinesParser(read, reading)


def _read_document(body: bytes, reading: Reading, operation: str) -> bool:
    """Read an answer that came whole; or a stream of version 1 that was labelled as one."""
    answer = _EVENT.decode(body)
    if answer is not None and answer.event_type is None:
        CohereReading(reading, operation).whole(answer)
        return True
    lines = _lines(reading, operation)
    lines.feed(body)
    lines.close()
    return reading.ended


def _part(usage: Mapping[str, Any]) -> tuple[UsagePart | None, list[str]]:
    """The part that a usage object is billed as, and notes."""
    billed = _object(usage, "billed_units")
    tokens = billed if _states_tokens(billed) else {**_object(usage, "tokens"), **billed}
    said = [notes.BAD_COUNT] if _has_bad_counts(billed) else []
    text, images = count(tokens.get("input_tokens")), count(billed.get("image_tokens"))
    whole = text if images is None else (text or 0) + images
    cached = count(usage.get("cached_tokens"))
    if cached is not None and cached > (whole or 0):
        said.append(notes.CACHE_EXCEEDS_INPUT)
        cached = None
    pieces = {name: units for name in _PIECES if (units := count(billed.get(name)))}
    part = UsagePart(
        uncached_input_tokens=None if whole is None else whole - (cached or 0),
        cache_read_input_tokens=cached,
        output_tokens=count(tokens.get("output_tokens")),
        modality_tokens={"input_image": images} if images else {},
        server_tool_use=pieces,
    )
    return (None if part == UsagePart() else part), said


def _states_tokens(billed: Mapping[str, Any]) -> bool:
    names = ("input_tokens", "output_tokens", "image_tokens", *_PIECES)
    return any(count(billed.get(name)) is not None for name in names)


def _has_bad_counts(billed: Mapping[str, Any]) -> bool:
    names = ("input_tokens", "output_tokens", "image_tokens", *_PIECES)
    return any(billed.get(name) is not None and count(billed[name]) is None for name in names)


def _object(usage: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = usage.get(key)
    return value if isinstance(value, dict) else {}


def _tool_uses(calls: msgspec.Raw) -> list[ToolUse]:
    items = array_items(calls)
    found = []
    for item in [calls] if items is None else items:
        call = _CALL.decode(item)
        identity = word(call.id) if call is not None else None
        name = word(call.function.name) if call is not None and call.function else None
        if identity is not None and name is not None:
            found.append(ToolUse(identity, name))
    return found


CHAT: Dialect = CohereChat()
"""Stateless, so one is enough."""
