"""The run's own directory: CA files for the command, the proxy's journal and log."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from pathlib import Path

from tokenproxy import paths
from tokenproxy.launch.errors import UsageError
from tokenproxy.launch.proxy_process import LOG_NAME
from tokenproxy.launch.trust import remove_trust


class RunDir:
    """``{state}/runs/{run_id}``, for this user alone."""

    def __init__(self, state: Path, run_id: str) -> None:
        """Make it.

        Raises:
            OSError: It cannot be made.
        """
        self.path = paths.runs_dir(state) / run_id
        self.path.parent.mkdir(mode=0o700, exist_ok=True)
        self._fd = self._own()

    def _own(self) -> int:
        """Make it and hold its lock: whoever tidies up after dead runs leaves it alone."""
        while True:
            self.path.mkdir(mode=0o700, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
                # Where the file system has no locks, nobody tidies up either.
                with contextlib.suppress(OSError):
                    fcntl.flock(fd, fcntl.LOCK_EX)
                if self.path.exists():
                    return fd
                os.close(fd)  # tidied away before it was ours

    def others_have_journals(self) -> bool:
        """Whether some other run is under way, or has left calls that are to be settled."""
        journals = self.path.parent.glob("*/journal-*.jsonl")
        return any(journal.parent != self.path for journal in journals)

    def close(self, *, keep_log: bool) -> None:
        """Take away what has served: the CA files always, the log unless something failed.

        A journal that is still there holds calls that are not in the ledger yet; then the
        directory stays, and the next start settles it.
        """
        with contextlib.suppress(OSError):
            remove_trust(self.path)
            if not keep_log:
                (self.path / LOG_NAME).unlink(missing_ok=True)
            self.path.rmdir()
        os.close(self._fd)


def check_ledger(ledger: Path) -> None:
    """See that rows can be appended to ``ledger``; make its directory if need be.

    Raises:
        UsageError: They cannot.
    """
    try:
        ledger.parent.mkdir(parents=True, exist_ok=True)
        _refuse_odd_file(ledger)
        _try_directory(ledger)
        if ledger.exists():
            os.close(os.open(ledger, os.O_WRONLY | os.O_APPEND))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return  # a disk that is full now: rows wait in the journal until it is not
        raise UsageError(
            f"cannot write the ledger {ledger}: {error.strerror};"
            " name another place with --ledger or TOKENPROXY_LEDGER"
        ) from None


def _try_directory(ledger: Path) -> None:
    """Make a file where the ledger's lock will be: one without a name, which no kill can leave.

    Raises:
        OSError: None can be made.
    """
    unnamed = getattr(os, "O_TMPFILE", 0)
    if unnamed:
        try:
            os.close(os.open(ledger.parent, unnamed | os.O_WRONLY, 0o600))
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
                raise
        else:
            return
    probe = ledger.with_name(f".{ledger.name}.{os.getpid()}")
    os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    probe.unlink()


def _refuse_odd_file(ledger: Path) -> None:
    """A ledger is a file, or is yet to be one: pipes wait for ever, devices never end.

    Raises:
        OSError: It is something else.
    """
    try:
        mode = ledger.stat().st_mode
    except FileNotFoundError:
        if ledger.is_symlink():
            raise OSError(errno.ENOENT, "it is a link to nothing") from None
        return
    if not stat.S_ISREG(mode) or ledger.is_relative_to("/dev"):
        raise OSError(errno.EINVAL, "it is not a regular file")
