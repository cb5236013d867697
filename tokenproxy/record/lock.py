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
writer's. A lock *directory* is the ancestor's, which writes no owner into it;
it holds its lock for milliseconds, so one that has stood for seconds is dead.

Who takes the second lock often makes it by linking its badge (:mod:`.badge`), in a
tenth of the time. And ``flock`` being fair to nobody, there is a *turn* for those who
have waited long (:mod:`.turn`). Neither changes what excludes what.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import msgspec

from tokenproxy.processes import running
from tokenproxy.record import turn
from tokenproxy.record.badge import Badge

ANCESTOR_STALE_S = 0.9
"""Age at which a lock without an owner (a directory, or not our format) counts as dead.

The ancestor itself waits half a second for it and then appends without."""

FOREIGN_STALE_S = 60.0
"""The same for a lock file from another machine, where ``flock`` may not reach."""

NO_FLOCK = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
"""What a file system says that has no locks, NFS without its lock daemon among them."""

_ASIDE = ".dead-"

_TURN_AFTER_S = 0.001
"""Whoever has waited so long takes the turn, if nobody has it."""
_COURTESY_S = 0.05
"""How long anybody holds back for one who has the turn: that one may have been stopped."""

_PAUSE_S = 0.0003
"""Between two looks at the lock. An append takes 0.05 ms: who sleeps much longer sleeps while the
lock is free, and many that sleep shorter are in the way of the one that has it."""
_LONG_S, _PAUSE_LATER_S = 0.002, 0.0001
"""Who has waited long looks more often, so that the oldest is likely to have the next turn."""
_PAUSE_IN_TURN_S = 0.00003
_STUCK_S, _PART_OF_WAIT, _LONGEST_PAUSE_S = 0.02, 16, 0.005
"""From then on somebody has stopped in the middle, and pauses grow with the time waited."""


class LedgerError(Exception):
    """The ledger cannot be appended to. The text is one sentence for the user."""

    def __init__(self, sentence: str, *, written: int = 0) -> None:
        super().__init__(sentence)
        self.written = written
        """How many of the lines are in the ledger all the same, whole."""


class LedgerBusyError(LedgerError):
    """Others held the lock for the whole time that we were ready to wait."""


class Holder(msgspec.Struct, frozen=True):
    """Who holds a lock file: its content."""

    pid: int
    host: str
    boot: str
    """The running kernel: the same in all containers of a machine, where ``flock`` is too."""
    inode: int = 0
    end: int = 0
    """The ledger's size, bytes, when it was taken: all that was written under it lies behind."""


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
        self._wait_s = wait_s
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
        left = self._wait_s - waited
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
    fd, serialized = _open_alone(path, patience)
    try:
        lock = path.with_name(path.name + ".lock")
        ours_from = _create(lock, fd, patience, badge, serialized=serialized)
        try:
            yield Locked(fd, ours_from)
        finally:
            # A failure to free the lock is the next writer's to mend; what was
            # written is written, and must not be reported as if it were not.
            with suppress(OSError):
                lock.unlink()
    finally:
        os.close(fd)


