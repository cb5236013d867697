"""A parser of event streams, as far as it is the same whoever sends them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

from tokenproxy.wire import notes
from tokenproxy.wire.bookkeeping import say
from tokenproxy.wire.framing.sse import Event, SSEReader
from tokenproxy.wire.usage import Reading


class EventStreamParser(ABC):
    """Cuts a stream into events and hands them on; a dialect says what they mean.

    Args:
        reading: what the dialect keeps up to date.
        skip: names of events whose data is not wanted.
    """

    def __init__(self, reading: Reading, skip: Iterable[bytes] = ()) -> None:
        self.reading = reading
        self._events = SSEReader(skip)
        self._closed = False

    def feed(self, data: bytes) -> bool:
        """Take the next bytes. True if model, id or usage changed."""
        changed = False
        for event in self._events.events(data):
            changed = self._take(event) or changed
        return changed

    def close(self) -> None:
        """The stream is over. Data that its end cut off counts if it is whole."""
        if self._closed:
            return
        self._closed = True
        for event in self._events.close():
            self._take(event)
        if self._events.oversized:
            self._say(notes.EVENT_TOO_LARGE)
        self._end()

    def take_items(self) -> list[Reading]:
        """A stream holds one answer: none."""
        return []

    @abstractmethod
    def _take(self, event: Event) -> bool:
        """Read an event; True if model, id or usage changed."""

    def _say(self, note: str) -> None:
        """Add a note, once."""
        say(self.reading, note)

    def _end(self) -> None:  # noqa: B027 - most streams need nothing more at their end
        """The last event was taken."""
