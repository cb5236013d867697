"""A response that is one document, kept within bounds and read when it is whole."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from tokenproxy.wire import notes
from tokenproxy.wire.bookkeeping import say
from tokenproxy.wire.framing.jsonbody import LIMIT, JsonBody
from tokenproxy.wire.usage import Reading

ERROR_LIMIT = 1024 * 1024
"""Largest error body that is kept, bytes."""

_BOM = b"\xef\xbb\xbf"


class WholeBodyParser(ABC):
    """Collects a body; a dialect reads it when it is over.

    Args:
        reading: filled in place; a new one if None.
        limit: largest body that is kept, bytes.
    """

    def __init__(self, reading: Reading | None = None, limit: int = LIMIT) -> None:
        self.reading = reading if reading is not None else Reading()
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
        body = self._body.take()
        if self._body.too_large:
            self._say(notes.BODY_TOO_LARGE)
        self._read(body.removeprefix(_BOM))

    def take_items(self) -> list[Reading]:
        """One document, one reading: none."""
        return []

    @abstractmethod
    def _read(self, body: bytes) -> None:
        """Settle the reading by the body; empty if there was none, or too much."""

    def _say(self, note: str) -> None:
        """Add a note, once."""
        say(self.reading, note)


class DocumentParser(WholeBodyParser):
    """Has a function read the body.

    Args:
        read: settles the reading by the body; False if the body is not what it should be.
            It is called with an empty body too, for what the headers alone tell.
        reading: what is settled.
        limit: largest body kept, bytes.
    """

    def __init__(self, read: Callable[[bytes], bool], reading: Reading, limit: int = LIMIT) -> None:
        super().__init__(reading, limit)
        self._settle = read

    def _read(self, body: bytes) -> None:
        if not self._settle(body) and body:
            self._say(notes.BODY_UNREADABLE)
