"""Request bodies, sans-IO: bytes as sent in any chunking, one readable document out.

A body is decoded and, beyond 1 MiB, reduced (``framing.prune``) while it goes
by, so that one of 50 MB takes a few MiB; one that is too large even so comes out
as its outline (``framing.outline``), which names the model. What it becomes depends on
its bytes and encoding only; where its encoding is broken, also on how much of it a library
gives before it says so. Nothing here may raise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tokenproxy.wire.decoding import open_decoder
from tokenproxy.wire.dialect import Dialect
from tokenproxy.wire.framing.jsonbody import REQUEST_RAW_LIMIT, JsonBody
from tokenproxy.wire.framing.outline import outline
from tokenproxy.wire.usage import RequestFacts

DECODED_LIMIT = 512 * 1024 * 1024
"""Most bytes that are read of what an encoding makes of a body: no API takes as much, a bomb is
more. Of one that is sent as it is all is read: it cost its sender as much."""


def read_body(
    body: bytes, content_encoding: str = "", meanwhile: Callable[[], object] | None = None
) -> bytes | None:
    """What a :class:`BodyReader` makes of a body that has come whole; ``meanwhile`` is its."""
    if not content_encoding and len(body) <= REQUEST_RAW_LIMIT:
        return body
    reader = BodyReader(content_encoding, meanwhile=meanwhile)
    reader.feed(body)
    return reader.take()


def read_facts(
    dialect: Dialect,
    body: bytes | None,
    content_encoding: str = "",
    meanwhile: Callable[[], object] | None = None,
) -> RequestFacts:
    """What a body says in its dialect, as far as it has come; nothing if it cannot be read.

    Args:
        dialect: the call's.
        body: as sent; None if it was not kept.
        content_encoding: the header's value; empty if there is none.
        meanwhile: see :class:`BodyReader`.
    """
    document = None if body is None else read_body(body, content_encoding, meanwhile)
    if document is None:
        return RequestFacts()
    facts = dialect.read_request(document)
    if facts.malformed and (told := outlined(document)):
        return dialect.read_request(told)
    return facts


def outlined(document: bytes) -> bytes:
    """What can be told of a document that cannot be read: it was cut, or has a fault in it.

    Empty if that is nothing.
    """
    made = JsonBody(raw=0, outlines=True)
    made.feed(document)
    told = outline(made.take())
    return b"" if told == b"{}" else told


class BodyReader:
    """Reads one request body.

    Args:
        content_encoding: the header's value; empty if there is none.
        limit: most that is read of what an encoding makes of a body, bytes.
        meanwhile: called every few milliseconds while a few bytes turn out to be many.
    """

    def __init__(
        self,
        content_encoding: str = "",
        limit: int = DECODED_LIMIT,
        meanwhile: Callable[[], object] | None = None,
    ) -> None:
        self._meanwhile = meanwhile
        self._decoder = open_decoder(content_encoding)
        self._room = limit
        self._body: JsonBody | None = JsonBody(raw=REQUEST_RAW_LIMIT, outlines=True)
        """None: it has been taken."""
        self._cut = False
        """What comes cannot be told any more."""

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes, as sent."""
        for _ in self.pieces(chunk):
            if self._meanwhile is not None:
                self._meanwhile()

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        """The same, as far as the pieces are taken that it gives of what it has read."""
        body = self._body
        if body is None or self._cut or self._decoder.failed:
            return
        if self._decoder.plain:
            body.feed(chunk)
            return
        for piece in self._decoder.pieces(chunk):
            body.feed(piece[: self._room])
            self._room -= len(piece)
            if self._room < 0:
                self._cut = True
                return
            yield piece

    def take(self) -> bytes | None:
        """The whole body, decoded and perhaps reduced; it is then forgotten.

        Returns:
            Of one that cannot be read to its end, because its encoding is broken or cut or
            makes too much of it, the outline of what came before; None if there is none.
        """
        body, self._body = self._body, None
        if body is None:
            return None
        document = body.take()
        if self._cut or not self._decoder.complete:
            return outlined(document) or None
        return None if body.too_large else document
