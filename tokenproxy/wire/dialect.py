"""What every provider's wire language offers: the seam between bytes and accounting.

A dialect is stateless; a :class:`ResponseParser` holds the state of one
response. Everything here is sans-IO: decoded bytes in, facts out, and no input
may raise: garbage ends as notes and ``completeness``, never as an exception.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from tokenproxy.wire.usage import Attribution, Reading, RequestFacts, ResponseFacts


class ResponseParser(Protocol):
    """Reads one response body, fed in chunks of any size, content-encoding already removed."""

    reading: Reading
    """What is known so far; the same object throughout."""

    def feed(self, data: bytes) -> bool:
        """Take the next bytes. True if model, id or usage changed (worth journaling)."""
        ...

    def close(self) -> None:
        """The body is over, rightly or not. Settle ``reading``; calling twice is harmless."""
        ...

    def take_items(self) -> list[Reading]:
        """Hand over finished readings of a multi-result body (batch results), else []."""
        ...


class Dialect(Protocol):
    """One provider's wire language."""

    name: str
    """Unique, ``anthropic.messages``; stored in the journal."""

    def read_request(self, body: bytes) -> RequestFacts:
        """Facts of a decoded request body."""
        ...

    def read_attribution(self, headers: Mapping[str, str]) -> Attribution:
        """Who calls, from request headers with lower-cased names."""
        ...

    def read_response_headers(self, headers: Mapping[str, str]) -> ResponseFacts:
        """Ids and limits, from response headers with lower-cased names."""
        ...

    def open_response(
        self, *, status: int, content_type: str, operation: str, first_party: bool = True
    ) -> ResponseParser:
        """A parser for a response of this status, media type and operation.

        ``first_party``: it comes from the provider's own host, not from a gateway that
        speaks its language with an accent.
        """
        ...
