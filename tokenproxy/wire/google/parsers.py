"""The framings of generateContent's responses.

The rules (SDK, ``_api_client.py``; the facts of the wire):

* With ``alt=sse`` a stream is events of ``data`` alone, without names and
  without an end mark. An error in the midst of it comes as bare JSON over
  several lines: a line that begins with a brace or a bracket ends the events.
* Without ``alt=sse`` a stream is one JSON array, its objects cut anywhere.
* Any endpoint may answer with one plain object, and some wrap an error in an
  array of one.

A body's first bytes decide which it is, whatever its media type.
"""

from __future__ import annotations

from functools import partial

from tokenproxy.wire import notes
from tokenproxy.wire.bookkeeping import say
from tokenproxy.wire.dialect import ResponseParser
from tokenproxy.wire.framing.document import ERROR_LIMIT, DocumentParser
from tokenproxy.wire.framing.jsonstream import JsonStream
from tokenproxy.wire.framing.sniff import SniffingParser
from tokenproxy.wire.framing.sse import Event, SSEReader
from tokenproxy.wire.google.errors import fail, read_error
from tokenproxy.wire.google.reading import ContentReading
from tokenproxy.wire.google.shapes import ENVELOPE
from tokenproxy.wire.usage import Reading

_BARE = (b"{", b"[")
_BLANK = b" \t\r\n\xef\xbb\xbf"


def open_content(service_tier: str | None, *, declared_stream: bool) -> ResponseParser:
    """A parser for a response that succeeded so far."""
    return SniffingParser(
        stream=lambda reading: EventsParser(ContentReading(reading, service_tier, streamed=True)),
        document=lambda reading: JsonParser(ContentReading(reading, service_tier, streamed=True)),
        declared_stream=declared_stream,
    )


def open_error(status: int) -> ResponseParser:
    """A parser for the body of a failed request, JSON or not."""
    reading = Reading(error=f"http_{status}")
    return DocumentParser(partial(_read_error, reading, status), reading, ERROR_LIMIT)


def open_count() -> ResponseParser:
    """A parser for a token count. It is free, and no usage: only whether it came whole matters."""
    reading = Reading()
    return DocumentParser(partial(_read_count, reading), reading, ERROR_LIMIT)


class JsonParser:
    """Reads a response that is JSON: one object, or an array of a stream's objects.

    Args:
        content: what is read is gathered here.
        alone: this is all of the response; else it follows events, and only they tell its end.
    """

    def __init__(self, content: ContentReading, *, alone: bool = True) -> None:
        self.reading = content.reading
        self._content = content
        self._alone = alone
        self._parser: ResponseParser | None = None

    def feed(self, data: bytes) -> bool:
        """Take the next bytes. True if model, id or usage changed."""
        if self._parser is None:
            data = data.lstrip(_BLANK)
            if not data:
                return False
            self._parser = self._open(data)
        return self._parser.feed(data)

    def close(self) -> None:
        """The body is over."""
        if self._parser is not None:
            self._parser.close()

    def take_items(self) -> list[Reading]:
        """One response, one reading: none."""
        return []

    def _open(self, data: bytes) -> ResponseParser:
        if data.startswith(b"["):
            return ArrayParser(self._content, alone=self._alone)
        read = partial(_read_document, self._content, alone=self._alone)
        return DocumentParser(read, self.reading)


class ArrayParser:
    """Reads a stream that is a JSON array; its arguments are those of ``JsonParser``."""

    def __init__(self, content: ContentReading, *, alone: bool = True) -> None:
        self.reading = content.reading
        self._content = content
        self._alone = alone
        self._objects = JsonStream()
        self._seen = 0
        self._closed = False

    def feed(self, data: bytes) -> bool:
        """Take the next bytes. True if model, id or usage changed."""
        changed = False
        for item in self._objects.feed(data):
            changed = self._take(item) or changed
        return changed

    def close(self) -> None:
        """The array is over; in order if it closed and its answer is finished."""
        if self._closed:
            return
        self._closed = True
        self._objects.close()
        if self._objects.oversized:
            say(self.reading, notes.EVENT_TOO_LARGE)
        failed_at_once = self.reading.error is not None and self._seen == 1
        over = self._content.finished or failed_at_once
        if self._alone and self._objects.complete and over:
            self._content.end()
        else:
            self._content.settle()

    def take_items(self) -> list[Reading]:
        """One response, one reading: none."""
        return []

    def _take(self, item: bytes) -> bool:
        self._seen += 1
        return _take_chunk(self._content, item)


class EventsParser:
    """Reads a stream of events, and the bare JSON that may follow them."""

    def __init__(self, content: ContentReading) -> None:
        self.reading = content.reading
        self._content = content
        self._events = SSEReader()
        self._bare: JsonParser | None = None
        self._at_line_start = True
        self._torn = False
        self._closed = False

    def feed(self, data: bytes) -> bool:
        """Take the next bytes. True if model, id or usage changed."""
        if self._bare is not None:
            return self._bare.feed(data)
        cut = self._bare_begins(data)
        changed = False
        for event in self._events.feed(data[:cut]):
            changed = self._take(event) or changed
        if cut < len(data):
            for event in self._events.close():
                changed = self._take(event) or changed
            self._bare = JsonParser(self._content, alone=False)
            changed = self._bare.feed(data[cut:]) or changed
        return changed

    def close(self) -> None:
        """The stream is over; in order if nothing was cut and its answer is finished."""
        if self._closed:
            return
        self._closed = True
        if self._bare is not None:
            self._bare.close()
        for event in self._events.close():
            self._take(event)
        if self._events.oversized:
            say(self.reading, notes.EVENT_TOO_LARGE)
        if self._content.finished and not self._torn and self.reading.error is None:
            self._content.end()
        else:
            self._content.settle()

    def take_items(self) -> list[Reading]:
        """One response, one reading: none."""
        return []

    def _bare_begins(self, data: bytes) -> int:
        """Where bare JSON begins; the data's length if nowhere."""
        if not data:
            return 0
        at_line_start, self._at_line_start = self._at_line_start, data.endswith(b"\n")
        if at_line_start and data.startswith(_BARE):
            return 0
        found = [at + 1 for opening in _BARE if (at := data.find(b"\n" + opening)) >= 0]
        return min(found, default=len(data))

    def _take(self, event: Event) -> bool:
        if event.data is None:
            return False
        data = event.data.strip()
        if data in (b"", b"[DONE]"):
            return False
        if event.torn and ENVELOPE.decode(data) is None:
            self._torn = True
            return False
        return _take_chunk(self._content, data)


def _take_chunk(content: ContentReading, data: bytes) -> bool:
    envelope = ENVELOPE.decode(data)
    if envelope is None:
        say(content.reading, notes.EVENT_UNREADABLE)
        return False
    return content.take(envelope.chunk())


def _read_document(content: ContentReading, body: bytes, *, alone: bool) -> bool:
    envelope = ENVELOPE.decode(body)
    if envelope is None:
        return False
    content.take(envelope.chunk())
    if alone:
        content.end()
    return True


def _read_error(reading: Reading, status: int, body: bytes) -> bool:
    found = read_error(body)
    if found is None:
        return False
    reading.ended = True
    fail(reading, found.error, status)
    return True


def _read_count(reading: Reading, body: bytes) -> bool:
    reading.ended = ENVELOPE.decode(body) is not None
    return reading.ended
