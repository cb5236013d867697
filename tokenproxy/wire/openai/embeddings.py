"""OpenAI's embeddings: billed by their input alone.

``usage.{prompt_tokens, total_tokens}``. That the total is no more than the input
says that there is no output. A body is mostly vectors, which are passed over.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tokenproxy.wire.dialect import Dialect, Head, ResponseParser
from tokenproxy.wire.openai.accent import Accent
from tokenproxy.wire.openai.chat_body import ChatBodyParser
from tokenproxy.wire.openai.chat_request import read_request
from tokenproxy.wire.openai.errors import ErrorParser
from tokenproxy.wire.openai.fields import CHAT_FIELDS
from tokenproxy.wire.openai.headers import read_response_headers
from tokenproxy.wire.usage import RequestFacts, ResponseFacts


class Embeddings:
    """``/v1/embeddings``."""

    name = "openai.embeddings"

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
        return ChatBodyParser(_ACCENT, "embeddings")


_ACCENT = Accent(
    name=Embeddings.name,
    fields=msgspec.structs.replace(CHAT_FIELDS, rest_is_output=True),
)

EMBEDDINGS: Dialect = Embeddings()
"""Stateless, so one is enough."""
