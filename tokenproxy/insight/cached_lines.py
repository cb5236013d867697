"""A ledger's records from its cache, and from its lines where the cache ends.

The cache grows here, too: by all whole lines behind what it covers, if they are many. DuckDB
reads a file from its beginning, so lines behind an offset are copied for it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from tokenproxy.insight import column_cache, database
from tokenproxy.insight.column_cache import KEPT, Cache

if TYPE_CHECKING:
    import duckdb

_AT_ONCE = 2**20
_FORM = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE 10240"
"""Groups so small that some of them fit into memory at once while they are made."""
_WORKERS = 2
"""Pieces that are read at once. One that DuckDB reads with two threads has its lines wait for their
turn, in more memory."""


def append_cached(
    connection: duckdb.DuckDBPyConnection,
    cache: Cache,
    columns: Mapping[str, str],
    keep: str,
    room: Path,
) -> bool:
    """Add the ledger's records to the table ``raw``, in their order.

    Args:
        connection: Where the table is.
        cache: Of the ledger.
        columns: Keys of a row that are needed, and their types.
        keep: SQL over ``columns`` of what the table has.
        room: A directory for copies of lines.

    Returns:
        Whether it was done. If not, nothing was added: so it is where so much lies behind what
        is kept that a copy of it would be too large.
    """
    import duckdb

    if not columns.keys() <= KEPT.keys():
        return False
    cache = _extend(connection, cache, room)
    behind = cache.look.size - cache.look.covered
    if not cache.look.covered or behind > column_cache.PIECE:  # another report is adding them
        return False
    names = ", ".join(columns)
    try:
        with _room_for_copy(room / "tail.jsonl") as tail:
            _copy(cache.fd, cache.look.covered, cache.look.size, tail)
            connection.execute(
                f"INSERT INTO raw SELECT {keep} FROM (SELECT {names} FROM read_parquet(?)"  # noqa: S608 - our own words
                f" UNION ALL SELECT {names} FROM {_lines(columns)})",
                [cache.files, str(tail)],
            )
    except duckdb.OutOfMemoryException:
        raise  # with more of it there will be an answer
    except (duckdb.Error, OSError):  # a broken file, no room for the copy
        cache.forget()
        return False
    return True


def _extend(connection: duckdb.DuckDBPyConnection, cache: Cache, room: Path) -> Cache:
    """Keep the lines behind what is kept; where that cannot be, it stays as it is."""
    import duckdb

    pieces = _pieces(cache) if cache.writable else []
    if not pieces:
        return cache
    cache.tidy()
    ((threads,),) = connection.execute("SELECT current_setting('threads')").fetchall()
    connection.execute("SET threads = 1")
    copies: list[Path] = []

    def keep(piece: tuple[int, int]) -> tuple[int, str]:
        copy, (start, end) = copies.pop(), piece
        name = f"{secrets.token_hex(8)}.parquet"
        try:
            _copy(cache.fd, start, end, copy)
            _make(connection, copy, cache.directory / name)
        finally:
            copies.append(copy)
        return end, name

    pool = ThreadPoolExecutor(_WORKERS)
    try:
        with contextlib.ExitStack() as stack:
            copies += [
                stack.enter_context(_room_for_copy(room / f"piece{number}.jsonl"))
                for number in range(_WORKERS)
            ]
            stack.callback(pool.shutdown, cancel_futures=True)
            for end, name in pool.map(keep, pieces):
                cache = cache.save(end, (*cache.look.files, name))
    except (duckdb.Error, OSError):  # no room, or no right
        cache.tidy()
    finally:
        pool.shutdown(cancel_futures=True)
        connection.execute("SET threads = ?", [threads])
    return cache


def _pieces(cache: Cache) -> list[tuple[int, int]]:
    """Where the pieces begin and end that are not kept yet, each a line's end."""
    pieces, start = [], cache.look.covered
    while cache.look.size - start >= column_cache.SMALL:
        end = _line_end(cache.fd, start, min(cache.look.size, start + column_cache.PIECE))
        if end == start:
            break
        pieces.append((start, end))
        start = end
    return pieces


def _make(connection: duckdb.DuckDBPyConnection, lines: Path, made: Path) -> None:
    """Keep the columns of a file of lines.

    Raises:
        duckdb.Error: It cannot be read or written.
        OSError: It cannot be written.
    """
    with database.another(connection) as own:
        own.execute(
            f"COPY (SELECT * FROM {_lines(KEPT)}) TO '{_quoted(made)}' ({_FORM})",  # noqa: S608 - our own words
            [str(lines)],
        )
    made.chmod(0o600)
    _sync(made)


def _lines(columns: Mapping[str, str]) -> str:
    """SQL of the records of a file of lines, a parameter, as the ledger itself is read."""
    typed = ", ".join(f"{name}: '{kind}'" for name, kind in columns.items())
    return f"read_json([?], format='newline_delimited', columns={{{typed}}}, ignore_errors=true)"


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _line_end(fd: int, start: int, end: int) -> int:
    """Where the last whole line before ``end`` ends; ``start`` if there is none."""
    while end > start:
        before = max(end - _AT_ONCE, start)
        found = os.pread(fd, end - before, before).rfind(b"\n")
        if found >= 0:
            return before + found + 1
        end = before
    return start


@contextlib.contextmanager
def _room_for_copy(path: Path) -> Iterator[Path]:
    """A file for a copy of lines, under the path by which it is found.

    It may be of 128 MiB, so where the system lets a file be found without a name it has none:
    whoever kills us leaves nothing of it.

    Raises:
        OSError: It cannot be made.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        found, nameless = path, Path(f"/proc/self/fd/{fd}")
        with contextlib.suppress(OSError):
            if os.path.samestat(nameless.stat(), os.fstat(fd)):
                path.unlink()
                found = nameless
        yield found
    finally:
        os.close(fd)
        path.unlink(missing_ok=True)


def _copy(fd: int, start: int, end: int, path: Path) -> None:
    """Copy bytes of the ledger over what was in the other file.

    Raises:
        OSError: There is no room, or the ledger has become shorter.
    """
    size = end - start
    fd_out = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while start < end:
            copied = _copy_some(fd, start, end, fd_out)
            if not copied:
                raise OSError("the ledger has become shorter")
            start += copied
        os.ftruncate(fd_out, size)
    finally:
        os.close(fd_out)


def _copy_some(fd: int, start: int, end: int, fd_out: int) -> int:
    """Copy some of these bytes; how many."""
    if sys.platform == "linux":
        try:  # within the kernel
            return os.sendfile(fd_out, fd, start, end - start)
        except OSError as error:
            if error.errno not in {errno.EINVAL, errno.ENOSYS}:  # not on every file system
                raise
    return os.write(fd_out, os.pread(fd, min(end - start, _AT_ONCE), start))


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
