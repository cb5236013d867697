"""OpenAI's Realtime API: a WebSocket on which answers and transcripts are calls.

The rules (SDK, ``types/realtime``):

* An answer is a call from ``response.created`` to ``response.done``, whoever asked for
  it: the client (``response.create``) or the server, when it heard speech end. Its
  usage comes with ``response.done``: inclusive of the cache, with text, audio and
  images apart.
* The transcript of what was said is another model's and billed apart. It is a call
  from ``input_audio_buffer.committed`` (if transcripts are wanted) to
  ``conversation.item.input_audio_transcription.completed`` or ``.failed``, of the role
  ``transcription``, known by its item.
* Events do not name the model: the session does (``session.created``, ``.updated``),
  for answers and for transcripts.
* An ``error`` is a word between server and client; it ends no call, since whatever
  happens an answer that was created is done.

The first message of a call may be its last: news of an end that bear a request
tell of a call that began just now.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from tokenproxy.wire.dialect import Head, ResponseParser, SocketDialect, SocketNews, SocketParser
from tokenproxy.wire.lenient import has_items
from tokenproxy.wire.openai.errors import ErrorParser
from tokenproxy.wire.openai.headers import read_response_headers
from tokenproxy.wire.openai.realtime_reading import read_answer, read_transcript
from tokenproxy.wire.openai.realtime_shapes import ASKED, EVENT, Event, Response, Session
from tokenproxy.wire.openai.responses_body import CountParser
from tokenproxy.wire.usage import Reading, RequestFacts, ResponseFacts, ToolResult
from tokenproxy.wire.words import count, word

_TRANSCRIPT: Final = "conversation.item.input_audio_transcription."
_CREATED: Final = "response.created"
_DONE: Final = "response.done"
_COMMITTED: Final = "input_audio_buffer.committed"
_MAX_RESULTS: Final = 256
"""Results of tools that are remembered until the next answer begins."""


class _Call(msgspec.Struct):
    """A call that is under way."""

    key: str
    request: RequestFacts
    reading: Reading


class RealtimeSocket:
    """Reads the messages of one connection.

    Args:
        model: of the answers, until the session names one.
    """

    def __init__(self, model: str | None = None) -> None:
        self._model = model
        self._transcriber: str | None = None
        self._transcribes = False
        self._offers_tools = False
        self._results: list[ToolResult] = []
        self._open: dict[str, _Call] = {}
        """By the id of the response or of the item, with what it is."""
        self._calls = 0

    def client_message(self, message: bytes) -> SocketNews | None:
        """Take a whole message from the client. None begins a call; some say what it is about."""
        asked = ASKED.decode(message)
        if asked is None or asked.type != "conversation.item.create" or asked.item is None:
            return None
        identity = word(asked.item.call_id)
        is_result = asked.item.type == "function_call_output" and identity is not None
        if is_result and identity is not None and len(self._results) < _MAX_RESULTS:
            self._results.append(ToolResult(identity))
        return None

    def server_message(self, message: bytes) -> SocketNews | None:
        """Take a whole message from the provider."""
        event = EVENT.decode(message)
        kind = event.type if event is not None else None
        if event is None or kind is None:
            return None
        if event.session is not None:
            self._configure(event.session)
        if kind == _COMMITTED:
            return self._transcript_begins(event) if self._transcribes else None
        if kind.startswith(_TRANSCRIPT):
            return self._transcript(kind.removeprefix(_TRANSCRIPT), event)
        return self._answer(kind, event) if kind.startswith("response.") else None

    def close(self) -> list[SocketNews]:
        """The connection is over: the calls that it leaves unended."""
        left = list(self._open.values())
        self._open.clear()
        return [SocketNews(key=call.key, event="ended", reading=call.reading) for call in left]

    def _configure(self, session: Session) -> None:
        self._model = word(session.model) or self._model
        self._offers_tools = has_items(session.tools)
        transcription = session.transcription()
        self._transcribes = transcription is not None
        if transcription is not None:
            self._transcriber = word(transcription.model) or self._transcriber

    def _answer(self, kind: str, event: Event) -> SocketNews | None:
        response = event.response
        identity = word(response.id if response is not None else event.response_id)
        if identity is None:
            return None
        key = f"response/{identity}"
        call = self._open.get(key)
        begins = call is None
        if call is None:
            if kind not in {_CREATED, _DONE}:
                return None
            call = self._begin(key, self._request(event))
            call.reading.response_id = identity
            call.reading.model = self._model
        if kind == _DONE:
            read_answer(call.reading, response or Response())
            del self._open[key]
            return _news("ended", call, begins=begins, changed=True)
        if kind != _CREATED:
            call.reading.content_started = True
        return _news("begun" if begins else "progressed", call, begins=begins, changed=begins)

    def _request(self, event: Event) -> RequestFacts:
        """What an answer was asked for with, as far as the connection told."""
        results, self._results = tuple(self._results), []
        response = event.response
        return RequestFacts(
            model=self._model,
            stream=True,
            max_tokens=count(response.max_output_tokens) if response is not None else None,
            offers_tools=self._offers_tools,
            tool_results=results,
        )

    def _transcript_begins(self, event: Event) -> SocketNews | None:
        key = _transcript_key(event)
        if key is None or key in self._open:
            return None
        call = self._begin(key, RequestFacts(model=self._transcriber, stream=True))
        return _news("begun", call, begins=True)

    def _transcript(self, kind: str, event: Event) -> SocketNews | None:
        key = _transcript_key(event)
        if key is None:
            return None
        call = self._open.get(key)
        begins = call is None
        if call is None:
            call = self._begin(key, RequestFacts(model=self._transcriber, stream=True))
        call.reading.model = self._transcriber
        if kind not in {"completed", "failed"}:
            call.reading.content_started = True
            return _news("begun" if begins else "progressed", call, begins=begins)
        read_transcript(call.reading, event)
        del self._open[key]
        return _news("ended", call, begins=begins, changed=True)

    def _begin(self, key: str, request: RequestFacts) -> _Call:
        self._calls += 1
        call = _Call(key=str(self._calls), request=request, reading=Reading())
        self._open[key] = call
        return call


def _transcript_key(event: Event) -> str | None:
    identity = word(event.item_id)
    return None if identity is None else f"transcript/{identity}"


def _news(what: str, call: _Call, *, begins: bool = False, changed: bool = False) -> SocketNews:
    return SocketNews(
        key=call.key,
        event=what,  # type: ignore[arg-type] # one of the three, as every caller has it
        request=call.request if begins else None,
        reading=call.reading,
        changed=changed,
    )


class OpenAIRealtime:
    """``/v1/realtime``: spoken over a WebSocket only."""

    name = "openai.realtime"

    def read_request(self, body: bytes) -> RequestFacts:  # noqa: ARG002 - an upgrade has none
        """The request for the upgrade has no body."""
        return RequestFacts()

    def read_response_headers(self, headers: Mapping[str, str]) -> ResponseFacts:
        """Ids and limits, from response headers with lower-cased names."""
        return read_response_headers(headers)

    def open_response(self, head: Head) -> ResponseParser:
        """A parser for an answer that opened no connection."""
        return ErrorParser(head.status) if head.failed else CountParser()

    def open_socket(self, head: Head) -> SocketParser:
        """A parser for the connection that the upgrade's answer opened."""
        return RealtimeSocket(head.model)


REALTIME: Final[SocketDialect] = OpenAIRealtime()
"""Stateless, so one is enough."""