def _open_alone(path: Path, patience: _Patience) -> tuple[int, bool]:
    """Open the ledger and hold its flock. False where the file system has none."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _require_file(fd, path)
            serialized = _flock(fd, path, patience)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(fd), path.stat()):
                    return fd, serialized
        except BaseException:
            os.close(fd)
            raise
        # Moved away (rotated) while we waited: the name has a new file now.
        os.close(fd)


def _require_file(fd: int, path: Path) -> None:
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise LedgerError(f"The ledger {path} is not a regular file.")


NO_FLOCK = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
"""What a file system says that has no locks, NFS without its lock daemon among them."""


def _flock(fd: int, path: Path, patience: _Patience) -> bool:
    ours = False
    try:
        while True:
            waited = patience.waited_s
            if ours or waited > _COURTESY_S or not turn.taken(fd):
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    pass
                except OSError as error:
                    if error.errno in {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}:
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
    watched: tuple[int, int] | None = None
    since = time.monotonic()
    while True:
        ledger = os.fstat(fd)
        # Whoever finds us dead must know where the first of the dead began.
        end = ledger.st_size if ours_from is None else ours_from
        try:
            _make(lock, _ourselves(ledger.st_ino, end), badge)
        except FileExistsError:
            seen = _look(lock)
            if seen is None:
                continue
            if (seen.st_ino, seen.st_mtime_ns) != watched:
                watched, since = (seen.st_ino, seen.st_mtime_ns), time.monotonic()
            # The file's age by its own clock, or as long as we have been looking at it.
            age = max(time.time() - seen.st_mtime, time.monotonic() - since)
            holder = _holder(lock) if stat.S_ISREG(seen.st_mode) else None
            if _dead(holder, age, serialized=serialized):
                if holder is not None and holder.inode == ledger.st_ino:
                    ours_from = holder.end
                _break(lock, seen)
                continue
            patience.wait(lock)
        else:
            return ours_from


def _make(lock: Path, holder: Holder, badge: Badge | None) -> None:
    says = msgspec.json.encode(holder)
    if badge is not None and badge.link(lock, says):
        return
    fd = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        os.write(fd, says)
    except OSError:
        lock.unlink()
        raise
    finally:
        os.close(fd)


def take_by_name(name: Path) -> bool:
    """Take a lock file for long, where there is no flock. False if a living process has it.

    One of another machine is taken for alive: nobody here can know.

    Raises:
        OSError: It cannot be made.
    """
    while True:
        try:
            fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            seen, holder = _look(name), _holder(name)
            if seen is None:
                continue
            if holder is None:  # killed before it could say who it was, or about to say so
                dead = time.time() - seen.st_mtime > ANCESTOR_STALE_S
            elif holder.boot == _boot():
                dead = not running(holder.pid)
            else:
                dead = holder.host == socket.gethostname()
            if not dead:
                return False
            _break(name, seen)
        else:
            try:
                os.write(fd, msgspec.json.encode(_ourselves()))
            finally:
                os.close(fd)
            return True


def _look(lock: Path) -> os.stat_result | None:
    try:
        return lock.lstat()
    except FileNotFoundError:
        return None


def _dead(holder: Holder | None, age_s: float, *, serialized: bool) -> bool:
    if holder is None:
        return age_s > ANCESTOR_STALE_S
    if holder.boot != _boot():
        return age_s > FOREIGN_STALE_S
    return serialized or not running(holder.pid)


def _holder(lock: Path) -> Holder | None:
    try:
        return msgspec.json.decode(lock.read_bytes(), type=Holder)
    except (OSError, msgspec.DecodeError):
        return None


def _break(lock: Path, seen: os.stat_result) -> None:
    """Remove a dead lock, and only that one.

    Another writer may break it at the same moment and take the lock anew. So
    it is first moved aside, which is atomic, and looked at again; if it is not
    the one that was found dead, it goes back.
    """
    aside = lock.with_name(f"{lock.name}{_ASIDE}{os.getpid()}-{time.monotonic_ns()}")
    with suppress(FileNotFoundError):
        lock.rename(aside)
        moved = aside.lstat()
        if (moved.st_ino, moved.st_mtime_ns) != (seen.st_ino, seen.st_mtime_ns):
            with suppress(OSError):
                aside.rename(lock)
        elif stat.S_ISDIR(moved.st_mode):
            with suppress(OSError):
                aside.rmdir()
        else:
            aside.unlink()


def tidy(path: Path) -> None:
    """Remove what a writer left that was killed while it broke the lock of the ledger ``path``."""
    for aside in path.parent.glob(f"{path.name}.lock{_ASIDE}*"):
        pid = aside.name.rpartition(_ASIDE)[2].partition("-")[0]
        if pid.isdigit() and not running(int(pid)):
            with suppress(OSError):
                aside.rmdir() if aside.is_dir() else aside.unlink()


def _ourselves(inode: int = 0, end: int = 0) -> Holder:
    host = socket.gethostname()
    return Holder(pid=os.getpid(), host=host, boot=_boot(), inode=inode, end=end)


@cache
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return socket.gethostname()
