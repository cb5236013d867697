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
which accounting does not need. The reader is told the names of such events, or what an
object must have in it to matter, and passes over all others without copying them: by
one look, where one chunk brings many (``runs``). An event as nearly all are, whole in one
chunk, with a name or none and one line of data, costs two or three ``find`` calls,
wanted or not; one that is cut waits for the next chunk to be such a one; all others are put
together line by line. What is kept is bounded:
data of more than 64 KiB is reduced as JSON while it comes (``prune``: a picture in it
goes, the usage beside it stays), and an event that exceeds the limit all the same is
passed over to its end and counted, whatever its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tokenproxy.wire.framing.jsonbody import LIMIT, RAW_LIMIT, JsonBody
from tokenproxy.wire.framing.line_end import line_end
from tokenproxy.wire.framing.runs import Runs

_BOM = b"\xef\xbb\xbf"
_NAME = b"event: "
_DATA = b"data: "
_CRLF = b"\r\n"
_NAME_LIMIT = 256
"""Longest name that is kept, bytes; the rest of a longer one is cut off."""
_HEAD = 9
"""Bytes of a line after which its field is known, and where its value begins: of a BOM and
``data: ``; ``event:`` is shorter."""


class Event(NamedTuple):
    """One event of a stream."""

    name: bytes
    """Value of its ``event`` field; empty if it has none."""
    data: bytes | None
    """Its ``data`` lines joined by LF, perhaps reduced; None if passed over, by name or size."""
    torn: bool = False
    """The stream ended inside this event: what there is of it may be cut anywhere."""


