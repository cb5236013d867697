"""What one side of a WebSocket says, read in order and a bounded part of it at a time.

A few deflated bytes may be megabytes of a message. To read them may take a third of a second,
which other connections must not wait for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from tokenproxy.wire.framing.message import Message
from tokenproxy.wire.framing.websocket import FrameReader

BEHIND: Final = 8 * 1024 * 1024
"""Bytes that may wait to be read; a side that says more meanwhile is not read any further."""

type Done = Callable[[list[Message]], None]
"""Takes the messages that some bytes have completed, when these are read."""


class Side:
    """Reads one side. Belongs to the event loop."""

    def __init__(
        self,
        reader: FrameReader,
        feed: Callable[[FrameReader, bytes], list[Message]],
        call_soon: Callable[..., object],
        caught_up: Callable[[], None],
        give_up: Callable[[FrameReader], None],
    ) -> None:
        """Prepare.

        Args:
            reader: This side's.
            feed: Has it take some bytes (:meth:`FrameReader.feed_some`); raises nothing.
            call_soon: The event loop's.
            caught_up: Called when nothing waits any more.
            give_up: Called when too much does: it is to read nothing more (``fail``).
        """
        self.reader = reader
        self._feed = feed
        self._call_soon = call_soon
        self._caught_up = caught_up
        self._give_up = give_up
        self._waiting: deque[tuple[bytes, Done]] = deque()
        self._bytes = 0
        self._messages: list[Message] = []
        """Of what is being read."""

    @property
    def behind(self) -> bool:
        """Whether something waits to be read."""
        return bool(self._waiting)

    def read(self, data: bytes, done: Done) -> bool:
        """Read; True if that is done, else it will be later."""
        if not self._waiting:
            messages = self._feed(self.reader, data)
            if not self.reader.busy:
                done(messages)
                return True
            self._messages, data = messages, b""
            self._call_soon(self._go_on)
        self._waiting.append((data, done))
        self._bytes += len(data)
        if self._bytes > BEHIND and not self.reader.failed:
            self._give_up(self.reader)
        return False

    def _go_on(self) -> None:
        data, done = self._waiting[0]
        self._waiting[0] = b"", done
        self._bytes -= len(data)
        self._messages += self._feed(self.reader, data)
        if not self.reader.busy:
            messages, self._messages = self._messages, []
            self._waiting.popleft()
            done(messages)
        if self._waiting:
            self._call_soon(self._go_on)
        else:
            self._caught_up()
