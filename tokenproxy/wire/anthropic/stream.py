"""Anthropic's event stream.

``message_start``, content blocks, one or more ``message_delta``,
``message_stop``; ``ping`` anywhere, ``error`` at any time after HTTP 200.
Content deltas, which are nearly all of a stream, are neither kept nor decoded:
the event's name decides; where a gateway leaves it out, or calls every event
``message``, the type in the data. Unknown events (and the legacy ``completion``)
are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from tokenproxy.wire import notes
from tokenproxy.wire.anthropic.reading import MessageReading
from tokenproxy.wire.anthropic.shapes import EVENT, StreamEvent
from tokenproxy.wire.framing.events import EventStreamParser
from tokenproxy.wire.framing.sse import Event
from tokenproxy.wire.usage import Reading

SKIPPED = (b"content_block_delta", b"content_block_stop", b"ping")
"""Events whose data is never looked at."""

_TYPE_FIRST = re.compile(rb'\s*\{\s*"type"\s*:\s*"([a-z_]{1,40})"')


class StreamParser(EventStreamParser):
    """Reads a streamed message."""

    def __init__(
        self,
        reading: Reading | None = None,
        *,
        first_party: bool = True,
        service_tier: str | None = None,
    ) -> None:
        super().__init__(reading if reading is not None else Reading(), SKIPPED)
        self._message = MessageReading(self.reading, service_tier, first_party=first_party)

    def _say(self, note: str) -> None:
        """Add a note, once."""
        self._message.say(note)

    def _end(self) -> None:
        """The last event was taken."""
        self._message.close()

    def take(self, name: bytes, data: bytes | None, *, torn: bool = False) -> bool:
        """Take an event that another framing may have cut. True if model, id or usage changed.

        Args:
            name: its type.
            data: its JSON; None if that was not wanted.
            torn: the data may be cut anywhere.
        """
        if name == b"content_block_delta":
            self.reading.content_started = True
            return False
        handle = _HANDLERS.get(name)
        if handle is None or data is None:
            return False
        content = EVENT.decode(data)
        if content is None:
            if torn:
                return False
            self._message.say(notes.EVENT_UNREADABLE)
            # The name alone says that it ended or failed; what it says beside that is lost.
            content = StreamEvent()
        return handle(self._message, content)

    def _take(self, event: Event) -> bool:
        name = event.name
        if name not in _HANDLERS and name not in SKIPPED:
            name = type_of(event.data)
        return self.take(name, event.data, torn=event.torn)


def type_of(data: bytes | None) -> bytes:
    """The type that the data of an event states."""
    if data is None:
        return b""
    first = _TYPE_FIRST.match(data)
    if first is not None:
        return first[1]
    content = EVENT.decode(data)
    return (content.type or "").encode(errors="replace") if content is not None else b""


def _message_start(message: MessageReading, event: StreamEvent) -> bool:
    if event.message is None:
        return False
    message.start(event.message)
    return True


def _message_delta(message: MessageReading, event: StreamEvent) -> bool:
    message.delta(event.delta, event.usage)
    return event.usage is not None


def _block_start(message: MessageReading, event: StreamEvent) -> bool:
    return event.content_block is not None and message.block(event.content_block)


def _message_stop(message: MessageReading, _event: StreamEvent) -> bool:
    message.end()
    return False


def _error(message: MessageReading, event: StreamEvent) -> bool:
    message.fail(event.error, "api_error")
    return False


_HANDLERS: Mapping[bytes, Callable[[MessageReading, StreamEvent], bool]] = {
    b"message_start": _message_start,
    b"message_delta": _message_delta,
    b"content_block_start": _block_start,
    b"message_stop": _message_stop,
    b"error": _error,
}
