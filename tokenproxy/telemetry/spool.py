"""What could not be delivered, kept in a directory until ``tokenproxy otel replay`` sends it.

One request a file, as one line of OTLP's JSON, which the Collector's ``otlpjsonfile``
receiver reads too. A file has its name only when it is whole: it is written beside and
renamed, so that a kill in between leaves nothing that is half. The names sort by time.

    1795737504123456789-4711-1.traces.json          waits
    1795737504123456789-4711-1.traces.json.sending  a replay is about to send it

Imports no opentelemetry.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from tokenproxy.paths import make_private
from tokenproxy.telemetry.switch import Signal

logger = logging.getLogger(__name__)

LARGEST: Final = 256 * 1024 * 1024
"""Bytes that are kept in a directory; of more the oldest are dropped."""
SENDING: Final = ".sending"
WRITING: Final = ".writing"
_NAME: Final = re.compile(r"\d{19,}-\d+-\d+\.(traces|metrics)\.json")
_LOOK_AGAIN: Final = 64
"""Requests that one process writes before it looks what others have written beside it."""


class Entry(msgspec.Struct, frozen=True, order=True):
    """A request that waits. Entries sort by the time when they were kept."""

    name: str
    directory: Path
    signal: Signal
    doubtful: bool
    """A replay was killed while it sent this: it may have arrived."""

    @property
    def path(self) -> Path:
        """The file."""
        return self.directory / (self.name + (SENDING if self.doubtful else ""))

    def claimed(self) -> Entry:
        """Say on the disk that it is about to be sent.

        Raises:
            OSError: It is gone, or cannot be renamed.
        """
        claimed = msgspec.structs.replace(self, doubtful=True)
        self.path.rename(claimed.path)
        return claimed

    def released(self) -> None:
        """It was not taken: it waits as before."""
        with contextlib.suppress(OSError):
            self.path.rename(self.directory / self.name)


def entries(directory: Path) -> list[Entry]:
    """All requests that wait in a directory, the oldest first.

    Raises:
        OSError: It cannot be read.
    """
    return sorted(_entries(directory))


def _entries(directory: Path) -> Iterator[Entry]:
    for name in os.listdir(directory):  # noqa: PTH208 - tens of thousands, of which none is opened
        plain = name.removesuffix(SENDING)
        if found := _NAME.fullmatch(plain):
            signal: Signal = "traces" if found[1] == "traces" else "metrics"
            yield Entry(plain, directory, signal, plain != name)


def forget_unwritten(directory: Path, older_than_s: float = 3600) -> None:
    """Remove what writers left behind that were killed.

    Raises:
        OSError: The directory cannot be read.
    """
    for left in directory.glob(f".*{WRITING}"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > older_than_s:
                left.unlink()


def prepare(directory: Path) -> None:
    """Make the directory, for this user alone, and see that it can be written to.

    Raises:
        OSError: It cannot.
    """
    make_private(directory)
    probe = directory / f".{os.getpid()}-0{WRITING}"
    os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600))
    probe.unlink()


class Spool:
    """Keeps requests in a directory. Thread-safe; nothing raises."""

    def __init__(self, directory: Path, largest: int = LARGEST) -> None:
        self.directory = directory
        self.dropped = 0
        """Requests that made room for newer ones."""
        self.problem: str | None = None
        """Why one could not be kept."""
        self._largest = largest
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._written = 0
        self._size: int | None = None
        """As far as known: others write here too."""

    def keep(self, signal: Signal, request: bytes) -> bool:
        """Keep a request of protobuf. Whether it is."""
        try:
            from tokenproxy.telemetry.otlp.json_form import to_json

            line = to_json(signal, request) + b"\n"
            with self._lock:
                self._write(signal, line)
                self._bound(len(line))
        except Exception as error:
            logger.exception("%s are not kept", signal)
            why = error.strerror if isinstance(error, OSError) else None
            self.problem = f"{self.directory}: {why or ' '.join(str(error).split())}"
            return False
        return True

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the user should know."""
        said = []
        if self.problem is not None:
            said.append(f"telemetry: it cannot be kept in {self.problem}")
        if self.dropped:
            said.append(
                f"telemetry: {self.directory} is full; the {self.dropped} oldest requests in it"
                " were dropped"
            )
        return tuple(said)

    def _write(self, signal: Signal, line: bytes) -> None:
        make_private(self.directory)
        stem = f"{time.time_ns():019}-{os.getpid()}-{next(self._numbers)}"
        name = f"{stem}.{signal}.json"
        beside = self.directory / f".{name}{WRITING}"
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(line)
            beside.rename(self.directory / name)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise

    def _bound(self, added: int) -> None:
        self._written += 1
        if self._size is not None:
            self._size += added
            if self._size <= self._largest and self._written % _LOOK_AGAIN:
                return
        sizes: dict[Entry, int] = {}
        for entry in entries(self.directory):
            with contextlib.suppress(FileNotFoundError):
                sizes[entry] = entry.path.stat().st_size
        self._size = sum(sizes.values())
        newest = max(sizes, default=None)
        for entry, size in sizes.items():
            if self._size <= self._largest or entry is newest:
                break
            with contextlib.suppress(FileNotFoundError):
                entry.path.unlink()
                self.dropped += 1
            self._size -= size
