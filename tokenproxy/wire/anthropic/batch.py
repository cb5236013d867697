"""Results of a message batch: JSON lines, one result each.

A download may hold hundreds of megabytes, so it is read line by line and the
results are handed over as they come. Only ``succeeded`` ones used tokens;
``errored``, ``canceled`` and ``expired`` did not ("Message Batches"). The same
results can be downloaded again: whoever counts must go by ``response_id``.
"""

from __future__ import annotations

from tokenproxy.wire import notes
from tokenproxy.wire.anthropic.reading import MessageReading
from tokenproxy.wire.anthropic.shapes import BATCH_LINE
from tokenproxy.wire.framing.ndjson import LineReader
from tokenproxy.wire.usage import Reading

TIER = "batch"


class BatchParser:
    """Reads the results of a batch. Its own ``reading`` tells only how the download ended."""

    def __init__(self, reading: Reading | None = None) -> None:
        self.reading = reading if reading is not None else Reading()
        self._lines = LineReader()
        self._items: list[Reading] = []
        self._last_unreadable = False
        self._closed = False

    def feed(self, data: bytes) -> bool:
        """Take the next bytes. False: what changes is among the items, not in ``reading``."""
        for line in self._lines.feed(data):
            self._take(line)
        return False

    def close(self) -> None:
        """The download is over. It ended well unless its last line was cut."""
        if self._closed:
            return
        self._closed = True
        for line in self._lines.close():
            self._take(line)
        if self._lines.oversized:
            self._say(notes.EVENT_TOO_LARGE)
        self.reading.ended = not self._last_unreadable

    def take_items(self) -> list[Reading]:
        """Hand over the results read since the last time."""
        items, self._items = self._items, []
        return items

    def _take(self, line: bytes) -> None:
        content = BATCH_LINE.decode(line)
        self._last_unreadable = content is None
        if content is None:
            self._say(notes.EVENT_UNREADABLE)
            return
        result = content.result
        if result is None or result.type != "succeeded" or result.message is None:
            return
        item = Reading()
        MessageReading(item, TIER).whole(result.message)
        self._items.append(item)

    def _say(self, note: str) -> None:
        if note not in self.reading.notes:
            self.reading.notes = (*self.reading.notes, note)
