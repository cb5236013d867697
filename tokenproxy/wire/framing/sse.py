"""Server-sent events, sans-IO: bytes in any chunking, events out.

The rules (WHATWG HTML, "Server-sent events", as providers really use them):

* Lines end with LF, CRLF or CR. They are split on bytes, before anything is
  decoded: U+2028 and U+0085 inside a JSON string must not end a line.
* An event is complete at its blank line and is handed out *there*, never held
  back until the next event begins.
* Of the fields only ``event`` and ``data`` matter here; comments, ``id``,
  ``retry`` and unknown fields are passed over without being kept.
* A byte order mark at the start of the stream is passed over.

Theory of operation. Nearly all bytes of a model's stream are content deltas,
which accounting does not need. The reader is told the names of such events and
passes over their data without copying it: an event that lies whole in one
chunk costs two ``find`` calls, one that is cut by chunk borders is dropped line
by line. What is kept is bounded: an event larger than the limit is passed over
to its end and counted, whatever its name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

LIMIT = 8 * 1024 * 1024
"""Largest event that is kept, bytes."""

_BOM = b"\xef\xbb\xbf"
_NAME = b"event: "
_NAME_LIMIT = 256
"""Longest name that is kept, bytes; the rest of a longer one is cut off."""
_HEAD = 9
"""Bytes of a line after which its field is known: ``event:``, or a BOM and ``data:``."""


class Event(NamedTuple):
    """One event of a stream."""

    name: bytes
    """Value of its ``event`` field; empty if it has none."""
    data: bytes | None
    """Its ``data`` lines joined by LF; None if passed over, by name or for its size."""
    torn: bool = False
    """The stream ended inside this event: what there is of it may be cut anywhere."""


class SSEReader:
    """Cuts a stream into events.

    Args:
        skip: names of events whose data is not wanted; they come out with ``data=None``.
        limit: largest event kept, bytes of its data.
    """

    def __init__(self, skip: Iterable[bytes] = (), limit: int = LIMIT) -> None:
        names = frozenset(skip)
        self.oversized = 0
        """Events passed over because they exceeded the limit."""
        self._skipped = {name: Event(name, None) for name in names}
        self._openings = tuple(_NAME + name + b"\n" for name in names)
        self._limit = limit
        self._name = b""
        self._data: bytearray | None = None
        self._has_data = False
        """There was a data line, kept or not: the event is one."""
        self._too_large = False
        self._line = bytearray()
        """The line that the last chunk left unfinished."""
        self._line_dropped = False
        """The unfinished line is of no interest; its bytes are not kept."""
        self._after_cr = False
        """The last line ended with CR at a chunk's end: an LF that follows belongs to it."""
        self._at_start = True

    def feed(self, chunk: bytes) -> list[Event]:
        """Take the next bytes; return the events that they complete."""
        events: list[Event] = []
        position = 0
        if self._after_cr and chunk:
            self._after_cr = False
            position = chunk[:1] == b"\n"
        has_cr = b"\r" in chunk
        while position < len(chunk):
            if not has_cr and self._between_events() and chunk.startswith(self._openings, position):
                boundary = self._pass_over(chunk, position, events)
                if boundary >= 0:
                    position = boundary
                    continue
            end, following = _line_end(chunk, position, has_cr=has_cr)
            if end < 0:
                if not self._line_dropped:
                    self._keep_piece(chunk[position:])
                break
            if following > len(chunk):
                self._after_cr = True
            if self._line or self._line_dropped:
                self._finish_line(chunk[position:end], events)
            elif not self._unwanted_data(chunk, position):
                self._take_line(chunk[position:end], events)
            position = following
        return events

    def close(self) -> list[Event]:
        """The stream is over: what it left unfinished, if that has data."""
        events: list[Event] = []
        if self._line or self._line_dropped:
            self._finish_line(b"", events)
        if self._has_data:
            self._dispatch(events, torn=True)
        return events

    def _pass_over(self, chunk: bytes, position: int, events: list[Event]) -> int:
        """Pass over an unwanted event that begins here, if it is whole and of two lines.

        Returns:
            Where the next one begins, or -1.
        """
        name_end = chunk.index(b"\n", position)
        data_end = chunk.find(b"\n", name_end + 1)
        if data_end < 0 or not chunk.startswith(b"\n", data_end + 1):
            return -1
        if not chunk.startswith(b"data:", name_end + 1):
            return -1
        events.append(self._skipped[chunk[position + len(_NAME) : name_end]])
        self._at_start = False
        return data_end + 2

    def _between_events(self) -> bool:
        return not (self._line or self._line_dropped or self._name or self._has_data)

    def _unwanted_data(self, chunk: bytes, position: int) -> bool:
        """Whether a line that starts here is data of an event that is passed over."""
        if (self._too_large or self._name in self._skipped) and chunk.startswith(
            b"data:", position
        ):
            self._has_data = True
            return True
        return False

    def _keep_piece(self, piece: bytes) -> None:
        """Add to the unfinished line, or drop it once it is known to be of no interest."""
        self._line += piece
        if not self._wanted():
            self._line.clear()
            self._line_dropped = True
        elif self._line.startswith(_NAME[:-1]):
            del self._line[2 * _NAME_LIMIT :]
        elif len(self._data or b"") + len(self._line) > self._limit + _HEAD:
            self._drop_event()
            self._line_dropped = True

    def _wanted(self) -> bool:
        """Whether the unfinished line may be of interest."""
        head = bytes(self._line[:_HEAD])
        if len(head) < _HEAD:
            return True
        if self._at_start:
            head = head.removeprefix(_BOM)
        if head.startswith(b"data:"):
            self._has_data = True
            return self._name not in self._skipped and not self._too_large
        return head.startswith(b"event:")

    def _finish_line(self, piece: bytes, events: list[Event]) -> None:
        """The unfinished line ends with this piece."""
        if not self._line_dropped:
            self._keep_piece(piece)
        if self._line_dropped:
            self._line_dropped = False
            self._at_start = False
            return
        line = bytes(self._line)
        self._line.clear()
        self._take_line(line, events)

    def _take_line(self, line: bytes, events: list[Event]) -> None:
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BOM)
        if not line:
            self._dispatch(events)
            return
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._has_data = True
            if self._name not in self._skipped:
                self._keep(value)
        elif field == b"event":
            self._name = value.strip()[:_NAME_LIMIT]
            if self._name in self._skipped:
                self._data = None

    def _keep(self, value: bytes) -> None:
        if self._too_large:
            return
        if len(self._data or b"") + len(value) > self._limit:
            self._drop_event()
        elif self._data is None:
            self._data = bytearray(value)
        else:
            self._data += b"\n" + value

    def _drop_event(self) -> None:
        self._too_large = True
        self._has_data = True
        self._data = None
        self._line.clear()

    def _dispatch(self, events: list[Event], *, torn: bool = False) -> None:
        if self._too_large:
            self.oversized += 1
            events.append(Event(self._name, None, torn))
        elif self._has_data:
            skipped = self._skipped.get(self._name)
            if skipped is not None:
                events.append(skipped)
            else:
                events.append(Event(self._name, bytes(self._data or b""), torn))
        self._name = b""
        self._data = None
        self._has_data = False
        self._too_large = False


def _line_end(chunk: bytes, start: int, *, has_cr: bool) -> tuple[int, int]:
    """Where the line that begins at ``start`` ends and where the next one begins.

    Returns:
        (-1, -1) if the line goes on beyond the chunk. A next line that begins
        one past the chunk's length means that the chunk ended with CR.
    """
    newline = chunk.find(b"\n", start)
    if has_cr:
        cr = chunk.find(b"\r", start, newline if newline >= 0 else len(chunk))
        if cr >= 0:
            if cr + 1 == len(chunk):
                return cr, cr + 2
            return cr, cr + 1 + (chunk[cr + 1 : cr + 2] == b"\n")
    return newline, newline + 1