class SSEReader:
    """Cuts a stream into events.

    Args:
        skip: names of events whose data is not wanted; they come out with ``data=None``, and
            of several in a row that have the same name perhaps not every one.
        limit: largest event kept, bytes of its data; of much data, once it is reduced.
    """

    def __init__(self, skip: Iterable[bytes] = (), limit: int = LIMIT) -> None:
        self.oversized = 0
        """Events passed over because they exceeded the limit."""
        self.unless: re.Pattern[bytes] | None = None
        """Events without a name do not come out whose data is an object in which this is not
        found. It must begin with a quote and cannot go on beyond an object. May be set at any
        time: what :meth:`events` gives next goes by it."""
        self._skipped = {name: Event(name, None) for name in skip}
        self._limit = limit
        self._name = b""
        self._small = min(RAW_LIMIT, limit)
        self._data: bytes | JsonBody | None = None
        """Of one small line, of more than that, or of none."""
        self._has_data = False
        """There was a data line, kept or not: the event is one."""
        self._cut = b""
        """The beginning of an event that the last chunk left, if nothing of it was taken yet."""
        self._line = bytearray()
        """The line that the last chunk left unfinished, until it is known what it is."""
        self._line_dropped = False
        """The unfinished line is of no interest; its bytes are not kept."""
        self._line_is_data = False
        """What there is of the unfinished line is in the data already."""
        self._after_cr = False
        """The last line ended with CR at a chunk's end: an LF that follows belongs to it."""
        self._at_start = True
        self._has_cr = False
        """There is a CR in the chunk that is being taken."""
        self._runs: Runs | None = None
        """Those in it, once it was looked for any."""

    def feed(self, chunk: bytes) -> list[Event]:
        """Take the next bytes; return the events that they complete."""
        return list(self.events(chunk))

    def events(self, chunk: bytes) -> Iterator[Event]:
        """Take the next bytes, as far as the events that they complete are taken: all must be."""
        events: list[Event] = []
        position, was_cut = 0, bool(self._cut)
        if was_cut:
            chunk, self._cut = self._cut + chunk, b""
        if self._after_cr and chunk:
            self._after_cr = False
            position = chunk[:1] == b"\n"
        size = len(chunk)
        self._has_cr = b"\r" in chunk
        between = self._between_events()
        while position < size:
            following = -1
            if between:
                following = self._take_at_once(chunk, position, events)
                # Kept whole once: what comes byte by byte is not joined again and again.
                if following < 0 and (position or not was_cut) and self._is_cut(chunk, position):
                    self._cut = chunk[position:]
                    break
            if following < 0:
                following = self._take_next_line(chunk, position, events)
                between = self._between_events()
            position = following
            if events:
                yield events.pop()
        self._runs = None

    def close(self) -> list[Event]:
        """The stream is over: what it left unfinished, if that has data."""
        events: list[Event] = []
        cut, self._cut, self._has_cr = self._cut, b"", False
        position = 0
        while position < len(cut):
            position = self._take_next_line(cut, position, events)
        if self._in_line():
            self._finish_line(b"", events)
        if self._has_data:
            self._dispatch(events, torn=True)
        return events

    def _is_cut(self, chunk: bytes, position: int) -> bool:
        """Whether an event that begins here goes on beyond the chunk; with a CR, who knows."""
        return (
            len(chunk) - position <= self._small
            and not self._has_cr
            and chunk.find(b"\n\n", position) < 0
        )

    def _take_at_once(self, chunk: bytes, position: int, events: list[Event]) -> int:
        """Take an event that begins here, or a run of which no more than one is told.

        Returns:
            Where the next one begins, or -1 if nothing was taken.
        """
        if self.unless is not None:
            following = self._runs_in(chunk).without(self.unless, position)
            if following > position:
                self._at_start = False
                return following
        following = self._take_whole(chunk, position, events)
        if 0 <= following < len(chunk) and events[0].data is None:
            following = self._runs_in(chunk).named(events[0].name, following)
        return following

    def _runs_in(self, chunk: bytes) -> Runs:
        if self._runs is None:
            self._runs = Runs(chunk, self._small, has_cr=self._has_cr)
        return self._runs

    def _take_next_line(self, chunk: bytes, position: int, events: list[Event]) -> int:
        """Take the line, or the rest of one, that begins here; return where the next begins."""
        end, following = line_end(chunk, position, has_cr=self._has_cr)
        if end < 0:
            if not self._line_dropped:
                self._keep_piece(chunk[position:])
            return len(chunk)
        if following > len(chunk):
            self._after_cr = True
        if self._in_line():
            self._finish_line(chunk[position:end], events)
        elif not self._unwanted_data(chunk, position):
            self._take_line(chunk[position:end], events)
        return following

    def _take_whole(self, chunk: bytes, position: int, events: list[Event]) -> int:
        """Take an event that begins here, if it is whole: a name or none, one line of data.

        Returns:
            Where the next one begins, or -1 if it is not so, and nothing was taken.
        """
        name, start, has_cr = b"", position, self._has_cr
        if chunk.startswith(_NAME, position):
            end = chunk.find(b"\n", position)
            start = end + 1
            if has_cr:
                end, start = line_end(chunk, position, has_cr=True)
            if end < 0:
                return -1
            name = chunk[position + len(_NAME) : end].strip()[:_NAME_LIMIT]
        if not chunk.startswith(_DATA, start):
            return -1
        start += len(_DATA)
        end = chunk.find(b"\n", start)
        following = end + 1
        if has_cr:
            end, following = line_end(chunk, start, has_cr=True)
        blank = 1 if chunk.startswith(b"\n", following) else 2 * chunk.startswith(_CRLF, following)
        if end < 0 or not blank:
            return -1
        event = self._skipped.get(name)
        if event is None:
            if end - start > self._small:
                return -1
            event = Event(name, chunk[start:end])
        events.append(event)
        self._at_start = False
        return following + blank

    def _in_line(self) -> bool:
        return bool(self._line) or self._line_dropped or self._line_is_data

    def _between_events(self) -> bool:
        return not (
            self._name or self._has_data or self._line or self._line_dropped or self._line_is_data
        )

    def _unwanted_data(self, chunk: bytes, position: int) -> bool:
        """Whether a line that starts here is data of an event that is passed over."""
        if (self._too_large() or self._name in self._skipped) and chunk.startswith(
            b"data:", position
        ):
            self._has_data = True
            return True
        return False

    def _too_large(self) -> bool:
        return isinstance(self._data, JsonBody) and self._data.too_large

    def _keep_piece(self, piece: bytes) -> None:
        """Add to the unfinished line, or drop it once it is known to be of no interest."""
        if self._line_is_data:
            self._growing().feed(piece)
            return
        self._line += piece
        if len(self._line) < _HEAD:
            return
        line = bytes(self._line)
        if self._at_start:
            line = line.removeprefix(_BOM)
        if line.startswith(b"data:"):
            self._has_data = True
            self._line_is_data = self._name not in self._skipped and not self._too_large()
            self._line_dropped = not self._line_is_data
            self._line.clear()
            if self._line_is_data:
                self._keep(line[5:].removeprefix(b" "))
        elif line.startswith(_NAME[:-1]):
            del self._line[2 * _NAME_LIMIT :]
        else:
            self._line.clear()
            self._line_dropped = True

    def _finish_line(self, piece: bytes, events: list[Event]) -> None:
        """The unfinished line ends with this piece."""
        if not self._line_dropped:
            self._keep_piece(piece)
        if self._line_dropped or self._line_is_data:
            self._line_dropped = self._line_is_data = False
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
            if self._name in self._skipped and not self._too_large():
                self._data = None

    def _keep(self, value: bytes) -> None:
        if self._data is not None:
            value = b"\n" + value
        elif len(value) <= self._small:
            self._data = value
            return
        self._growing().feed(value)

    def _growing(self) -> JsonBody:
        """The data, as what more can be added to."""
        if not isinstance(self._data, JsonBody):
            body = JsonBody(self._limit)
            body.feed(self._data or b"")
            self._data = body
        return self._data

    def _dispatch(self, events: list[Event], *, torn: bool = False) -> None:
        if self._has_data:
            skipped = self._skipped.get(self._name)
            data = self._data.take() if isinstance(self._data, JsonBody) else self._data or b""
            if self._too_large():
                self.oversized += 1
                events.append(Event(self._name, None, torn))
            elif skipped is not None:
                events.append(skipped)
            else:
                events.append(Event(self._name, data, torn))
        self._name = b""
        self._data = None
        self._has_data = False
