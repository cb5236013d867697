"""A response of JSON lines, each read as it comes."""

from __future__ import annotations

from collections.abc import Callable

from tokenproxy.wire import notes
from tokenproxy.wire.bookkeeping import say
from tokenproxy.wire.framing.jsonbody import LIMIT
from tokenproxy.wire.framing.ndjson import LineReader
from tokenproxy.wire.usage import Reading


class LinesParser:
    """Cuts a body into lines and has each read.

    Args:
        read: takes a line into the reading. True if model, id or usage changed;
            None if the line is not what it should be.
        reading: what is filled in.
        limit: largest line that is kept, bytes.
    """

    def __init__(
        self, read: Callable[[bytes], bool | None], reading: Reading, limit: int = LIMIT
    ) -> None:
        self.reading = reading
        self._read = read
        self._lines = LineReader(limit)
        self._closed = False

    def feed(self, data: bytes) -> bool:
        """Take the next bytes. True if model, id or usage changed."""
        changed = False
        for line in self._lines.feed(data):
            news = self._read(line)
            if news is None:
                say(self.reading, notes.EVENT_UNREADABLE)
            changed = bool(news) or changed
        return changed

    def close(self) -> None:
        """The body is over. A last line without an end may be cut anywhere, and counts if whole."""
        if self._closed:
            return
        self._closed = True
        for line in self._lines.close():
            self._read(line)
        if self._lines.oversized:
            say(self.reading, notes.EVENT_TOO_LARGE)

    def take_items(self) -> list[Reading]:
        """One answer: none."""
        return []
