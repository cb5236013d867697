"""A body that is one JSON document: kept up to a bound, read when it is whole."""

from __future__ import annotations

LIMIT = 64 * 1024 * 1024
"""Largest body that is kept, bytes."""


class JsonBody:
    """Collects a body. Beyond the limit it keeps nothing and says so."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.too_large = False
        self._limit = limit
        self._body = bytearray()
        self._size = 0

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self._size += len(chunk)
        if self._size > self._limit:
            self.too_large = True
            self._body.clear()
        else:
            self._body += chunk

    def take(self) -> bytes:
        """The body so far, which is then forgotten; empty if it was too large."""
        body = bytes(self._body)
        self._body.clear()
        return body
