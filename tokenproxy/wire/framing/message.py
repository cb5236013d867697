"""A WebSocket's message, as it comes and as it is read; :mod:`.websocket` has the rules."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import msgspec

from tokenproxy.wire.framing.jsonbody import REQUEST_RAW_LIMIT, JsonBody
from tokenproxy.wire.framing.permessage import Inflater

INFLATED_LIMIT = 64 * 1024 * 1024
"""Most bytes that one compressed message may become; more is a bomb."""


class Message(msgspec.Struct, frozen=True, gc=False):
    """What one side said."""

    data: bytes
    """Perhaps reduced or outlined; empty if it was too large for that."""
    size: int
    """Bytes that it had, once it was inflated."""

    @classmethod
    def of(cls, content: bytes, *, outlines: bool) -> Message:
        """The same of one that has come whole; see :class:`FrameReader`."""
        body = JsonBody(raw=REQUEST_RAW_LIMIT, outlines=outlines)
        body.feed(content)
        return cls(body.take(), len(content))


class Growing:
    """A message whose bytes come one by one, or compressed."""

    def __init__(self, inflater: Inflater | None, *, outlines: bool) -> None:
        self._inflater = inflater
        self._body = JsonBody(raw=REQUEST_RAW_LIMIT, outlines=outlines)
        self._size = 0
        self._pieces: Iterator[bytes] | None = None
        """Of what was fed, inflated as they are taken."""

    @property
    def waits(self) -> bool:
        """Whether not all that was fed is inflated."""
        return self._pieces is not None

    def feed(self, piece: bytes) -> None:
        """Take the next bytes of its payload, once none wait."""
        if self._inflater is None:
            self._add(piece)
        else:
            self._pieces = self._inflater.pieces(piece)

    def work(self, most: int) -> int:
        """Inflate what waits, as long as that is not more than so many bytes; how many it was.

        Raises:
            zlib.error: It is no stream, or becomes too much.
        """
        before = self._size
        if self._pieces is not None:
            for piece in self._pieces:
                self._add_inflated(piece)
                if self._size - before >= most:
                    return self._size - before
            self._pieces = None
        return self._size - before

    def take(self) -> Message:
        """It is complete."""
        if self._inflater is not None:
            for piece in self._inflater.last_pieces():
                self._add_inflated(piece)
        return Message(self._body.take(), self._size)

    def _add_inflated(self, piece: bytes) -> None:
        self._add(piece)
        if self._size > INFLATED_LIMIT:
            raise zlib.error("a message that inflates to more than any is long")

    def _add(self, piece: bytes) -> None:
        self._size += len(piece)
        self._body.feed(piece)
