"""Anthropic Messages: the dialect, put together from its files.

``anthropic_shapes``   which fields are read
``anthropic_request``  request bodies
``claude_code``        request headers
``anthropic_stream``, ``anthropic_body``, ``anthropic_batch``  the three framings of a response
``anthropic_reading``  what they have in common: pieces in, reading out
``anthropic_usage``    merging and adding counts
``anthropic_attempts`` attempts inside a response and their roles
``anthropic_parts``    who is billed for what
``anthropic_refusals`` which refusals are free, as a table
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial

from tokenproxy.wire.anthropic_batch import BatchParser
from tokenproxy.wire.anthropic_body import CountParser, ErrorParser, MessageParser
from tokenproxy.wire.anthropic_request import read_request
from tokenproxy.wire.anthropic_stream import StreamParser
from tokenproxy.wire.claude_code import read_attribution
from tokenproxy.wire.dialect import Dialect, ResponseParser
from tokenproxy.wire.sniff import SniffingParser
from tokenproxy.wire.usage import Attribution, RequestFacts, ResponseFacts
from tokenproxy.wire.words import word

_LIMITS = ("anthropic-ratelimit-", "anthropic-priority-", "anthropic-fast-")
_MAX_RETRY_AFTER_S = 7 * 86400.0
_FIRST_ERROR = 400


class AnthropicMessages:
    """``/v1/messages`` and what belongs to it."""

    name = "anthropic.messages"

    def read_request(self, body: bytes) -> RequestFacts:
        """Facts of a decoded request body."""
        return read_request(body)

    def read_attribution(self, headers: Mapping[str, str]) -> Attribution:
        """Who calls, from request headers with lower-cased names."""
        return read_attribution(headers)

    def read_response_headers(self, headers: Mapping[str, str]) -> ResponseFacts:
        """Ids and limits, from response headers with lower-cased names."""
        return ResponseFacts(
            request_id=word(headers.get("request-id")) or word(headers.get("x-amzn-requestid")),
            organization_id=word(headers.get("anthropic-organization-id")),
            workspace_id=word(headers.get("anthropic-workspace-id")),
            rate_limits={
                name: kept
                for name, value in headers.items()
                if name.startswith(_LIMITS) and (kept := word(value)) is not None
            },
            retry_after_s=_retry_after(headers),
        )

    def open_response(
        self, *, status: int, content_type: str, operation: str, first_party: bool = True
    ) -> ResponseParser:
        """A parser for a response.

        Args:
            status: of HTTP.
            content_type: the header's value; wrong ones are seen through.
            operation: as the route table has it.
            first_party: from Anthropic itself; others zero the input in a final usage.
        """
        if status >= _FIRST_ERROR:
            return ErrorParser(status)
        if operation == "count_tokens":
            return CountParser()
        if operation == "batch_results":
            return BatchParser()
        media_type = content_type.partition(";")[0].strip().lower()
        return SniffingParser(
            stream=partial(StreamParser, first_party=first_party),
            document=MessageParser,
            declared_stream=media_type == "text/event-stream",
        )


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait. A date instead of a number is not read: it would need a clock."""
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit_s
        except ValueError:
            continue
        if math.isfinite(seconds) and 0 <= seconds <= _MAX_RETRY_AFTER_S:
            return seconds
    return None


MESSAGES: Dialect = AnthropicMessages()
"""Stateless, so one is enough."""
