"""OpenAI's Responses API: the dialect, put together from its files.

``responses_shapes``   which fields are read
``responses_request``  request bodies
``responses_body``, ``responses_stream``, ``websocket``  the three framings of a response
``responses_reading``  what they have in common: pieces in, reading out
``responses_items``    what the items of the output ask for
``responses_usage``    what is billed beside the model's own tokens

Codex speaks it to its own backend (``chatgpt.com/backend-api/codex``) without a
difference. A GET of a response is read like the response itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tokenproxy.wire.dialect import Head, ResponseParser, SocketDialect, SocketParser
from tokenproxy.wire.framing.sniff import SniffingParser
from tokenproxy.wire.openai import responses_body, responses_stream
from tokenproxy.wire.openai.errors import ErrorParser
from tokenproxy.wire.openai.headers import read_response_headers
from tokenproxy.wire.openai.responses_reading import OPENAI, Accent, ResponseReading
from tokenproxy.wire.openai.responses_request import read_request
from tokenproxy.wire.openai.websocket import ResponsesSocket
from tokenproxy.wire.usage import Reading, RequestFacts, ResponseFacts


class OpenAIResponses:
    """``/v1/responses`` and what belongs to it, in one provider's accent."""

    def __init__(self, name: str, accent: Accent = OPENAI) -> None:
        self.name = name
        self._accent = accent

    def read_request(self, body: bytes) -> RequestFacts:
        """Facts of a decoded request body."""
        return read_request(body)

    def read_response_headers(self, headers: Mapping[str, str]) -> ResponseFacts:
        """Ids and limits, from response headers with lower-cased names."""
        return read_response_headers(headers)

    def open_response(self, head: Head) -> ResponseParser:
        """A parser for the response that begins with this head."""
        if head.failed:
            return ErrorParser(head.status)
        if head.operation == "count_tokens":
            return responses_body.CountParser()
        return SniffingParser(
            stream=self._stream,
            document=self._document,
            declared_stream=head.media_type == "text/event-stream",
        )

    def open_socket(self, head: Head) -> SocketParser:  # noqa: ARG002 - the seam's signature
        """A parser for the connection that the upgrade's answer opened."""
        return ResponsesSocket(self._accent)

    def _stream(self, reading: Reading) -> ResponseParser:
        return responses_stream.StreamParser(ResponseReading(reading, self._accent))

    def _document(self, reading: Reading) -> ResponseParser:
        return responses_body.ResponseParser(ResponseReading(reading, self._accent))


RESPONSES: Final[SocketDialect] = OpenAIResponses("openai.responses")
"""Stateless, so one is enough."""
