"""A file that says who we are, kept for making locks of: a lock is one more link to it.

To make a file and remove it again takes a file system ten times as long as to link
one (50 and 5 us on ext4), and a lock is made and removed while everybody else waits.
So whoever takes locks often keeps a badge beside its journal. Where that is
on another file system than the lock, or there are no links, the lock is made anew.
"""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress
from pathlib import Path

GLOB = "*.badge"

ROOM = 512
"""Bytes of every badge, filled up with spaces."""

_NO_LINKS = frozenset(
    {errno.EXDEV, errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
)
"""What will be no different the next time."""


def badge_of(journal: Path) -> Path:
    """The badge of a journal's owner."""
    return journal.with_suffix(".badge")


class Badge:
    """One process's. Nothing is made before the first lock."""

    def __init__(self, path: Path) -> None:
        """Say where it will lie.

        Args:
            path: Ours alone; its directory must exist by the first lock.
        """
        self._path = path
        self._fd: int | None = None
        self._useless = False

    def link(self, lock: Path, says: bytes) -> bool:
        """Make the lock. False: it must be made another way.

        Args:
            lock: Its name.
            says: What is to be read in it, JSON of up to ``ROOM`` bytes.

        Raises:
            FileExistsError: There is one of that name.
        """
        if self._useless:
            return False
        try:
            if self._fd is None:
                self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
            os.pwrite(self._fd, says.ljust(ROOM), 0)
            # The lock's age is counted from here, and no two of them are of one moment.
            now = time.time_ns()
            os.utime(self._fd, ns=(now, now))
            os.link(self._path, lock)
        except FileExistsError:
            raise
        except OSError as error:
            self._useless = error.errno in _NO_LINKS
            self.remove()
            return False
        return True

    def remove(self) -> None:
        """No more locks are taken for now."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
            with suppress(OSError):
                self._path.unlink()
