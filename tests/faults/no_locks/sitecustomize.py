"""A file system without locks, as NFS is without its lock daemon: every ``flock`` fails."""

import errno
import fcntl
import os


def _refuse(*_: object) -> None:
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


fcntl.flock = _refuse
