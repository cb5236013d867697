"""Appending to the ledger: whole lines only, each once, nobody's bytes harmed.

An append is: take the lock, close a torn tail that somebody's crash left, ONE
write of all lines with ``O_APPEND``, free the lock. Nothing is ever overwritten
or truncated. A write that the disk cuts short is carried on; if that fails too,
the torn line is closed with a newline, so that readers skip just that line, and
the error says how many lines are in the ledger whole.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from tokenproxy.record.lines import Line, Verification, iter_rows, tail_rows, verify
from tokenproxy.record.lock import LedgerBusyError, LedgerError, open_locked

__all__ = [
    "LedgerBusyError",
    "LedgerError",
    "Line",
    "Mark",
    "Verification",
    "append",
    "iter_rows",
    "mark",
    "tail_rows",
    "verify",
]

LOCK_WAIT_S = 5.0


class Mark(msgspec.Struct, frozen=True):
    """A place in a ledger: everything appended later lies behind it."""

    inode: int = 0
    size: int = 0
    """Bytes."""


def append(path: Path, lines: Sequence[bytes], *, wait_s: float = LOCK_WAIT_S) -> Mark:
    """Append lines, each ending in its only newline. Returns the ledger's end after them.

    Args:
        path: The ledger; its directory must exist.
        lines: One or more encoded rows.
        wait_s: How long to wait for other writers, seconds.

    Raises:
        LedgerBusyError: Other writers did not let us in; nothing was written.
        LedgerError: The ledger cannot be written; ``written`` lines are in it.
    """
    try:
        with open_locked(path, wait_s) as fd:
            _write(fd, lines, path)
            status = os.fstat(fd)
            return Mark(status.st_ino, status.st_size)
    except OSError as error:
        raise LedgerError(_sentence(path, error)) from error


def mark(path: Path) -> Mark:
    """The ledger's present end; of a ledger that cannot be seen, its beginning."""
    try:
        status = path.stat()
    except OSError:
        return Mark()
    return Mark(status.st_ino, status.st_size)


def _write(fd: int, lines: Sequence[bytes], path: Path) -> None:
    size = os.fstat(fd).st_size
    torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
    data = b"".join((b"\n", *lines) if torn else lines)
    done = 0
    try:
        while done < len(data):
            done += os.write(fd, data[done:] if done else data)
    except OSError as error:
        ends = itertools.accumulate(map(len, lines), initial=int(torn))
        whole = [end for end in ends if end <= done]
        if done > whole[-1] if whole else done > 0:
            with suppress(OSError):
                os.write(fd, b"\n")
        raise LedgerError(_sentence(path, error), written=max(len(whole) - 1, 0)) from error


def _sentence(path: Path, error: OSError) -> str:
    return f"The ledger {path} cannot be written: {error.strerror or type(error).__name__}."
