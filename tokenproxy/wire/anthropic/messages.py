"""Anthropic Messages: the dialect, put together from its files.

``shapes``   which fields are read
``request``  request bodies
``stream``, ``body``, ``batch``  the three framings of a response
``reading``  what they have in common: pieces in, reading out
``usage``    merging and adding counts
``attempts`` attempts inside a response and their roles
``parts``    who is billed for what
``refusals`` which refusals are free, as a table
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from tokenproxy.wire.anthropic.batch import BatchParser
from tokenproxy.wire.anthropic.body import CountParser, ErrorParser, MessageParser
from tokenproxy.wire.anthropic.request import read_request
from tokenproxy.wire.anthropic.stream import StreamParser
from tokenproxy.wire.dialect import Dialect, Head, ResponseParser
from tokenproxy.wire.framing.sniff import SniffingParser
from tokenproxy.wire.headers import limits, retry_after_s
from tokenproxy.wire.usage import RequestFacts, ResponseFacts
from tokenproxy.wire.words import word

_CLAUDES_HOMES = ("anthropic", "aws.bedrock", "azure.ai.inference", "gcp.vertex_ai")
_LIMITS = ("anthropic-ratelimit-", "anthropic-priority-", "anthropic-fast-")


class AnthropicMessages:
    """``/v1/messages`` and what belongs to it."""

    name = "anthropic.messages"

    def read_request(self, body: bytes) -> RequestFacts:
        """Facts of a decoded request body."""
        return read_request(body)

    def read_response_headers(self, headers: Mapping[str, str]) -> ResponseFacts:
        """Ids and limits, from response headers with lower-cased names."""
        return ResponseFacts(
            request_id=word(headers.get("request-id")) or word(headers.get("x-amzn-requestid")),
            organization_id=word(headers.get("anthropic-organization-id")),
            workspace_id=word(headers.get("anthropic-workspace-id")),
            rate_limits=limits(headers, *_LIMITS),
            retry_after_s=retry_after_s(headers),
        )

    def open_response(self, head: Head) -> ResponseParser:
        """A parser for the response that begins with this head.

        Others than Anthropic itself zero the input in a final usage (envoyproxy/ai-gateway#1631).
        """
        if head.failed:
            return ErrorParser(head.status)
        if head.operation == "count_tokens":
            return CountParser()
        if head.operation == "batch_results":
            return BatchParser()
        return SniffingParser(
            stream=partial(StreamParser, first_party=head.first_party and _is_claude(head)),
            document=MessageParser,
            declared_stream=head.media_type == "text/event-stream",
        )


def _is_claude(head: Head) -> bool:
    """Whether Anthropic's own model serves, wherever it runs, and nobody who speaks as it does."""
    return head.provider is None or head.provider in _CLAUDES_HOMES


MESSAGES: Dialect = AnthropicMessages()
"""Stateless, so one is enough."""
