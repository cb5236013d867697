"""Whole rows of a ledger of any size: each once, oldest first, with every key of the schema.

:mod:`tokenproxy.insight.query` holds in memory what questions need; here all keys of up to
millions of rows pass through. They lie in a database of DuckDB's in a temporary directory
and are handed out some at a time. It reads what the reports
read: lines that are no rows are told, a call_id that stands twice counts once.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import inspect

from tokenproxy.insight.database import connect
from tokenproxy.insight.query import (
    FULLEST,
    LedgerError,
    Skipped,
    first_line,
    read_lines,
)
from tokenproxy.insight.raw_lines import is_empty
from tokenproxy.record.row import Row

if TYPE_CHECKING:
    import duckdb

_MEMORY = "128MB"
"""What DuckDB may hold before it goes to the disk."""

_THREADS = "1"
"""Each reads JSON through 32 MB of its own; more are hardly faster at one file."""

_PAGE = 8_192
_AT_A_TIME = 512

_SCALARS: Mapping[type[inspect.Type], str] = {
    inspect.StrType: "VARCHAR",
    inspect.IntType: "BIGINT",
    inspect.FloatType: "DOUBLE",
    inspect.BoolType: "BOOLEAN",
    inspect.AnyType: "JSON",
}


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which calls; all must hold."""

    since: datetime | None = None
    """When the call started."""
    until: datetime | None = None
    """Not included."""
    runs: tuple[str, ...] = ()
    """Ids of runs or how they begin; none means all."""
    story: str | None = None


class Stored(msgspec.Struct, frozen=True):
    """A row as it stands in the ledger."""

    row: dict[str, Any]
    """Without the keys that it does not have, and without ``usage``."""
    wanted: bool
    """False if it only belongs to the same run and trace as a row that is."""
    last: bool
    """No row of its run in its trace started later."""


class Rows(msgspec.Struct, frozen=True):
    """The tables ``raw`` (all lines) and ``plan`` (the ``line`` of each row that matters)."""

    connection: duckdb.DuckDBPyConnection
    planned: int
    """Rows in ``plan``, numbered (``n``) by their calls' starts."""
    wanted: int
    """Calls, each once."""
    nameless: int
    """Of these, rows without call, trace or span id."""
    skipped: tuple[Skipped, ...] = ()

    def __iter__(self) -> Iterator[Stored]:
        """The wanted rows and those of the same run and trace, by their start.

        Raises:
            LedgerError: The disk is full.
        """
        import duckdb

        names = [name for name in columns() if name != "usage"]
        taken = ", ".join(f"raw.{name}" for name in names)
        try:
            for first in range(0, self.planned, _PAGE):
                condition, values = self.within("n >= ? AND n < ?", [first, first + _PAGE])
                found = self.connection.execute(
                    f"SELECT wanted, last, {taken} FROM plan JOIN raw ON raw.rowid = line"  # noqa: S608 - our own words
                    f" WHERE {condition} AND NOT nameless ORDER BY n",
                    values,
                )
                while records := found.fetchmany(_AT_A_TIME):
                    for wanted, last, *cells in records:
                        pairs = zip(names, cells, strict=True)
                        row = {name: value for name, value in pairs if value is not None}
                        yield Stored(row, wanted, last)
        except duckdb.Error as error:
            raise _unreadable(error) from error

    def within(self, condition: str, values: Sequence[Any]) -> tuple[str, list[Any]]:
        """SQL over ``plan`` and ``raw``: the condition, and the lines between which they lie.

        Only there ``raw`` is read.
        """
        bounds = self.connection.execute(
            f"SELECT min(line), max(line) FROM plan WHERE {condition}",  # noqa: S608 - our own words
            values,
        ).fetchone()
        return f"{condition} AND raw.rowid BETWEEN ? AND ?", [*values, *(bounds or (0, 0))]


@contextmanager
def open_rows(files: Sequence[Path], wanted: Wanted, *, usage: bool = False) -> Iterator[Rows]:
    """Read the files and choose from them.

    Args:
        files: Ledgers.
        wanted: Which calls.
        usage: Read the providers' usage objects too, which are half of a ledger.

    Raises:
        LedgerError: A file is missing or cannot be read, or there is no room to sort them.
    """
    import duckdb

    kinds = columns()
    if not usage:
        del kinds["usage"]
    with _room() as directory:
        database = Path(directory) / "rows.duckdb"
        connection = connect(
            str(database),
            {"memory_limit": _MEMORY, "threads": _THREADS, "temp_directory": directory},
        )
        try:
            database.unlink()  # DuckDB has it open; whoever kills us leaves nothing of it
            try:
                rows = _load(connection, files, wanted, kinds)
            except duckdb.Error as error:
                raise _unreadable(error) from error
            yield rows
        finally:
            connection.close()


