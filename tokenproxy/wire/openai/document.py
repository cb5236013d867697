"""A response that is one JSON document: kept within bounds, read when it is over."""

from __future__ import annotations

from abc import ABC, abstractmethod

from tokenproxy.wire import notes
from tokenproxy.wire.framing.jsonbody import LIMIT, JsonBody
from tokenproxy.wire.usage import Reading

_BOM = b"\xef\xbb\xbf"


class DocumentParser(ABC):
    """Collects a body and reads it when it is over.

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
        if note not in self.reading.notes:
            self.reading.notes = (*self.reading.notes, note)
