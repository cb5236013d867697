"""Whose turn it is at a lock: who has waited long goes before who has just come.

``flock`` knows no order. A writer that frees the lock and wants it again has it
before a sleeping one has even woken, so with many of them one may wait a second
while the others go in and out. Whoever has waited long therefore takes the
*turn*: a second lock, on a byte that no ledger will ever reach. While somebody
has it, others hold back.

It is a courtesy and guards nothing: it is given up with its holder's file, so a
dead one never has it, and nobody holds back for long. Systems without locks of
this kind (Linux has them) go without it.
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys

_KNOWN = sys.platform == "linux" and hasattr(fcntl, "F_OFD_SETLK") and sys.maxsize > 1 << 32
"""Open file description locks, and the layout of ``struct flock`` below."""

_FLOCK = struct.Struct("@hhqqi0q")
"""``l_type, l_whence, l_start, l_len, l_pid``."""

_BYTE = 1 << 62


def taken(fd: int) -> bool:
    """Whether another opener of this file has the turn."""
    if not _KNOWN:
        return False
    try:
        found = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _ask(fcntl.F_WRLCK))
    except OSError:
        return False
    return bool(_FLOCK.unpack(found)[0] != fcntl.F_UNLCK)


def take(fd: int) -> bool:
    """Have the turn from now on, until :func:`give_back` or the file's closing; False: not ours."""
    return _KNOWN and _set(fd, fcntl.F_WRLCK)


def give_back(fd: int) -> None:
    """Let others have it."""
    _set(fd, fcntl.F_UNLCK)


def _set(fd: int, kind: int) -> bool:
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _ask(kind))
    except OSError:
        return False
    return True


def _ask(kind: int) -> bytes:
    return _FLOCK.pack(kind, os.SEEK_SET, _BYTE, 1, 0)
