"""What has come of a compressed body and is not read yet: decoded in order, a part at a time.

A few compressed bytes may be megabytes. To read these may take a third of a second, which
other connections must not wait for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final

PART: Final = 512 * 1024
"""About how many decoded bytes are read at once: some milliseconds."""

BEHIND: Final = 8 * 1024 * 1024
"""Bytes, as they came, that may wait. What is more is read at once: then one who sends faster
than can be read waits for it, and memory is bounded."""

AT_THE_END: Final = 64 * 1024 * 1024
"""Decoded bytes that are read of what waits when the process is about to end."""


type Feed = Callable[[Iterable[tuple[bytes, int]]], bool]
"""Reads decoded pieces, each with the moment at which its bytes came; False if it takes no more.
Must not raise."""


class Backlog:
    """Belongs to the event loop."""

    def __init__(
        self,
        decode: Callable[[bytes], Iterator[bytes]],
        feed: Feed,
        call_soon: Callable[..., object],
        caught_up: Callable[[], None],
    ) -> None:
        """Prepare.

        Args:
            decode: Makes pieces of the next bytes; all are taken before it is called again.
            feed: Gets them.
            call_soon: The event loop's.
            caught_up: Called when nothing waits any more.
        """
        self._decode = decode
        self._feed = feed
        self._call_soon = call_soon
        self._caught_up = caught_up
        self._waiting: deque[tuple[bytes, int]] = deque()
        self._bytes = 0
        self._pieces: Iterator[bytes] | None = None
        """Of the bytes that came first, as far as they are not read; None: nothing waits."""
        self._arrived_ns = 0
        """When these came."""

    @property
    def waits(self) -> bool:
        """Whether not all is read."""
        return self._pieces is not None

    def read(self, data: bytes, arrived_ns: int) -> None:
        """Read what has come, now or as soon as what came before is read."""
        if self.waits:
            self._waiting.append((data, arrived_ns))
            self._bytes += len(data)
            return
        self._pieces, self._arrived_ns = self._decode(data), arrived_ns
        self._read_part(PART)
        if self._pieces is not None:
            self._call_soon(self._go_on)

    def finish(self) -> bool:
        """Read what waits now; False if that would take too long: then it is never read."""
        self._read_part(AT_THE_END)
        all_read = not self.waits
        self._forget()
        return all_read

    def _go_on(self) -> None:
        self._read_part(PART)
        if self.waits:
            self._call_soon(self._go_on)
        else:
            self._caught_up()

    def _read_part(self, most: int) -> None:
        if not self._feed(self._part(most)):
            self._forget()

    def _part(self, most: int) -> Iterator[tuple[bytes, int]]:
        """About so many bytes, and all that is too much to wait."""
        while self._pieces is not None:
            for piece in self._pieces:
                yield piece, self._arrived_ns
                most -= len(piece)
                if most <= 0 and self._bytes <= BEHIND:
                    return
            self._pieces = None
            if self._waiting:
                data, self._arrived_ns = self._waiting.popleft()
                self._bytes -= len(data)
                self._pieces = self._decode(data)

    def _forget(self) -> None:
        self._waiting.clear()
        self._pieces, self._bytes = None, 0
