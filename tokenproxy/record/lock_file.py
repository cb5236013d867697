"""A lock that is a name: who made it, whether they live, and how a dead one's is broken.

Whoever creates the name has the lock, until it is removed. A name outlives a holder that was
killed, so the file says who made it: see :class:`Holder`.
"""

from __future__ import annotations

import errno
import math
import os
import socket
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

import msgspec

from tokenproxy.processes import began, running
from tokenproxy.record.badge import Badge

ANCESTOR_STALE_S = 0.9
"""Age at which a lock without an owner (a directory, or not our format) counts as dead.

The ancestor itself waits half a second for it and then appends without."""

FOREIGN_STALE_S = 60.0
"""The same for a lock file of a process that cannot be looked at: on another machine, where
``flock`` may not reach, or in another container, where there is none."""

FOREIGN_GONE_S = 24 * 3600.0
"""For what is held for long: how long a process that cannot be looked at may write nothing."""

NO_FLOCK = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
"""What a file system says that has no locks, NFS without its lock daemon among them."""

_ASIDE = ".dead-"


class Holder(msgspec.Struct, frozen=True):
    """Who holds a lock file: its content."""

    pid: int
    host: str
    boot: str
    """The running kernel: the same in all containers of a machine, where ``flock`` is too."""
    inode: int = 0
    end: int = 0
    """The ledger's size, bytes, when it was taken: all that was written under it lies behind."""
    space: str = ""
    """In which ``pid`` means this process: containers of one machine number their own."""
    began: int = 0
    """When the process began: its id may be another's by now. 0: nobody knows."""

    @property
    def seen(self) -> bool:
        """Whether we could see it run."""
        return (self.boot, self.space) == (_boot(), _space())

    @property
    def runs(self) -> bool:
        """Of one that we could see: whether it runs still."""
        if not running(self.pid):
            return False
        now = began(self.pid) if self.began else None
        return now is None or now == self.began

    def dead(self, age_s: float, *, serialized: bool) -> bool:
        """Whether it holds the lock no more.

        Args:
            age_s: How old its lock is, seconds.
            serialized: No other of this machine is alive that holds one: we have the ``flock``.
        """
        if serialized and self.boot == _boot():
            return True
        return not self.runs if self.seen else age_s > FOREIGN_STALE_S

    def gone(self, written: float) -> bool:
        """Whether it is dead that held something for long and wrote to it, last at ``written``.

        One that cannot be looked at is taken for alive, since nobody here can know: unless it has
        written nothing for a day, or nothing since before this machine's start.

        Args:
            written: By that file's time stamp, Unix time, seconds.
        """
        if self.seen:
            return not self.runs
        now = time.time()
        if self.boot != _boot() and self.host == socket.gethostname() and written < now - _up_s():
            return True
        return now - written > FOREIGN_GONE_S


def ourselves(inode: int = 0, end: int = 0) -> Holder:
    """This process, as a holder of the lock of that ledger."""
    pid = os.getpid()
    return Holder(
        pid, socket.gethostname(), _boot(), inode, end, space=_space(), began=_ours_began(pid)
    )


def holder_of(lock: Path) -> Holder | None:
    """Who made it; None if it does not say so."""
    try:
        return msgspec.json.decode(lock.read_bytes(), type=Holder)
    except (OSError, msgspec.DecodeError):
        return None


def is_ours(lock: Path) -> bool:
    """Whether this process made it."""
    holder = holder_of(lock)
    if holder is None:
        return False
    return msgspec.structs.replace(holder, inode=0, end=0) == ourselves()


def make(lock: Path, holder: Holder, badge: Badge | None) -> None:
    """Take the lock.

    Args:
        lock: Its name.
        holder: What it says.
        badge: What to make it of, where it can be.

    Raises:
        FileExistsError: Somebody has it.
        OSError: It cannot be made.
    """
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


def take_over(lock: Path) -> bool:
    """Keep a dead holder's lock as our own; only under ``flock``. False: it cannot be had.

    It goes on to say where the first of the dead began, also if we are killed next. To remove
    it and make another would leave a moment in which nothing says so.
    """
    try:
        os.utime(lock)  # who can judge it by its age alone must not break it now
    except OSError:
        return False
    return True


def take_by_name(name: Path, written: Callable[[], float]) -> bool:
    """Take a lock file for long, where there is no flock. False if a living process has it.

    Args:
        name: The lock.
        written: When its holder wrote last to what it guards: see :meth:`Holder.gone`.

    Raises:
        OSError: It cannot be made.
    """
    while True:
        try:
            fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            seen, holder = look(name), holder_of(name)
            if seen is None:
                continue
            if holder is None:  # killed before it could say who it was, or about to say so
                dead = time.time() - seen.st_mtime > ANCESTOR_STALE_S
            else:
                dead = holder.gone(written())
            if not dead:
                return False
            remove_dead(name, seen)
        else:
            try:
                os.write(fd, msgspec.json.encode(ourselves()))
            except OSError:
                name.unlink(missing_ok=True)
                raise
            finally:
                os.close(fd)
            return True


def look(lock: Path) -> os.stat_result | None:
    """What is at its name."""
    try:
        return lock.lstat()
    except FileNotFoundError:
        return None


def remove_dead(lock: Path, seen: os.stat_result) -> None:
    """Remove a dead lock, and only that one.

    Another writer may break it at the same moment and take the lock anew. So
    it is first moved aside, which is atomic, and looked at again; if it is not
    the one that was found dead, it goes back.
    """
    us = f"{os.getpid()}@{_space_number()}"
    aside = lock.with_name(f"{lock.name}{_ASIDE}{us}-{time.monotonic_ns()}")
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
        pid, _, space = aside.name.rpartition(_ASIDE)[2].partition("-")[0].partition("@")
        if pid.isdigit() and space == _space_number() and not running(int(pid)):
            with suppress(OSError):
                aside.rmdir() if aside.is_dir() else aside.unlink()


@cache
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return socket.gethostname()


@cache
def _space() -> str:
    """The namespaces that ids of processes and their times are told in."""
    try:
        return " ".join(str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in ("pid", "time"))
    except OSError:
        return ""


def _space_number() -> str:
    return "".join(filter(str.isdigit, _space().partition(" ")[0]))


@cache
def _ours_began(pid: int) -> int:
    """Of this process; its ``pid``, because a fork is another."""
    return began(pid) or 0


def _up_s() -> float:
    """How long this machine has been up, seconds; where that is not told, for ever."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else math.inf
