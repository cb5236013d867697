"""A body that is one JSON document: kept up to a bound, read when it is whole.

A small body comes out as it came in. A larger one is reduced while it comes
(``prune``): long strings and embeddings are most of what makes a body large,
and nothing that accounting reads. A form in a document's place (an upload) is
reduced to its short fields likewise (``form``).
"""

from __future__ import annotations

from tokenproxy.wire.framing import prune
from tokenproxy.wire.framing.form import BEGINNING, FormPruner

LIMIT = prune.LIMIT
"""Most bytes that are kept of a body."""

RAW_LIMIT = 64 * 1024
"""Largest body that comes out as it came in, bytes, unless told otherwise."""

REQUEST_RAW_LIMIT = 1024 * 1024
"""Likewise of a request or a WebSocket's message. Nearly all are smaller, and to read what is
not reduced takes a third of the time."""


class JsonBody:
    """Collects a body. Beyond the limit it keeps nothing and says so.

    Args:
        limit: most bytes that are kept; of a body larger than ``raw``, once reduced.
        raw: largest body that comes out as it came in.
        outlines: of a document beyond the limit the outline is kept (``outline``).
    """

    def __init__(self, limit: int = LIMIT, raw: int = RAW_LIMIT, *, outlines: bool = False) -> None:
        self.too_large = False
        self._outlines = outlines
        self._limit = limit
        self._raw = raw
        self._body = bytearray()
        self._pruner: prune.Pruner | FormPruner | None = None

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        if self.too_large:
            return
        if self._pruner is None:
            size = len(self._body) + len(chunk)
            if size <= min(self._raw, self._limit):
                self._body += chunk
                return
            head = bytes(self._body) + chunk[: len(BEGINNING)]
            is_form = head.startswith(BEGINNING)
            self._pruner = (
                FormPruner() if is_form else prune.Pruner(self._limit, outlines=self._outlines)
            )
            self._pruner.feed(bytes(self._body))
            self._body.clear()
            self.too_large = self._limit < self._raw
        self._pruner.feed(chunk)
        self.too_large = self.too_large or self._pruner.too_large

    def take(self) -> bytes:
        """The body so far, which is then forgotten; empty if it was too large."""
        body, self._body = bytes(self._body), bytearray()
        if self._pruner is not None:
            body = self._pruner.take()
            self.too_large = self.too_large or self._pruner.too_large
            self._pruner = None
        return b"" if self.too_large else body
