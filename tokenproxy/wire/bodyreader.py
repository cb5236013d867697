"""Request bodies, sans-IO: bytes as sent in any chunking, one readable document out.

A body is decoded and, beyond 1 MiB, reduced (``framing.prune``) while it goes
by, so that one of 50 MB takes a few MiB. What it becomes depends on its bytes
and encoding only. Nothing here may raise.
"""

from __future__ import annotations

from tokenproxy.wire.decoding import open_decoder
from tokenproxy.wire.dialect import Dialect
from tokenproxy.wire.framing.jsonbody import REQUEST_RAW_LIMIT, JsonBody
from tokenproxy.wire.usage import RequestFacts

DECODED_LIMIT = 512 * 1024 * 1024
"""Largest body that is read, bytes once decoded: no API takes as much, a bomb is more."""


def read_body(body: bytes, content_encoding: str = "") -> bytes | None:
    """What a :class:`BodyReader` makes of a body that has come whole."""
    if not content_encoding and len(body) <= REQUEST_RAW_LIMIT:
        return body
    reader = BodyReader(content_encoding)
    reader.feed(body)
    return reader.take()


def read_facts(dialect: Dialect, body: bytes | None, content_encoding: str = "") -> RequestFacts:
    """What a body that has come whole says in its dialect; nothing if it cannot be read.

    Args:
        dialect: the call's.
        body: as sent; None if it was not kept.
        content_encoding: the header's value; empty if there is none.
    """
    document = None if body is None else read_body(body, content_encoding)
    return RequestFacts() if document is None else dialect.read_request(document)


class BodyReader:
    """Reads one request body.

    Args:
        content_encoding: the header's value; empty if there is none.
        limit: largest body that is read, bytes once decoded.
    """

    def __init__(self, content_encoding: str = "", limit: int = DECODED_LIMIT) -> None:
        self._decoder = open_decoder(content_encoding)
        self._room = limit
        self._body: JsonBody | None = (
            None if self._decoder.failed else JsonBody(raw=REQUEST_RAW_LIMIT)
        )
        """None: nothing of it can be told any more."""

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes, as sent."""
        body = self._body
        if body is None:
            return
        for piece in self._decoder.pieces(chunk):
            self._room -= len(piece)
            if self._room < 0:
                self._body = None
                return
            body.feed(piece)
        if self._decoder.failed or body.too_large:
            self._body = None

    def take(self) -> bytes | None:
        """The whole body, decoded and perhaps reduced; it is then forgotten.

        Returns:
            None if its encoding is unknown, broken or cut, or if it is too large.
        """
        body, self._body = self._body, None
        if body is None or not self._decoder.complete:
            return None
        document = body.take()
        return None if body.too_large else document
