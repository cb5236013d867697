"""How much of requests' bodies waits for the recorder's thread.

Clients may send large requests faster than they can be read, and what waits would grow
without bound: 16 of them with a megabyte each made it 1.2 GB in four seconds.
"""

from __future__ import annotations

import threading
from typing import Final

MOST: Final = 32 * 1024 * 1024
"""Bytes that may wait."""

MOST_OF_ALL: Final = 4 * MOST
"""Bytes that may wait with those that nobody else can read instead: compressed ones."""

SMALL: Final = 16 * 1024
"""Bytes of a body that is not counted: 2,000 of these are as many."""


class Held:
    """Counts bytes. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bytes = 0

    @property
    def full(self) -> bool:
        """Whether no more should come."""
        return self._bytes >= MOST

    @property
    def overfull(self) -> bool:
        """Whether no more is taken."""
        return self._bytes >= MOST_OF_ALL

    def add(self, body: bytes | None) -> None:
        """It waits."""
        if body is not None and len(body) > SMALL:
            with self._lock:
                self._bytes += len(body)

    def remove(self, body: bytes | None) -> None:
        """It waits no longer."""
        if body is not None and len(body) > SMALL:
            with self._lock:
                self._bytes -= len(body)
