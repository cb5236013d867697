"""Ollama's own API: chat, generate and embeddings.

The rules (``api/types.go``, ``server/routes.go``; "API", "Conventions"):

* An answer is streamed as JSON lines unless the request says ``"stream": false``;
  then it is one object. Embeddings are always one object.
* The last line has ``"done": true``, why it stopped, and the counts:
  ``prompt_eval_count`` is the whole prompt, what its cache saved included, and
  ``eval_count`` all that was generated, thinking included.
* A count that is 0 is left out of the JSON (``omitempty``), and so is one that
  the server does not know: versions that did not count a cached prompt left out
  ``prompt_eval_count``. The two cannot be told apart, so a count that is not
  there is not known, and what there is of the usage is a lower bound.
* Loading and unloading a model (an empty prompt; ``done_reason`` ``load`` and
  ``unload``) generates nothing and counts nothing.
* Errors are sentences: their status is their type, one in a stream has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tokenproxy.wire import notes
from tokenproxy.wire.bookkeeping import add_tool_uses, keep, say
from tokenproxy.wire.dialect import Dialect, Head, ResponseParser
from tokenproxy.wire.framing.document import DocumentParser
from tokenproxy.wire.framing.lines import LinesParser
from tokenproxy.wire.headers import retry_after_s
from tokenproxy.wire.lenient import Lenient
from tokenproxy.wire.openai import chat_request
from tokenproxy.wire.openai.errors import ErrorParser, is_error, status_word
from tokenproxy.wire.usage import Reading, RequestFacts, ResponseFacts, ToolUse, UsagePart
from tokenproxy.wire.words import count, word

_LINES: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})
_IDLE: Final = frozenset({"load", "unload"})
"""Reasons of answers without generation."""
_IN_STREAM: Final = 500
"""The status that an error in a stream stands for, where it states none."""
_MAX_STOP_SEQUENCES: Final = 64


class _Function(msgspec.Struct):
    """``function`` of a tool call."""

    name: str | None = None


class _ToolCall(msgspec.Struct):
    """A tool call. Older servers give it no id; it cannot be followed then."""

    id: str | None = None
    function: _Function | None = None


class _Message(msgspec.Struct):
    """``message`` of a chat's line."""

    tool_calls: list[_ToolCall] | None = None


class _Line(msgspec.Struct):
    """A line of a stream, or a whole answer."""

    model: str | None = None
    done: bool | None = None
    done_reason: str | None = None
    message: _Message | None = None
    tool_calls: list[_ToolCall] | None = None
    prompt_eval_count: Any = None
    eval_count: Any = None
    error: msgspec.Raw = msgspec.Raw()
    status: int | None = None
    """Of an error in a stream."""


class _Options(msgspec.Struct):
    """``options`` of a request."""

    num_predict: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: list[str] | None = None


class _Request(msgspec.Struct):
    """What a request says otherwise than OpenAI's."""

    stream: bool | None = None
    options: _Options | None = None


_LINE: Final = Lenient(_Line)
_REQUEST: Final = Lenient(_Request)


class OllamaReading:
    """Gathers one answer into ``reading``.

    Args:
        reading: filled in place.
        embeds: the answer is embeddings: whole, and without output.
    """

    def __init__(self, reading: Reading, *, embeds: bool) -> None:
        self._reading = reading
        self._embeds = embeds

    def take(self, data: bytes) -> bool | None:
        """Take a line. True if model or usage changed; None if it is no JSON object."""
        line = _LINE.decode(data)
        if line is None:
            return None
        reading = self._reading
        if is_error(line.error):
            reading.error = status_word(line.status or _IN_STREAM)
            return False
        before = reading.model
        reading.model = word(line.model) or reading.model
        reading.content_started = True
        calls = [*(line.tool_calls or []), *((line.message or _Message()).tool_calls or [])]
        add_tool_uses(reading, _tool_uses(calls))
        if line.done or self._embeds:
            self._end(line)
            return True
        return before != reading.model

    def _end(self, line: _Line) -> None:
        reading = self._reading
        reading.ended = True
        reading.stop_reason = word(line.done_reason) or reading.stop_reason
        stated = {
            name: value
            for name in ("prompt_eval_count", "eval_count")
            if (value := getattr(line, name)) is not None
        }
        part = UsagePart(
            uncached_input_tokens=count(line.prompt_eval_count),
            output_tokens=count(line.eval_count),
        )
        if stated:
            keep(reading, stated)
        if any(count(value) is None for value in stated.values()):
            say(reading, notes.BAD_COUNT)
        if part == UsagePart():
            if reading.stop_reason not in _IDLE:
                say(reading, notes.USAGE_ABSENT)
            return
        reading.parts = (part,)
        known = part.uncached_input_tokens is not None and (
            self._embeds or part.output_tokens is not None
        )
        reading.completeness = "final" if known else "partial"


class OllamaChat:
    """``/api/chat``, ``/api/generate``, ``/api/embed`` and ``/api/embeddings``."""

    name = "ollama.chat"

    def read_request(self, body: bytes) -> RequestFacts:
        """Facts of a decoded request body."""
        request = _REQUEST.decode(body)
        if request is None:
            return RequestFacts(malformed=True)
        options = request.options or _Options()
        stops = [stop for text in options.stop or [] if (stop := word(text)) is not None]
        return msgspec.structs.replace(
            chat_request.read_request(body),
            stream=request.stream is not False,
            # -1 and -2 stand for no limit and for the context's.
            max_tokens=count(options.num_predict),
            temperature=options.temperature,
            top_p=options.top_p,
            top_k=count(options.top_k),
            stop_sequences=tuple(stops[:_MAX_STOP_SEQUENCES]),
        )

    def read_response_headers(self, headers: Mapping[str, str]) -> ResponseFacts:
        """A local server tells nothing; what stands before it may."""
        return ResponseFacts(
            request_id=word(headers.get("x-request-id")), retry_after_s=retry_after_s(headers)
        )

    def open_response(self, head: Head) -> ResponseParser:
        """A parser for the response that begins with this head."""
        if head.failed:
            return ErrorParser(head.status)
        reading = Reading()
        answer = OllamaReading(reading, embeds=head.operation == "embeddings")
        lines = LinesParser(answer.take, reading)
        if head.media_type in _LINES:
            return lines
        return DocumentParser(lambda body: _read_document(body, answer, lines), reading)


def _read_document(body: bytes, answer: OllamaReading, lines: LinesParser) -> bool:
    """Read an answer that came whole; or a stream that was labelled as one."""
    if answer.take(body) is not None:
        return True
    lines.feed(body)
    lines.close()
    return lines.reading.ended


def _tool_uses(calls: list[_ToolCall]) -> list[ToolUse]:
    found = []
    for call in calls:
        identity = word(call.id)
        name = word(call.function.name) if call.function is not None else None
        if identity is not None and name is not None:
            found.append(ToolUse(identity, name))
    return found


CHAT: Dialect = OllamaChat()
"""Stateless, so one is enough."""
