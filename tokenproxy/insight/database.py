"""Databases of DuckDB's that ledgers are read into: no network, and bounded memory.

DuckDB compresses tables in a file and no others, so a large ledger is read into a file of a
temporary directory: a third of a second more of processor time for a million rows, and a
quarter of the memory.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    import duckdb

READING = "360MB"
"""What DuckDB may hold while it reads lines. It counts buffers to which little is ever written, so
that the process stays below 280 MB. With a sixth less it reads a file with one thread alone."""
ASKING = "190MB"
"""What it may hold afterwards, as a rule: all of this is written to. What cannot be answered with
it gets what there is."""

_LARGE = 16 * 2**20
"""Bytes of ledgers that are read into a file."""
_PACKED = 10
"""How many times as large a compressed ledger is as a rule."""
_MEMORY, _FILE = ":memory:", "rows.duckdb"


class Way(msgspec.Struct, frozen=True):
    """How to read ledgers."""

    database: str
    """A path, or in memory."""
    bounded: bool
    """By :data:`READING` and :data:`ASKING`."""


def ways(files: Sequence[Path], room: Path | None) -> list[Way]:
    """The ways to read the files, to be tried one after the other.

    Args:
        files: Ledgers.
        room: A directory for the time being; None: there is none.
    """
    if room is None or any(file.is_fifo() for file in files):  # which could not be read again
        return [Way(_MEMORY, bounded=False)]
    size = 0
    for file in files:
        with contextlib.suppress(OSError):  # told by whoever reads it
            size += file.stat().st_size * (_PACKED if file.suffix == ".gz" else 1)
    if size < _LARGE:
        return [Way(_MEMORY, bounded=True), Way(_MEMORY, bounded=False)]
    path = str(room / _FILE)
    # The last one is for a disk that is full.
    return [Way(path, bounded=True), Way(path, bounded=False), Way(_MEMORY, bounded=False)]


@contextlib.contextmanager
def open_way(way: Way, room: Path | None) -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty database, ready to read into; it and its file are gone afterwards."""
    import duckdb

    config = {"temp_directory": str(room or "")}  # "": all is held in memory
    if way.bounded:
        config["memory_limit"] = READING
    try:
        with connect(way.database, config) as connection:
            if way.database != _MEMORY:
                # DuckDB has it open; whoever kills us leaves nothing of it.
                Path(way.database).unlink()
                with contextlib.suppress(duckdb.CatalogException):  # not known to DuckDB 1
                    connection.execute("SET fsync_mode = 'NONE'")
            yield connection
    finally:
        for file in () if room is None else room.glob(f"{_FILE}*"):
            file.unlink(missing_ok=True)


def no_room(error: Exception) -> bool:
    """Whether another way may do: it was memory that lacked, or the disk."""
    import duckdb

    return isinstance(
        error, (duckdb.OutOfMemoryException, duckdb.IOException, duckdb.FatalException)
    )


def bound_questions(connection: duckdb.DuckDBPyConnection, way: Way) -> None:
    """All is read: let there be less memory from now on."""
    import duckdb

    if way.bounded:
        with contextlib.suppress(duckdb.OutOfMemoryException):  # it holds more, which may be needed
            connection.execute("SET memory_limit = ?", [ASKING])


def ask(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Mapping[str, str] | None = None
) -> list[tuple[Any, ...]]:
    """The answer's records; with all memory that there is if it cannot do with less."""
    import duckdb

    try:
        return connection.execute(sql, dict(parameters or {})).fetchall()
    except (duckdb.OutOfMemoryException, duckdb.IOException):  # no room on the disk
        connection.execute("RESET memory_limit")
        return connection.execute(sql, dict(parameters or {})).fetchall()


def connect(
    database: str = _MEMORY, config: Mapping[str, str] | None = None
) -> duckdb.DuckDBPyConnection:
    """Open a database that never asks the network: what is linked into DuckDB is all we need."""
    import duckdb

    return _silent(
        duckdb.connect(
            database,
            config={
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                **(config or {}),
            },
        )
    )


def another(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """A connection to the same database, for another thread."""
    return _silent(connection.cursor())


def _silent(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """After two seconds DuckDB would show on stdout, before the answer, how far it is."""
    connection.execute("SET enable_progress_bar = false")
    return connection
