"""The ledger's lock: one writer at a time, the ancestor's included, the dead excluded.

Two locks are held at once, always taken in this order:

1. ``flock`` on the ledger file. It is between tokenproxy's own writers. The
   kernel drops it with its holder, so a dead writer never holds it.
2. ``<ledger>.lock``, created exclusively. The ancestor takes ``mkdir`` of the
   same name as its lock; both fail if the name exists, so they exclude each
   other.

The name outlives a writer that was killed, and then somebody has to break it.
Breaking is safe because of the first lock: whoever holds it knows that no other
tokenproxy writer is alive between 1 and 2, so a lock *file* found then is a dead
writer's, and is taken over. A lock *directory* is the ancestor's, which writes no owner into it;
it holds its lock for milliseconds, so one that has stood for seconds is dead.

Who takes the second lock often makes it by linking its badge (:mod:`.badge`), in a
tenth of the time. And ``flock`` being fair to nobody, there is a *turn* for those who
have waited long (:mod:`.turn`). Neither changes what excludes what.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

import msgspec

from tokenproxy.record import lock_file, turn
from tokenproxy.record.badge import Badge
from tokenproxy.record.lock_file import ANCESTOR_STALE_S, NO_FLOCK

_TURN_AFTER_S = 0.001
"""Whoever has waited so long takes the turn, if nobody has it."""
_COURTESY_S = 0.05
"""How long anybody holds back for one who has the turn, at most half of the time that they are
ready to wait: that one may have been stopped."""

_PAUSE_S = 0.0003
"""Between two looks at the lock. An append takes 0.05 ms: who sleeps much longer sleeps while the
lock is free, and many that sleep shorter are in the way of the one that has it."""
_LONG_S, _PAUSE_LATER_S = 0.002, 0.0001
"""Who has waited long looks more often, so that the oldest is likely to have the next turn."""
_PAUSE_IN_TURN_S = 0.00003
_STUCK_S, _PART_OF_WAIT, _LONGEST_PAUSE_S = 0.02, 16, 0.005
"""From then on somebody has stopped in the middle, and pauses grow with the time waited."""

_WATCHED_S = 0.25
"""A lock's time stamp may be another clock's, or ours may have been set: so it is not believed
before the lock has stood in our way for so long. A living holder has done by then."""

_in_our_way: dict[Path, tuple[tuple[int, int], float]] = {}
"""Lock -> which one of that name it is, and since when, on the monotonic clock, we have seen it,
in however many tries: each may be shorter than it takes to tell that a lock is dead."""


class LedgerError(Exception):
    """The ledger cannot be appended to. The text is one sentence for the user."""

    def __init__(self, sentence: str, *, written: int = 0) -> None:
        super().__init__(sentence)
        self.written = written
        """How many of the lines are in the ledger all the same, whole."""


class LedgerBusyError(LedgerError):
    """Others held the lock for the whole time that we were ready to wait."""


class Locked(msgspec.Struct, frozen=True):
    """A ledger that nobody else writes."""

    fd: int
    """Open for appending."""
    ours_from: int | None = None
    """Our kind's dead writers have written from here on, and only they could under their lock;
    None: none was killed at it."""


type Pause = Callable[[float], object]
"""Sleeps for so many seconds, or less."""


class _Patience:
    """What is left of the time that one is ready to wait."""

    def __init__(self, wait_s: float, pause: Pause) -> None:
        self._began = time.monotonic()
        self.wait_s = wait_s
        self._pause = pause

    @property
    def waited_s(self) -> float:
        return time.monotonic() - self._began

    def wait(self, path: Path, *, in_turn: bool = False) -> None:
        """Pause once.

        Raises:
            LedgerBusyError: There is no time left.
        """
        waited = self.waited_s
        left = self.wait_s - waited
        if left <= 0:
            raise LedgerBusyError(f"Another program holds the lock of the ledger ({path}).")
        self._pause(min(_pause_s(waited, in_turn=in_turn), left))


def _pause_s(waited_s: float, *, in_turn: bool) -> float:
    if waited_s > _STUCK_S:
        return min(waited_s / _PART_OF_WAIT, _LONGEST_PAUSE_S)
    if in_turn:
        return _PAUSE_IN_TURN_S
    return _PAUSE_LATER_S if waited_s > _LONG_S else _PAUSE_S


@contextmanager
def open_locked(
    path: Path, wait_s: float, pause: Pause = time.sleep, badge: Badge | None = None
) -> Iterator[Locked]:
    """The ledger opened for appending, created if absent, nobody else writing.

    Args:
        path: The ledger; its directory must exist.
        wait_s: How long to wait for others, seconds.
        pause: What to do between two looks at the lock.
        badge: What to make the lock file of, where it can be.

    Raises:
        LedgerBusyError: The lock was not to be had in time.
        LedgerError: The ledger is no regular file.
        OSError: The ledger or its lock cannot be opened.
    """
    patience = _Patience(wait_s, pause)
    lock = _lock_of(path)
    while True:
        fd, serialized = _open_alone(path, patience)
        try:
            ours_from = _create(lock, fd, patience, badge, serialized=serialized)
            try:
                # Others than we hold no flock, so the ledger may have been moved until now.
                if _is_there(fd, path):
                    yield Locked(fd, ours_from)
                    return
            finally:
                # A failure to free the lock is the next writer's to mend; what was
                # written is written, and must not be reported as if it were not.
                with suppress(OSError):
                    # Without flock we may have been stopped for so long that it is another's.
                    if serialized or lock_file.is_ours(lock):
                        lock.unlink()
        finally:
            os.close(fd)
        patience.wait(path)


@lru_cache(maxsize=16)
def _lock_of(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def _open_alone(path: Path, patience: _Patience) -> tuple[int, bool]:
    """Open the ledger and hold its flock. False where the file system has none."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _require_file(fd, path)
            serialized = _flock(fd, path, patience)
            if _is_there(fd, path):
                return fd, serialized
        except BaseException:
            os.close(fd)
            raise
        # Moved away (rotated) while we waited: the name has a new file now.
        os.close(fd)
        patience.wait(path)


