"""Batch results that have rows already: a file may be downloaded again and again.

What has been appended is kept in a file that all tokenproxy processes of a user
share, so that neither the next run nor a restarted proxy counts it anew. It is a
help, not the guarantee: two downloads at the same moment, or a file that was lost,
make a second row, which has the first one's ``call_id`` and so is counted once.

Nobody waits for the file: what cannot be noted because another process has it, be it stopped,
is noted with the next result, or at the end.

A result is noted *after* its row is in the ledger. Whoever dies in between leaves
it unnoted, which costs a second row; the other order would cost the only one.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import time
from collections import OrderedDict, deque
from collections.abc import Iterable
from pathlib import Path

from tokenproxy.wire.usage import Reading

logger = logging.getLogger(__name__)

REMEMBERED = 200_000
"""Results kept in mind: two batches of the largest size."""

_TRIES, _PAUSE_S = 20, 0.002
"""To have the file at the end: others have it for a tenth of a millisecond."""

_LINE = 33
"""Bytes of a result in the file: 32 hex digits and a newline."""


class SeenResults:
    """Which results of batches are in one ledger. Belongs to one thread; nothing raises.

    Args:
        ledger: The ledger; a result that is in another one is not in this.
        file: Shared by processes, made when needed; None keeps nothing.
    """

    def __init__(self, ledger: Path, file: Path | None = None) -> None:
        self._ledger = str(ledger.absolute())
        self._file = file
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._read: tuple[int, int] | None = None
        """Inode and size of the file as last read."""
        self._unkept: deque[str] = deque(maxlen=REMEMBERED)
        """Counted, and not noted in the file yet."""

    def new(self, provider: str, items: Iterable[Reading]) -> list[Reading]:
        """Those that were not seen before. One without an id cannot be told and is new."""
        self._learn()
        fresh = []
        for item in items:
            if item.response_id is not None:
                key = self._key(provider, item.response_id)
                if key in self._seen:
                    continue
                self._remember(key)
            fresh.append(item)
        return fresh

    def remember(self, provider: str, item: Reading) -> None:
        """An answer has its row soon: whoever fetches it again meanwhile has nothing new."""
        if item.response_id is not None:
            self._remember(self._key(provider, item.response_id))

    def keep(self, provider: str, items: Iterable[Reading]) -> None:
        """Note for all processes that these have their rows."""
        if self._file is not None:
            keys = [self._key(provider, item.response_id) for item in items if item.response_id]
            self._unkept += keys
            if keys:
                self._keep(self._file)

    def close(self) -> None:
        """Note what could not be noted so far, if the file is free in a moment."""
        for _ in range(_TRIES):
            if self._file is None or not self._unkept or self._keep(self._file):
                return
            time.sleep(_PAUSE_S)
        logger.warning("what batches were counted is not kept: another process has the file")

    def _keep(self, file: Path) -> bool:
        """Note what is not noted. False if another process has the file."""
        try:
            fd = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _shorten(fd)
                os.write(fd, b"".join(b"%s\n" % key.encode() for key in self._unkept))
            finally:
                os.close(fd)
        except BlockingIOError:
            return False
        except OSError as error:
            logger.warning("what batches were counted cannot be kept: %s", error)
        self._unkept.clear()
        return True

    def _learn(self) -> None:
        """Take in what other processes, and those before us, have counted."""
        if self._file is None:
            return
        try:
            status = self._file.stat()
            if (status.st_ino, status.st_size) == self._read:
                return
            for line in self._file.read_bytes().splitlines():
                self._remember(line.decode(errors="replace"))
            self._read = (status.st_ino, status.st_size)
        except FileNotFoundError:
            return
        except OSError as error:
            logger.warning("what batches were counted cannot be read: %s", error)

    def _remember(self, key: str) -> None:
        self._seen[key] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)

    def _key(self, provider: str, response_id: str) -> str:
        words = f"{self._ledger}\0{provider}\0{response_id}"
        return hashlib.blake2b(words.encode(errors="replace"), digest_size=16).hexdigest()


def _shorten(fd: int) -> None:
    """Drop the older half of a file that holds twice as much as is kept in mind."""
    size = os.fstat(fd).st_size
    if size <= 2 * REMEMBERED * _LINE:
        return
    kept = os.pread(fd, REMEMBERED * _LINE, size - REMEMBERED * _LINE)
    os.ftruncate(fd, 0)
    os.write(fd, kept)
