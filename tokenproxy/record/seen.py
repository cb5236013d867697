"""Batch results that have rows already: a file may be downloaded again and again.

What has been appended is kept in a file that all tokenproxy processes of a user
share, so that neither the next run nor a restarted proxy counts it anew. It is a
help, not the guarantee: two downloads at the same moment, or a file that was lost,
make a second row, which has the first one's ``call_id`` and so is counted once.

A result is noted *after* its row is in the ledger. Whoever dies in between leaves
it unnoted, which costs a second row; the other order would cost the only one.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

from tokenproxy.wire.usage import Reading

logger = logging.getLogger(__name__)

REMEMBERED = 200_000
"""Results kept in mind: two batches of the largest size."""

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
        keys = [self._key(provider, item.response_id) for item in items if item.response_id]
        if self._file is None or not keys:
            return
        try:
            fd = os.open(self._file, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
                _shorten(fd)
                os.write(fd, b"".join(b"%s\n" % key.encode() for key in keys))
            finally:
                os.close(fd)
        except OSError as error:
            logger.warning("what batches were counted cannot be kept: %s", error)

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
