"""Events of an AWS event stream, and what ends it before its time.

The headers of a message tell what it is: ``:message-type`` ``event``,
``exception`` (``:exception-type`` names one that the API models) or ``error``
(``:error-code``). Exceptions come at any time after HTTP 200, and are the last
message of their stream.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from tokenproxy.wire import notes
from tokenproxy.wire.bedrock.errors import error_word
from tokenproxy.wire.bookkeeping import say
from tokenproxy.wire.dialect import ResponseParser
from tokenproxy.wire.framing.eventstream import EventStreamReader, Message
from tokenproxy.wire.usage import Reading

MEDIA_TYPE = "application/vnd.amazon.eventstream"

_UNNAMED = "error"
"""The error's type, where none is told."""


class EventsParser(ABC):
    """Reads a stream of events."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self._messages = EventStreamReader()
        self._closed = False

    def feed(self, data: bytes) -> bool:
        """Take the next bytes. True if model, id or usage changed."""
        changed = False
        for message in self._messages.feed(data):
            changed = self._take(message) or changed
        return changed

    def close(self) -> None:
        """The stream is over."""
        if self._closed:
            return
        self._closed = True
        self._messages.close()
        self._end()
        if self._messages.oversized:
            say(self.reading, notes.EVENT_TOO_LARGE)
        if self._messages.corrupt or self._messages.failed:
            say(self.reading, notes.EVENT_UNREADABLE)

    def take_items(self) -> list[Reading]:
        """A stream holds one answer: none."""
        return []

    @abstractmethod
    def _event(self, name: str, payload: bytes) -> bool:
        """Take an event. True if model, id or usage changed."""

    @abstractmethod
    def _end(self) -> None:
        """Settle the reading."""

    def _take(self, message: Message) -> bool:
        kind = message.word(":message-type")
        if kind == "event":
            return self._event(message.word(":event-type"), message.payload)
        if kind in ("exception", "error"):
            told = message.word(":exception-type") or message.word(":error-code")
            self.reading.error = error_word(told) or _UNNAMED
        return False


class FirstByteParser:
    """An event stream or one document, whichever the first byte looks like.

    A stream begins with a message's length, whose first byte is 0: no text does.

    Args:
        stream: reads an event stream.
        document: reads one document, over the same reading.
        declared_stream: what the media type says, for a body without a first byte.
    """

    def __init__(
        self, stream: ResponseParser, document: ResponseParser, *, declared_stream: bool
    ) -> None:
        self.reading = stream.reading
        self._stream = stream
        self._document = document
        self._parser = stream if declared_stream else document
        self._begun = False

    def feed(self, data: bytes) -> bool:
        """Take the next bytes. True if model, id or usage changed."""
        if data and not self._begun:
            self._begun = True
            self._parser = self._stream if data.startswith(b"\0") else self._document
        return self._parser.feed(data)

    def close(self) -> None:
        """The body is over."""
        self._parser.close()

    def take_items(self) -> list[Reading]:
        """None."""
        return []
