"""OpenAI's chat completions: the dialect, put together from its files.

``shapes``        which fields are read
``chat_request``  request bodies
``chat_stream``, ``chat_body``  the two framings of a response
``chat_reading``  what they have in common: pieces in, reading out
``fields``, ``usage``, ``merge``  where counts stand, and their arithmetic
``accent``        what differs between providers
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from tokenproxy.wire.dialect import Dialect, Head, ResponseParser
from tokenproxy.wire.framing.sniff import SniffingParser
from tokenproxy.wire.openai.accent import Accent
from tokenproxy.wire.openai.chat_body import ChatBodyParser
from tokenproxy.wire.openai.chat_request import read_request
from tokenproxy.wire.openai.chat_stream import ChatStreamParser
from tokenproxy.wire.openai.errors import ErrorParser
from tokenproxy.wire.openai.headers import read_response_headers
from tokenproxy.wire.usage import RequestFacts, ResponseFacts


class ChatCompletions:
    """``/v1/chat/completions`` and the legacy ``/v1/completions``, in any accent."""

    def __init__(self, accent: Accent) -> None:
        self.name = accent.name
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
        return SniffingParser(
            stream=partial(ChatStreamParser, self._accent, head.operation),
            document=partial(ChatBodyParser, self._accent, head.operation),
            declared_stream=head.media_type == "text/event-stream",
        )


CHAT: Dialect = ChatCompletions(Accent(name="openai.chat"))
"""OpenAI's own, and that of everyone who has no accent."""