def _require_file(fd: int, path: Path) -> None:
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise LedgerError(f"The ledger {path} is not a regular file.")


def _is_there(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


def _flock(fd: int, path: Path, patience: _Patience) -> bool:
    courtesy_s = min(_COURTESY_S, patience.wait_s / 2)
    ours = False
    try:
        while True:
            waited = patience.waited_s
            if ours or waited >= courtesy_s or not turn.taken(fd):
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    pass
                except OSError as error:
                    if error.errno in NO_FLOCK:
                        return False
                    raise
                else:
                    return True
            ours = ours or (waited > _TURN_AFTER_S and turn.take(fd))
            patience.wait(path, in_turn=ours)
    finally:
        if ours:
            turn.give_back(fd)


def _create(
    lock: Path, fd: int, patience: _Patience, badge: Badge | None, *, serialized: bool
) -> int | None:
    """Take the second lock of the ledger ``fd``. Returns what :attr:`Locked.ours_from` says."""
    ours_from: int | None = None
    while True:
        ledger = os.fstat(fd)
        # Whoever finds us dead must know where the first of the dead began.
        end = ledger.st_size if ours_from is None else ours_from
        try:
            lock_file.make(lock, lock_file.ourselves(ledger.st_ino, end), badge)
        except FileExistsError:
            seen = lock_file.look(lock)
            if seen is None:
                continue
            age = _age_s(lock, seen)
            holder = lock_file.holder_of(lock) if stat.S_ISREG(seen.st_mode) else None
            if _dead(holder, age, serialized=serialized):
                if holder is not None and holder.inode == ledger.st_ino:
                    ours_from = holder.end
                    if serialized and lock_file.take_over(lock):
                        return ours_from
                lock_file.remove_dead(lock, seen)
                continue
            patience.wait(lock)
        else:
            _in_our_way.pop(lock, None)
            return ours_from


def _age_s(lock: Path, seen: os.stat_result) -> float:
    """How old a lock is, seconds: by its time stamp, or as long as we have been looking at it."""
    which, now = (seen.st_ino, seen.st_mtime_ns), time.monotonic()
    known, since = _in_our_way.get(lock, (None, now))
    if known != which:
        since = now
        _in_our_way[lock] = (which, since)
    watched = now - since
    return watched if watched < _WATCHED_S else max(watched, time.time() - seen.st_mtime)


def _dead(holder: lock_file.Holder | None, age_s: float, *, serialized: bool) -> bool:
    if holder is None:
        return age_s > ANCESTOR_STALE_S
    return holder.dead(age_s, serialized=serialized)
