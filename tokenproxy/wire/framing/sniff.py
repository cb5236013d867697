"""A parser chosen by the body's first bytes, for servers that mislabel what they send.

What begins with ``event:``, ``data:`` or a comment is a stream of events, what begins with
``{`` or ``[`` is a document, whatever the media type says. For anything else it
holds. ``document`` may read more than one value: over ``jsonstream`` it reads
a streamed array, lines of JSON and one object (an error, say) alike.
"""

from __future__ import annotations

from collections.abc import Callable

from tokenproxy.wire.dialect import ResponseParser
from tokenproxy.wire.usage import Reading

_LONGEST = len(b"event:")
_BLANK = b" \t\r\n\xef\xbb\xbf"
"""What may precede a body: white space and a byte order mark. Neither framing needs it."""


class SniffingParser:
    """Reads a body as a stream of events or as a document, whichever it looks like.

    Args:
        stream: opens a parser of events over the given reading.
        document: opens a parser of JSON that is in no events over it.
        declared_stream: what the media type says; holds unless the bytes say otherwise.
    """

    def __init__(
        self,
        *,
        stream: Callable[[Reading], ResponseParser],
        document: Callable[[Reading], ResponseParser],
        declared_stream: bool,
    ) -> None:
        self.reading = Reading()
        self._stream = stream
        self._document = document
        self._declared_stream = declared_stream
        self._head = b""
        self._parser: ResponseParser | None = None

    def feed(self, data: bytes) -> bool:
        """Take the next bytes. True if model, id or usage changed."""
        if self._parser is not None:
            return self._parser.feed(data)
        self._head = (self._head + data).lstrip(_BLANK)
        if not self._head or (len(self._head) < _LONGEST and not self._declared_stream):
            return False
        return self._open().feed(self._take_head())

    def close(self) -> None:
        """The body is over: settle the reading."""
        if self._parser is None:
            self._open().feed(self._take_head())
        if self._parser is not None:
            self._parser.close()

    def take_items(self) -> list[Reading]:
        """What the parser hands over."""
        return self._parser.take_items() if self._parser is not None else []

    def _open(self) -> ResponseParser:
        looks = self._head
        if looks.startswith((b"event:", b"data:", b":")):
            as_stream = True
        else:
            as_stream = self._declared_stream and not looks.startswith((b"{", b"["))
        self._parser = (self._stream if as_stream else self._document)(self.reading)
        return self._parser

    def _take_head(self) -> bytes:
        head, self._head = self._head, b""
        return head
