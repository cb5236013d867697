"""A streamed chat completion: ``data: {chunk}`` after chunk, then ``data: [DONE]``.

Events have no names; an error comes as a chunk (SDK, ``_streaming.py``). Nearly
all chunks are content, in which nothing is to be found once the response is
identified and content has begun: then a chunk is decoded only if a key in it
that can matter has a value other than null. A quote inside a JSON string is
always escaped, so such a key cannot be mistaken for content. What is passed over
is not checked: that it was no JSON at all goes unnoticed.

OpenAI's chunks have ``"usage": null`` while the usage that was asked for is to come.
"""

from __future__ import annotations

import re
from functools import lru_cache

from tokenproxy.wire import notes
from tokenproxy.wire.framing.events import EventStreamParser
from tokenproxy.wire.framing.sse import Event
from tokenproxy.wire.openai.accent import Accent
from tokenproxy.wire.openai.chat_reading import ChatReading
from tokenproxy.wire.usage import Reading

DONE = b"[DONE]"

_KEYS = ("usage", "finish_reason", "tool_calls", "error")
_TIER = "service_tier"
_PROMISE = re.compile(rb'"usage"\s*:\s*null')
_NO_CHUNK = rb'"object"\s*:\s*"error"'


class ChatStreamParser(EventStreamParser):
    """Reads a streamed completion.

    Args:
        accent: how the provider speaks.
        operation: as the route table has it.
        reading: filled in place; a new one if None.
        thorough: decode every chunk, to the same result.
    """

    def __init__(
        self,
        accent: Accent,
        operation: str = "chat",
        reading: Reading | None = None,
        *,
        thorough: bool = False,
    ) -> None:
        super().__init__(reading if reading is not None else Reading())
        self._chat = ChatReading(self.reading, accent, operation)
        self._accent = accent
        self._thorough = thorough
        self._matters = _pattern(*_KEYS, *accent.keys)
        self._matters_or_tier = _pattern(*_KEYS, *accent.keys, _TIER)
        self._cut = False

    def _say(self, note: str) -> None:
        """Add a note, once."""
        self._chat.say(note)

    def _end(self) -> None:
        """The last event was taken."""
        self._chat.close(orderly=not self._cut, absent=notes.INCLUDE_USAGE_ABSENT)

    def _take(self, event: Event) -> bool:
        data = event.data
        if data is None or self._passed_over(data):
            return False
        if data.strip() == DONE:
            self._chat.end()
            return False
        answer = self._accent.shape.decode(data)
        if answer is None:
            if event.torn:
                self._cut = True
            elif data.strip():
                self._chat.say(notes.EVENT_UNREADABLE)
            return False
        piece = self._accent.piece(answer)
        self.reading.content_started = self.reading.content_started or piece.content
        if piece.finish_reason is not None and _PROMISE.search(data) is not None:
            self._chat.promise()
        news = self._chat.take(piece)
        self._pass_over()
        return news

    def _passed_over(self, data: bytes) -> bool:
        """Whether nothing is to be found in a chunk, by its keys alone."""
        matters = self._events.unless
        if matters is None or not data.startswith(b"{") or not data.endswith(b"}"):
            return False
        return matters.search(data) is None

    def _pass_over(self) -> None:
        """Chunks to come in which nothing is to be found need not even come out."""
        if not self._thorough and self.reading.content_started and self._chat.identified:
            known = self._chat.tier_known
            self._events.unless = self._matters if known else self._matters_or_tier


@lru_cache(maxsize=64)
def _pattern(*keys: str) -> re.Pattern[bytes]:
    """One of the keys, with a value other than null; or an object that is no chunk."""
    names = b"|".join(re.escape(key.encode()) for key in keys)
    return re.compile(rb'"(?:' + names + rb')"\s*:\s*[^\sn]|' + _NO_CHUNK)
