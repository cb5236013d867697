"""Columns of a large ledger's beginning, kept beside it so that reports need not parse it again.

What is kept is what reading the ledger's lines gives, record by record, a line that is no row
included: whoever reads on from there cannot tell the difference. A ledger has a directory of
its own in ``ledgers`` below :func:`tokenproxy.paths.cache_dir`:

* ``look.json``: which file it was, how much of it is covered, and digests of what stood there.
* ``*.parquet``: the records, some :data:`PIECE` bytes of ledger in each, named in ``look.json``.
* ``lock``: held by whoever adds to it. Others read meanwhile.

It is believed only if the file is the same (device, inode, path), no shorter than what is
covered, and samples of that (its beginning, its end, and blocks between) are as they were; a
file of the same length must not have been touched since. What is not believed is made anew. All
that can go wrong here (no room, no right, a file that is gone or broken) leaves the ledger to be
read as if there were no cache.

The first report on a ledger only leaves its name; the second one finds it and keeps the columns.
So whoever asks once neither waits for the cache nor leaves one.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tokenproxy.insight.columns import COLUMNS
from tokenproxy.paths import make_private

SMALL = 32 * 2**20
"""Bytes of ledger that are parsed again each time rather than kept."""
PIECE = 128 * 2**20
"""Bytes of ledger in one file of the cache at most, and in a copy that is read to make it."""

_OTHERS = {"complexity", "fallback_used", "error", "operation"}
KEPT = {name: kind for name, kind in COLUMNS.items() if name not in _OTHERS}
"""Key of a row -> DuckDB type: what a report can ask for, and no more."""

_SAMPLES, _SAMPLE, _END = 64, 4096, 65_536
_SECOND_NS = 1_000_000_000
_TICK_NS, _COARSE_NS = 50_000_000, 2 * _SECOND_NS
"""A file touched this shortly before it was looked at may be touched again within the same time
stamp; the second one where stamps are of whole seconds."""
_LOOK = "look.json"


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a ledger since it was last looked at."""

    schema: str
    path: str
    device: int
    inode: int
    size: int
    mtime_ns: int
    """0: it had just been touched."""
    covered: int = 0
    """Bytes, to a line's end."""
    digest: str = ""
    """Of samples of these."""
    files: tuple[str, ...] = ()


class Cache(msgspec.Struct, frozen=True):
    """Of one ledger that is open."""

    directory: Path
    look: Look
    fd: int
    """The ledger's: what was looked at is what is read, whatever becomes of its name."""
    writable: bool
    """We hold its lock."""

    @property
    def files(self) -> list[str]:
        """Paths of what is kept."""
        return [str(self.directory / name) for name in self.look.files]

    def save(self, covered: int, files: tuple[str, ...]) -> Cache:
        """Note what is kept now.

        Raises:
            OSError: It cannot be written. What was noted before holds.
        """
        look = msgspec.structs.replace(
            self.look, covered=covered, files=files, digest=_digest(self.fd, covered)
        )
        _write(self.directory / _LOOK, msgspec.json.encode(look))
        return msgspec.structs.replace(self, look=look)

    def tidy(self) -> None:
        """Remove what is not noted: a report that was killed left it."""
        for path in self.directory.glob("*.parquet*"):
            if path.name not in self.look.files:
                with contextlib.suppress(OSError):
                    path.unlink()

    def forget(self) -> None:
        """Let the next report begin anew."""
        with contextlib.suppress(OSError):
            (self.directory / _LOOK).unlink(missing_ok=True)


def clear(directory: Path) -> None:
    """Remove all that is kept, of all ledgers.

    Raises:
        OSError: It cannot be removed.
    """
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(directory / "ledgers")


@contextlib.contextmanager
def open_cache(directory: Path, file: Path) -> Iterator[Cache | None]:
    """What is known of the ledger; None if it is to be read whole. Raises nothing of its own.

    Args:
        directory: As :func:`tokenproxy.paths.cache_dir` says.
        file: The ledger.
    """
    with contextlib.ExitStack() as stack:
        found = None
        with contextlib.suppress(OSError):
            found = _open(stack, directory / "ledgers", file)
        yield found


def _open(stack: contextlib.ExitStack, directory: Path, file: Path) -> Cache | None:
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    stack.callback(os.close, fd)
    status = os.fstat(fd)
    path = str(file.resolve())
    own = directory / hashlib.blake2b(os.fsencode(path), digest_size=16).hexdigest()
    if status.st_size < SMALL:
        shutil.rmtree(own, ignore_errors=True)  # it was large once
        return None
    now = Look(
        schema=_schema(), path=path, device=status.st_dev, inode=status.st_ino,
        size=status.st_size,
        mtime_ns=_settled(status.st_mtime_ns),
    )  # fmt: skip
    known = _read(own / _LOOK)
    if known is not None and _is_same(fd, known, now):
        look = msgspec.structs.replace(
            now, covered=known.covered, digest=known.digest, files=known.files
        )
        if look != known:
            with contextlib.suppress(OSError):  # full or read-only: what is kept still holds
                _write(own / _LOOK, msgspec.json.encode(look))
        return Cache(own, look, fd, _lock(stack, own))
    _tidy(directory)
    make_private(own)
    _write(own / _LOOK, msgspec.json.encode(now))
    return None


def _settled(mtime_ns: int) -> int:
    """The time stamp, if another touch would have changed it; else 0."""
    stamp = _TICK_NS if mtime_ns % _SECOND_NS else _COARSE_NS
    return mtime_ns if time.time_ns() - mtime_ns > stamp else 0


def _is_same(fd: int, known: Look, now: Look) -> bool:
    """Whether the file begins with what is kept."""
    if (known.schema, known.path) != (now.schema, now.path):
        return False
    if (known.device, known.inode) != (now.device, now.inode) or now.size < known.size:
        return False
    if now.size == known.size and 0 != known.mtime_ns != now.mtime_ns:
        return False
    if now.size == known.size and not known.mtime_ns and known.covered:
        return False  # it may have been edited in the moment in which it was looked at
    return _digest(fd, known.covered) == known.digest or not known.covered


def _schema() -> str:
    """What the records depend on: another DuckDB may read a line in another way."""
    import duckdb

    said = f"1 {duckdb.__version__} {KEPT}"
    return hashlib.blake2b(said.encode(), digest_size=8).hexdigest()


def _digest(fd: int, covered: int) -> str:
    """Of samples of the first ``covered`` bytes, among them the first and the last ones."""
    digest = hashlib.blake2b(digest_size=16)
    for number in range(_SAMPLES):
        start = covered * number // _SAMPLES
        digest.update(os.pread(fd, min(_SAMPLE, covered - start), start))
    start = max(covered - _END, 0)
    digest.update(os.pread(fd, covered - start, start))
    return digest.hexdigest()


def _read(path: Path) -> Look | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Look)
    except (OSError, msgspec.MsgspecError):
        return None


def _lock(stack: contextlib.ExitStack, directory: Path) -> bool:
    """Whether nobody else adds to it."""
    try:
        fd = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return False
    stack.callback(os.close, fd)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _write(path: Path, content: bytes) -> None:
    """All of it or nothing, for this user alone."""
    own = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        fd = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as out:
            out.write(content)
        own.rename(path)
    except OSError:
        own.unlink(missing_ok=True)
        raise


def _tidy(directory: Path) -> None:
    """Remove what is kept of ledgers that are gone."""
    for look in directory.glob(f"*/{_LOOK}"):
        known = _read(look)
        if known is not None and not os.path.lexists(known.path):
            shutil.rmtree(look.parent, ignore_errors=True)
