"""Google's generateContent and streamGenerateContent: the dialect, put together from its files.

The same is spoken by the Gemini API, by Vertex AI and, in an envelope, by Code
Assist (gemini-cli with a Google login).

``shapes``   which fields of a response are read
``request``  request bodies
``parsers``  the framings of a response
``reading``  what they have in common: chunks in, reading out
``meter``, ``usage``  merging and adding counts
``errors``   errors, whole and in mid-stream
"""

from __future__ import annotations

from collections.abc import Mapping

from tokenproxy.wire.dialect import Dialect, Head, ResponseParser
from tokenproxy.wire.google import headers as google_headers
from tokenproxy.wire.google.parsers import open_content, open_count, open_error
from tokenproxy.wire.google.request import read_request
from tokenproxy.wire.usage import RequestFacts, ResponseFacts


class GoogleGenerateContent:
    """``{model}:generateContent`` and what belongs to it."""

    name = "google.generate_content"

    def read_request(self, body: bytes) -> RequestFacts:
        """Facts of a decoded request body."""
        return read_request(body)

    def read_response_headers(self, headers: Mapping[str, str]) -> ResponseFacts:
        """Ids and limits, from response headers with lower-cased names."""
        return google_headers.read_response_headers(headers)

    def open_response(self, head: Head) -> ResponseParser:
        """A parser for the response that begins with this head."""
        if head.failed:
            return open_error(head.status)
        if head.operation == "count_tokens":
            return open_count()
        return open_content(
            google_headers.service_tier(head.headers),
            declared_stream=head.media_type == "text/event-stream",
        )


GENERATE_CONTENT: Dialect = GoogleGenerateContent()
"""Stateless, so one is enough."""
