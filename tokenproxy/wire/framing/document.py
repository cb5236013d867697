"""A response that is one document, read when it is whole."""

from __future__ import annotations

from collections.abc import Callable

from tokenproxy.wire import notes
from tokenproxy.wire.bookkeeping import say
from tokenproxy.wire.framing.jsonbody import LIMIT, JsonBody
from tokenproxy.wire.usage import Reading

ERROR_LIMIT = 1024 * 1024
"""Largest error body that is kept, bytes."""


class DocumentParser:
    """Collects a body and has it read when it is over.

    Args:
        read: settles the reading by the body; False if the body is not what it should be.
            It is called with an empty body too, for what the headers alone tell.
        reading: what is settled.
        limit: largest body kept, bytes.
    """

    def __init__(self, read: Callable[[bytes], bool], reading: Reading, limit: int = LIMIT) -> None:
        self.reading = reading
        self._read = read
        self._body = JsonBody(limit)
        self._closed = False

    def feed(self, data: bytes) -> bool:
        """Take the next bytes. Nothing is known before the last of them."""
        self._body.feed(data)
        return False

    def close(self) -> None:
        """The body is over: read it."""
        if self._closed:
            return
        self._closed = True
        body = self._body.take().removeprefix(b"\xef\xbb\xbf")
        if self._body.too_large:
            say(self.reading, notes.BODY_TOO_LARGE)
        if not self._read(body) and body:
            say(self.reading, notes.BODY_UNREADABLE)

    def take_items(self) -> list[Reading]:
        """One document, one reading: none."""
        return []
