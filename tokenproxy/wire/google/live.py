"""Google's Live API: BidiGenerateContent over a WebSocket.

The rules (SDK, ``live.py`` and ``types.py``; "Live API", "Pricing and billing";
captures in pydantic/pydantic-ai#7269):

* The client's first message is ``setup``: it names the model and the settings of
  the whole session.
* A call is one generation. It is asked for by ``clientContent`` whose turn is
  complete, by text or the end of an activity in ``realtimeInput``, or by a
  ``toolResponse``. Sound and pictures alone ask for nothing: what the model says
  to them begins a call by itself. So does what follows on an interruption: it
  belongs to the call that it interrupts until that is over.
* A generation is over with ``turnComplete`` or with a ``toolCall``. Each is
  billed by itself, all of the session so far being its input again, and each has
  a ``usageMetadata`` of its own, in any message or in one that follows. So
  objects within one generation are never added up, and those of two never merged.
* What comes after an end that had no usage yet is its usage, if it is nothing
  else; otherwise the call stays without.
* No message names the model that served: the session's is the one of ``setup``.

``usageMetadata`` is that of generateContent, but the answer's tokens are called
``responseTokenCount`` (on Vertex AI ``candidatesTokenCount``).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tokenproxy.wire import notes
from tokenproxy.wire.bookkeeping import say
from tokenproxy.wire.dialect import Head, ResponseParser, SocketDialect, SocketNews, SocketParser
from tokenproxy.wire.google import headers as google_headers
from tokenproxy.wire.google.live_call import LiveCall
from tokenproxy.wire.google.live_shapes import CLIENT, SERVER, ClientMessage, ServerMessage
from tokenproxy.wire.google.parsers import open_error
from tokenproxy.wire.google.request import model_name, offers_tools, tool_results, with_settings
from tokenproxy.wire.google.shapes import Content, Part
from tokenproxy.wire.usage import RequestFacts, ResponseFacts


class LiveSocketParser:
    """Reads the messages of one connection."""

    def __init__(self) -> None:
        self._session = RequestFacts(stream=True)
        self._calls = 0
        self._open: LiveCall | None = None
        self._due: list[SocketNews] = []
        """News that a message brought besides those that it was answered with: ends of calls
        that are known. News of a call that begins never wait, for the connection may be over."""

    def client_message(self, message: bytes) -> SocketNews | None:
        """Take a message from the client; news only if it asks for a generation."""
        found = CLIENT.decode(message)
        if found is None:
            return None
        if found.setup is not None:
            self._session = read_setup(found)
        if not found.asks or (self._open is not None and not self._open.reading.ended):
            return None
        answers = found.tool_response.function_responses if found.tool_response else None
        parts = [Part(function_response=answer) for answer in answers or []]
        results = tuple(tool_results(Content(parts=parts)))
        begun = self._begin(msgspec.structs.replace(self._session, tool_results=results))
        return begun.news("begun", begun.request)

    def server_message(self, message: bytes) -> SocketNews | None:
        """Take a message from the provider."""
        found = SERVER.decode(message)
        if found is not None:
            self._take(found)
        return self._due.pop(0) if self._due else None

    def close(self) -> list[SocketNews]:
        """The connection is over: the calls that it leaves unended."""
        if self._open is not None:
            self._end(self._open)
        left, self._due = self._due, []
        return left

    def _begin(self, request: RequestFacts) -> LiveCall:
        if self._open is not None:
            self._end(self._open)
        self._calls += 1
        self._open = LiveCall(str(self._calls), request)
        return self._open

    def _end(self, call: LiveCall) -> None:
        self._due.append(self._ended(call))

    def _ended(
        self, call: LiveCall, request: RequestFacts | None = None, error_status: int | None = None
    ) -> SocketNews:
        self._open = None
        if call.reading.ended and not call.reading.parts:
            say(call.reading, notes.USAGE_ABSENT)
        return call.news("ended", request, error_status=error_status)

    def _take(self, message: ServerMessage) -> None:
        call = self._open
        if call is not None and call.reading.ended and message.generates:
            self._end(call)
            call = None
        begins = call is None
        if call is None:
            if not message.generates and message.usage_metadata is None:
                return
            call = self._begin(self._session)
        changed = call.take(message)
        request = call.request if begins else None
        if call.over or message.error is not None:
            status = message.error.code if message.error is not None else None
            self._due.insert(0, self._ended(call, request, status))
        elif begins:
            self._due.insert(0, call.news("begun", request, changed=changed))
        elif not self._due:
            self._due.append(call.news("progressed", changed=changed))


def read_setup(message: ClientMessage) -> RequestFacts:
    """Facts of a session."""
    setup = message.setup
    if setup is None:
        return RequestFacts(stream=True)
    facts = RequestFacts(
        model=model_name(setup.model), stream=True, offers_tools=offers_tools(setup.tools)
    )
    return with_settings(facts, setup.generation_config)


class GoogleLive:
    """``BidiGenerateContent``."""

    name = "google.live"

    def read_request(self, body: bytes) -> RequestFacts:
        """Facts of the first message, ``setup``; the upgrade itself has no body."""
        if not body:
            return RequestFacts(stream=True)
        message = CLIENT.decode(body)
        return RequestFacts(malformed=True) if message is None else read_setup(message)

    def read_response_headers(self, headers: Mapping[str, str]) -> ResponseFacts:
        """Ids and limits, from response headers with lower-cased names."""
        return google_headers.read_response_headers(headers)

    def open_response(self, head: Head) -> ResponseParser:
        """A parser for an answer that refuses the upgrade."""
        return open_error(head.status)

    def open_socket(self, _head: Head) -> SocketParser:
        """A parser for the connection that the upgrade's answer opened."""
        return LiveSocketParser()


LIVE: SocketDialect = GoogleLive()
"""Stateless, so one is enough."""
