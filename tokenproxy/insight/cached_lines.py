"""A ledger's records from its cache, and from its lines where the cache ends.

The cache grows here, too: by all whole lines behind what it covers, if they are many. DuckDB
reads a file from its beginning, so lines behind an offset are copied for it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tokenproxy.insight import column_cache
from tokenproxy.insight.column_cache import KEPT, Cache

if TYPE_CHECKING:
    import duckdb

_AT_ONCE = 2**20
_FORM = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE 30720"
"""Groups so small that some of them fit into memory at once while they are made."""


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
    tail = room / "tail.jsonl"
    names = ", ".join(columns)
    try:
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
    finally:
        tail.unlink(missing_ok=True)
    return True


def _extend(connection: duckdb.DuckDBPyConnection, cache: Cache, room: Path) -> Cache:
    """Keep the lines behind what is kept; where that cannot be, it stays as it is."""
    import duckdb

    covered, files = cache.look.covered, cache.look.files
    piece = room / "piece.jsonl"
    while cache.writable and cache.look.size - covered >= column_cache.SMALL:
        end = _line_end(cache.fd, covered, min(cache.look.size, covered + column_cache.PIECE))
        if end == covered:
            break
        made = cache.directory / f"{secrets.token_hex(8)}.parquet"
        try:
            _copy(cache.fd, covered, end, piece)
            connection.execute(
                f"COPY (SELECT * FROM {_lines(KEPT)}) TO '{_quoted(made)}' ({_FORM})",  # noqa: S608 - our own words
                [str(piece)],
            )
            made.chmod(0o600)
            _sync(made)
            cache = cache.save(end, (*files, made.name))
        except (duckdb.Error, OSError):
            made.unlink(missing_ok=True)
            break
        finally:
            piece.unlink(missing_ok=True)
        covered, files = cache.look.covered, cache.look.files
    return cache


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


def _copy(fd: int, start: int, end: int, path: Path) -> None:
    """Copy bytes of the ledger.

    Raises:
        OSError: There is no room, or the ledger has become shorter.
    """
    with path.open("wb") as out:
        while start < end:
            read = os.pread(fd, min(end - start, _AT_ONCE), start)
            if not read:
                raise OSError("the ledger has become shorter")
            out.write(read)
            start += len(read)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
