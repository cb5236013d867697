"""What every provider's wire language offers: the seam between bytes and accounting.

A dialect is stateless; a :class:`ResponseParser` holds the state of one
response. Everything here is sans-IO: decoded bytes in, facts out, and no input
may raise: garbage ends as notes and ``completeness``, never as an exception.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol, runtime_checkable

import msgspec

from tokenproxy.wire.usage import Reading, RequestFacts, ResponseFacts


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a response before its body, and of the request that it answers."""

    status: int
    """Of HTTP; 200 for a WebSocket's messages."""
    content_type: str = ""
    """The header's value; wrong ones are seen through."""
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    """The response's, names lower-cased."""
    operation: str = "chat"
    """As the route table has it."""
    model: str | None = None
    """The model that the request's path names, where it names one."""
    provider: str | None = None
    """Who answers, as in the ledger's rows; None: not told."""
    first_party: bool = True
    """It comes from the provider's own host, not from a gateway that speaks its language
    with an accent."""

    @property
    def media_type(self) -> str:
        """``text/event-stream`` of ``text/event-stream; charset=utf-8``."""
        return self.content_type.partition(";")[0].strip().lower()

    @property
    def failed(self) -> bool:
        """Whether the status tells an error."""
        return self.status >= 400  # noqa: PLR2004 - HTTP: client and server errors begin at 400


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
        """Hand over finished readings of a body of kind ``results``, else []."""
        ...


class Dialect(Protocol):
    """One provider's wire language."""

    name: str
    """Unique, ``anthropic.messages``: its module in this package, and its name there."""

    def read_request(self, body: bytes) -> RequestFacts:
        """Facts of a decoded request body. Long strings in it may have been cut out.

        What the path tells (model, stream) is not the body's business.
        """
        ...

    def read_response_headers(self, headers: Mapping[str, str]) -> ResponseFacts:
        """Ids and limits, from response headers with lower-cased names."""
        ...

    def open_response(self, head: Head) -> ResponseParser:
        """A parser for the response that begins with this head."""
        ...


class SocketNews(msgspec.Struct, kw_only=True):
    """What one WebSocket message means: a call begins, goes on, or is over."""

    key: str
    """Which of the connection's calls; unique on it."""
    event: Literal["begun", "progressed", "ended"]
    request: RequestFacts | None = None
    """Of a call that begins; one whose first message is its last ends with it."""
    reading: Reading | None = None
    """Of a call that has begun; always the same object for one key."""
    changed: bool = False
    """Model, id or usage changed (worth journaling)."""
    error_status: int | None = None
    """The HTTP status that an error message states."""


class SocketParser(Protocol):
    """Reads the messages of one WebSocket connection, on which several calls may follow."""

    def client_message(self, message: bytes) -> SocketNews | None:
        """Take a whole message from the client; news only if it asks the model for something."""
        ...

    def server_message(self, message: bytes) -> SocketNews | None:
        """Take a whole message from the provider."""
        ...

    def close(self) -> list[SocketNews]:
        """The connection is over: the calls that it leaves unended."""
        ...


@runtime_checkable
class SocketDialect(Dialect, Protocol):
    """A dialect that is also spoken over WebSockets."""

    def open_socket(self, head: Head) -> SocketParser:
        """A parser for the connection that the upgrade's answer opened."""
        ...
