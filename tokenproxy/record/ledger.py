"""Appending to the ledger: whole lines only, each once, nobody's bytes harmed.

An append is: take the lock, mend a torn tail, ONE write of all lines with
``O_APPEND``, free the lock. Nothing is ever truncated, and nobody's bytes are
overwritten but our own half lines:

* A write that the disk cuts short is carried on; if that fails too, the half line is
  made blank, and the error says how many lines are in the ledger whole.
* A writer of ours that was killed in the middle of its write has left a half line
  behind the place that its lock names: it is made blank.
* Any other torn tail is somebody else's. It is closed with a newline.

Blanks stand before the next row, in its line, which JSON allows: so a strict parser
reads every line, and whoever appends meanwhile without a lock loses nothing.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from tokenproxy.record.badge import Badge
from tokenproxy.record.lines import Line, Verification, iter_rows, raw_lines, tail_rows, verify
from tokenproxy.record.lock import LedgerBusyError, LedgerError, Locked, Pause, open_locked

__all__ = [
    "LedgerBusyError",
    "LedgerError",
    "Line",
    "Mark",
    "Pause",
    "Verification",
    "append",
    "iter_rows",
    "mark",
    "raw_lines",
    "tail_rows",
    "verify",
]

LOCK_WAIT_S = 5.0

_BLOCK = 64 * 1024


class Mark(msgspec.Struct, frozen=True):
    """A place in a ledger: everything appended later lies behind it."""

    inode: int = 0
    size: int = 0
    """Bytes."""


def append(
    path: Path,
    lines: Sequence[bytes],
    *,
    wait_s: float = LOCK_WAIT_S,
    pause: Pause = time.sleep,
    badge: Badge | None = None,
) -> Mark:
    """Append lines, each ending in its only newline. Returns the ledger's end after them.

    Args:
        path: The ledger; its directory must exist.
        lines: Encoded rows; none at all only mends what a killed writer has left.
        wait_s: How long to wait for other writers, seconds.
        pause: What to do meanwhile: called with seconds, and back after them or before.
        badge: Of whoever appends often.

    Raises:
        LedgerBusyError: Other writers did not let us in; nothing was written.
        LedgerError: The ledger cannot be written; ``written`` lines are in it.
    """
    try:
        with open_locked(path, wait_s, pause, badge) as ledger:
            _write(ledger, lines, path)
            status = os.fstat(ledger.fd)
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


def _write(ledger: Locked, lines: Sequence[bytes], path: Path) -> None:
    fd = ledger.fd
    torn = _mend(ledger)
    data = b"".join((b"\n", *lines) if torn else lines)
    done = 0
    try:
        while done < len(data):
            done += os.write(fd, data[done:] if done else data)
    except OSError as error:
        ends = itertools.accumulate(map(len, lines), initial=int(torn))
        whole = [end for end in ends if end <= done]
        half = done - (whole[-1] if whole else 0)
        if half:
            end = os.lseek(fd, 0, os.SEEK_CUR)  # of what we wrote, whoever appends meanwhile
            if not _make_blank(fd, end - half, end):
                with suppress(OSError):
                    os.write(fd, b"\n")
        raise LedgerError(_sentence(path, error), written=max(len(whole) - 1, 0)) from error


def _mend(ledger: Locked) -> bool:
    """See to the ledger's end. Returns whether it must be closed with a newline."""
    fd = ledger.fd
    size = os.fstat(fd).st_size
    last = os.pread(fd, 1, size - 1) if size else b"\n"
    if last == b"\n":
        return False
    if ledger.ours_from is None and last != b" ":
        return True
    begin = _last_line(fd, size)
    if ledger.ours_from is not None:
        ours = max(begin, ledger.ours_from)
        if ours < size:
            _make_blank(fd, ours, size)
    return bool(os.pread(fd, size - begin, begin).strip())


def _last_line(fd: int, size: int) -> int:
    """Where the ledger's last line begins."""
    at = size
    while at > 0:
        start = max(at - _BLOCK, 0)
        found = os.pread(fd, at - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        at = start
    return 0


def _make_blank(fd: int, begin: int, end: int) -> bool:
    """Put spaces in place of a half line of ours. Returns whether it could be done."""
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    fcntl.fcntl(fd, fcntl.F_SETFL, flags & ~os.O_APPEND)
    try:
        return os.pwrite(fd, b" " * (end - begin), begin) == end - begin
    except OSError:
        return False
    finally:
        fcntl.fcntl(fd, fcntl.F_SETFL, flags)


def _sentence(path: Path, error: OSError) -> str:
    return f"The ledger {path} cannot be written: {error.strerror or type(error).__name__}."
