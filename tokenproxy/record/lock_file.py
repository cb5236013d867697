"""A lock that is a name: who made it, whether they live, and how a dead one's is broken.

Whoever creates the name has the lock, until it is removed. A name outlives a holder that was
killed, so the file says who made it: see :class:`Holder`.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

import msgspec

from tokenproxy.processes import running
from tokenproxy.record.badge import Badge

ANCESTOR_STALE_S = 0.9
"""Age at which a lock without an owner (a directory, or not our format) counts as dead.

The ancestor itself waits half a second for it and then appends without."""

FOREIGN_STALE_S = 60.0
"""The same for a lock file of a process that cannot be looked at: on another machine, where
``flock`` may not reach, or in another container, where there is none."""

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

    @property
    def seen(self) -> bool:
        """Whether we could see it run."""
        return (self.boot, self.space) == (_boot(), _space())

    def dead(self, age_s: float, *, serialized: bool) -> bool:
        """Whether it holds the lock no more.

        Args:
            age_s: How old its lock is, seconds.
            serialized: No other of this machine is alive that holds one: we have the ``flock``.
        """
        if serialized and self.boot == _boot():
            return True
        return not running(self.pid) if self.seen else age_s > FOREIGN_STALE_S


def ourselves(inode: int = 0, end: int = 0) -> Holder:
    """This process, as a holder of the lock of that ledger."""
    host = socket.gethostname()
    return Holder(pid=os.getpid(), host=host, boot=_boot(), inode=inode, end=end, space=_space())


def holder_of(lock: Path) -> Holder | None:
    """Who made it; None if it does not say so."""
    try:
        return msgspec.json.decode(lock.read_bytes(), type=Holder)
    except (OSError, msgspec.DecodeError):
        return None


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


def take_by_name(name: Path) -> bool:
    """Take a lock file for long, where there is no flock. False if a living process has it.

    One of another machine or container is taken for alive, since nobody here can know; but not
    one from before the start of this one.

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
            elif holder.seen:
                dead = not running(holder.pid)
            else:
                dead = holder.host == socket.gethostname()
            if not dead:
                return False
            remove_dead(name, seen)
        else:
            try:
                os.write(fd, msgspec.json.encode(ourselves()))
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


@cache
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return socket.gethostname()


@cache
def _space() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
