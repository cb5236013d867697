"""Reading only what was appended to a ledger since the last look."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec

CHECKED = 4096
"""Bytes before a place that must be as they were."""


class Place(msgspec.Struct, frozen=True, array_like=True):
    """A line's end in a ledger, and how to know it again."""

    inode: int = 0
    offset: int = 0
    """Bytes from the beginning."""
    digest: str = ""
    """Of the last ``CHECKED`` bytes before it."""


class Appended(msgspec.Struct, frozen=True):
    """What was read: whole lines, and where they end."""

    lines: list[bytes]
    place: Place
    continues: bool
    """It begins where the last look ended. Else it is a first look: the ledger is another."""
    skipped: int = 0
    """Bytes before the first line that were not read."""


def read_appended(path: Path, last: Place | None, most: int) -> Appended:
    """Read the lines behind a place.

    Args:
        path: The ledger.
        last: Where the last look ended; None for a first one.
        most: Bytes to read at most. Of more, the end is read, which makes it a first look.

    Raises:
        OSError: The ledger cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        fd = file.fileno()
        status = os.fstat(fd)
        known = last is not None and _is_there(fd, status, last)
        start = last.offset if known and last is not None else 0
        if status.st_size - start > most:
            known, start = False, status.st_size - most
        data = _read(fd, start, status.st_size - start)
        first = 0
        # In the middle of a line, unless a line ends right before.
        if start and not known and os.pread(fd, 1, start - 1) != b"\n":
            first = data.find(b"\n") + 1 or len(data)
        end = max(data.rfind(b"\n") + 1, first)
        lines = data[first:end].split(b"\n")[:-1]
        place = _place(fd, status.st_ino, start + end)
    return Appended(lines, place, known, 0 if known else start + first)


def _is_there(fd: int, status: os.stat_result, place: Place) -> bool:
    if status.st_ino != place.inode or status.st_size < place.offset:
        return False
    return _place(fd, place.inode, place.offset) == place


def _place(fd: int, inode: int, offset: int) -> Place:
    start = max(offset - CHECKED, 0)
    before = _read(fd, start, offset - start)
    return Place(inode, offset, hashlib.blake2b(before, digest_size=16).hexdigest())


def _read(fd: int, start: int, size: int) -> bytes:
    """So many bytes, or fewer where the file ends."""
    pieces = []
    while size > 0 and (piece := os.pread(fd, size, start)):
        pieces.append(piece)
        start += len(piece)
        size -= len(piece)
    return b"".join(pieces)