def _room() -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory(prefix="tokenproxy-", ignore_cleanup_errors=True)
    except OSError as error:
        raise LedgerError(f"There is no room to read the ledger: {error}") from error


def columns() -> dict[str, str]:
    """Key of a row -> DuckDB's type, made from :class:`Row` itself."""
    return _fields(Row)


def _fields(struct: type[msgspec.Struct]) -> dict[str, str]:
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)  # noqa: S101 - for the type checker
    return {field.encode_name: _type(field.type) for field in info.fields}


def _type(info: inspect.Type) -> str:
    match info:
        case inspect.UnionType(types=types):
            (known,) = (one for one in types if not isinstance(one, inspect.NoneType))
            return _type(known)
        case inspect.VarTupleType(item_type=item):
            return f"{_type(item)}[]"
        case inspect.ListType():
            return "JSON"  # what a provider said, of whatever shape
        case inspect.DictType(key_type=key, value_type=value):
            return f"MAP({_type(key)}, {_type(value)})"
        case inspect.StructType(cls=struct):
            inner = ", ".join(f"{name} {kind}" for name, kind in _fields(struct).items())
            return f"STRUCT({inner})"
        case _:
            return _SCALARS[type(info)]


def _load(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[Path],
    wanted: Wanted,
    kinds: Mapping[str, str],
) -> Rows:
    connection.execute("SET TimeZone = 'UTC'")
    typed = ", ".join(f"{name} {kind}" for name, kind in kinds.items())
    connection.execute(f"CREATE TABLE raw ({typed})")
    skipped = read_lines(connection, files, kinds)
    connection.execute(
        f"""
        CREATE TABLE kept AS
        SELECT rowid AS line, run_id, trace_id, story_id,
          try_cast(timestamp AS TIMESTAMPTZ) AS started,
          call_id IS NULL OR trace_id IS NULL OR span_id IS NULL AS nameless
        FROM raw WHERE NOT ({is_empty(kinds)})
        QUALIFY call_id IS NULL OR row_number() OVER (
          PARTITION BY call_id ORDER BY {FULLEST}, rowid) = 1
        """  # noqa: S608 - our own words
    )
    condition, values = _condition(wanted)
    connection.execute(
        f"""
        CREATE TABLE chosen AS
        SELECT line, started, nameless, {condition} AS wanted, row_number() OVER (
          PARTITION BY run_id, trace_id, nameless ORDER BY started DESC, line DESC) = 1 AS last
        FROM kept QUALIFY bool_or({condition}) OVER (PARTITION BY run_id, trace_id)
        """,  # noqa: S608 - our own words; values are bound
        [*values, *values],
    )
    connection.execute(
        """
        CREATE TABLE plan AS
        SELECT *, row_number() OVER (ORDER BY started, line) - 1 AS n FROM chosen ORDER BY n
        """
    )
    connection.execute("DROP TABLE kept; DROP TABLE chosen")
    planned, total, nameless = connection.execute(
        "SELECT count(*), count(*) FILTER (wanted), count(*) FILTER (wanted AND nameless) FROM plan"
    ).fetchone() or (0, 0, 0)
    return Rows(connection, int(planned), int(total), int(nameless), tuple(skipped))


def _condition(wanted: Wanted) -> tuple[str, list[Any]]:
    """SQL over ``kept``, true or false but never NULL, and its values."""
    terms: list[str] = []
    values: list[Any] = []
    for moment, comparison in ((wanted.since, ">="), (wanted.until, "<")):
        if moment is not None:
            terms.append(f"started {comparison} ?")
            values.append(moment)
    if wanted.runs:
        terms.append(f"({' OR '.join('starts_with(run_id, ?)' for _ in wanted.runs)})")
        values.extend(wanted.runs)
    if wanted.story is not None:
        terms.append("story_id = ?")
        values.append(wanted.story)
    return f"coalesce({' AND '.join(terms) or 'true'}, false)", values


def _unreadable(error: Exception) -> LedgerError:
    return LedgerError(f"The ledger cannot be read: {first_line(error)}")
