r"""Runs of events that tell nothing, each passed over by one look.

Where a provider is fast, or the network is not, one chunk brings hundreds of events,
and nearly all of them are content. A regular expression follows such a run to its end
in less time than a single event takes to read. What it follows are events as nearly
all are: a name or none, one line of data, a blank line. Whatever is not written so to
the letter ends the run, and is read as if there were none.

A line may end with CR alone, and then data cannot be told from the next line by its
LF: a chunk with such a CR in it has no runs. One at its end may still be half of a CRLF,
and is in no run, for every run ends with LF.
"""

from __future__ import annotations

import re
from functools import lru_cache

_LONE_CR = re.compile(rb"\r(?!\n|\Z)")
_OBJECT = b"data: {"


class Runs:
    """Those of one chunk.

    Args:
        chunk: what came at once.
        most: bytes of data that an object in a run may have.
        has_cr: whether there is any CR in it.
    """

    def __init__(self, chunk: bytes, most: int, *, has_cr: bool) -> None:
        self._chunk = chunk
        self._most = most
        self._usable = not has_cr or _LONE_CR.search(chunk) is None
        self._sought: re.Pattern[bytes] | None = None
        self._found = -1
        """Where what is sought stands next: what lies before is not searched again."""

    def named(self, name: bytes, position: int) -> int:
        """Where the run of events of this name ends that begins here, or here if none does."""
        if not self._usable:
            return position
        return _end(_named(name), self._chunk, position, len(self._chunk))

    def without(self, sought: re.Pattern[bytes], position: int) -> int:
        """Where the run of events ends that begins here; or here if none does.

        They have no name, and an object for data in which ``sought`` is not found.
        ``sought`` must begin with a quote and cannot go on beyond an object.
        """
        chunk = self._chunk
        if not self._usable or not chunk.startswith(_OBJECT, position):
            return position
        if sought is not self._sought or self._found < position:
            self._sought = sought
            found = sought.search(chunk, position)
            self._found = found.start() if found is not None else len(chunk)
        # The object that has it is not whole before it, so the run ends at its beginning.
        return _end(_objects(self._most), chunk, position, self._found)


def _end(run: re.Pattern[bytes], chunk: bytes, position: int, before: int) -> int:
    found = run.match(chunk, position, before)
    return found.end() if found is not None else position


@lru_cache(maxsize=64)
def _named(name: bytes) -> re.Pattern[bytes]:
    return re.compile(b"(?:event: " + re.escape(name) + rb"\r?\ndata: .*+\n\r?\n)*+")


@lru_cache(maxsize=4)
def _objects(most: int) -> re.Pattern[bytes]:
    return re.compile(rb"(?:data: \{.{0,%d}\}\r?\n\r?\n)*+" % max(most - 2, 0))
