"""The ledger as a table to ask: DuckDB, in memory, with no network and no guessing.

Reading is tolerant, because the file is older than we are and outlives crashes:

* Columns and types are stated, never inferred; a missing key is NULL, a value of
  the wrong type is NULL, a key that is not listed is not read.
* A line that is not JSON becomes an empty record. Those few are read again in
  Python: the ancestor's numbers without a leading zero (``.060000``) and broken
  UTF-8 are mended, what is left is counted and told by line number. A last line
  without a newline is still being written and is passed over in silence.
* A call_id that stands twice (a replayed journal) counts once, in the fullest form.

A ledger may have millions of lines, so only what a question needs is read and kept, in
memory or in a file (:mod:`tokenproxy.insight.database`).
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tokenproxy.insight.cached_lines import append_cached
from tokenproxy.insight.column_cache import open_cache
from tokenproxy.insight.columns import COLUMNS
from tokenproxy.insight.database import Way, ask, bound_questions, no_room, open_way, ways
from tokenproxy.insight.raw_lines import append_lines, is_empty, mend_lines

if TYPE_CHECKING:
    import duckdb

SPENT = "coalesce(provider_cost_usd, cost_usd)"
"""SQL over ``calls``: what a call adds to a sum of money, as ``Row.spent_usd``."""

FULLEST = "list_position(['final', 'partial', 'none'], completeness) NULLS LAST"
"""SQL: the order of rows with one call_id; the first is the one that counts."""

STARTED = "try_cast(timestamp AS TIMESTAMPTZ)"
"""SQL over a line: when the call started."""
_ALL = {**{name: name for name in COLUMNS}, "started": STARTED}
_OWN = {"call_id": "call_id", "fullness": FULLEST.removesuffix(" NULLS LAST")}
"""What tells the rows of a call and which of them counts, unless the asker has it otherwise."""


class LedgerError(Exception):
    """A ledger that cannot be read; the message is one sentence for the user."""


class Skipped(msgspec.Struct, frozen=True):
    """Lines of one file that are no ledger rows."""

    file: str
    lines: tuple[int, ...]
    """Counted from 1."""

    def __str__(self) -> str:
        shown = ", ".join(map(str, self.lines[:10])) + (", ..." if len(self.lines) > 10 else "")  # noqa: PLR2004 - as many as one line holds
        if len(self.lines) == 1:
            return f"{self.file}: line {shown} is not a ledger row and was skipped"
        return f"{self.file}: {len(self.lines)} lines are not ledger rows and were skipped: {shown}"


class Ledger(msgspec.Struct, frozen=True):
    """Ledger files read into ``calls``: what was to be kept of each call, and its ``id``."""

    connection: duckdb.DuckDBPyConnection
    files: tuple[str, ...]
    kept: frozenset[str]
    """Names of what was to be kept."""
    rows: int
    """Calls, each once."""
    skipped: tuple[Skipped, ...] = ()

    def ask(self, sql: str, parameters: Mapping[str, str]) -> list[tuple[Any, ...]]:
        """The answer's records."""
        return ask(self.connection, sql, parameters)


@contextmanager
def open_ledger(
    files: Sequence[Path], keep: Mapping[str, str] | None = None, cache: Path | None = None
) -> Iterator[Ledger]:
    """Read the files, oldest first where they are one ledger rotated.

    Args:
        files: To be added up.
        keep: Name -> SQL over ``COLUMNS``: what to keep of a call. Default: all of them as
            they are, and ``started``.
        cache: Where the beginnings of large ledgers are kept
            (:mod:`tokenproxy.insight.column_cache`); None: read all of them.

    Raises:
        LedgerError: A file is missing or cannot be read.
    """
    import duckdb

    keep = {**_OWN, **(keep or _ALL)}
    with contextlib.ExitStack() as stack:
        room = _room(stack)
        kept = None if cache is None or room is None else (cache, room)
        possible = ways(files, room)
        for way in possible:
            try:
                ledger = stack.enter_context(_opened(way, room, files, keep, kept))
                break
            except duckdb.Error as error:
                if way is possible[-1] or not no_room(error):
                    raise LedgerError(f"The ledger cannot be read: {first_line(error)}") from error
        yield ledger


def _room(stack: contextlib.ExitStack) -> Path | None:
    """A directory for the time being; None where none can be written to: a read-only container."""
    try:
        made = tempfile.TemporaryDirectory(prefix="tokenproxy-", ignore_cleanup_errors=True)
    except OSError:
        return None
    return Path(stack.enter_context(made))


@contextmanager
def _opened(
    way: Way,
    room: Path | None,
    files: Sequence[Path],
    keep: Mapping[str, str],
    cache: tuple[Path, Path] | None,
) -> Iterator[Ledger]:
    """Read the files in one of the ways.

    Raises:
        duckdb.Error: They cannot be read so.
    """
    with open_way(way, room) as connection:
        skipped = _load(connection, files, keep, cache)
        bound_questions(connection, way)
        yield Ledger(
            connection=connection,
            files=tuple(map(str, files)),
            kept=frozenset(keep),
            rows=_choose(connection, by_digest=keep["call_id"] != "call_id"),
            skipped=tuple(skipped),
        )


def _load(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[Path],
    keep: Mapping[str, str],
    cache: tuple[Path, Path] | None,
) -> list[Skipped]:
    """Read into ``raw``."""
    words = set(re.findall(r"\w+", " ".join(keep.values())))
    columns = {name: kind for name, kind in COLUMNS.items() if name in words}
    kept = ", ".join(f"{sql} AS {name}" for name, sql in keep.items())
    connection.execute(
        f"CREATE TABLE raw AS SELECT {kept}, true AS is_row"  # noqa: S608 - our own words
        f" FROM (SELECT {', '.join(f'NULL::{kind} AS {name}' for name, kind in COLUMNS.items())})"
        " LIMIT 0"
    )
    kept += f", NOT ({is_empty(columns)}) AS is_row"
    return read_lines(connection, files, columns, kept, cache)


def _choose(connection: duckdb.DuckDBPyConnection, *, by_digest: bool) -> int:
    """Make ``calls`` of the rows that count; how many they are."""
    ((twice,),) = ask(
        connection,
        # Equal ids have equal hashes. Should different ones too, they are looked at in vain.
        "SELECT count(call_id) <> count(DISTINCT hash(call_id)) FILTER (call_id IS NOT NULL)"
        " FROM raw",
    )
    if twice:
        ask(
            connection,
            """
            DELETE FROM raw WHERE rowid IN (
              SELECT line FROM (
                SELECT rowid AS line, row_number() OVER (
                  PARTITION BY call_id ORDER BY fullness NULLS LAST, rowid) AS place
                FROM raw WHERE is_row AND call_id IN (
                  SELECT call_id FROM raw WHERE is_row GROUP BY call_id HAVING count(*) > 1))
              WHERE place > 1)
            """,
        )
    line = "rowid::UHUGEINT" if by_digest else "'line ' || rowid"
    connection.execute(
        "CREATE VIEW calls AS SELECT * EXCLUDE (is_row, fullness),"  # noqa: S608 - our own words
        f" coalesce(call_id, {line}) AS id FROM raw WHERE is_row"
    )
    ((rows,),) = ask(connection, "SELECT count(*) FROM calls")
    return int(rows)


def read_lines(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[Path],
    columns: Mapping[str, str],
    keep: str = "",
    cache: tuple[Path, Path] | None = None,
) -> list[Skipped]:
    """Read the files' lines into the table ``raw``. A line that is no row is told.

    Args:
        connection: Where the table is.
        files: One after the other.
        columns: Keys of a row to read, and their types.
        keep: SQL over ``columns`` of what the table has. The last must be ``is_row``: false for
            a line that is no row. Default: ``columns`` as they are; such a line then leaves an
            empty record (:func:`is_empty`).
        cache: Where the beginnings of ledgers are kept, and a directory for the time being.

    Raises:
        LedgerError: A file is missing or cannot be read.
    """
    skipped = []
    for file in files:
        if file.exists() and not (file.is_file() or file.is_fifo()):  # a device never ends
            raise LedgerError(f"The ledger {file} is not a regular file.")
        check_readable(file)
        before = _count(connection, "SELECT count(*) FROM raw")
        if cache is None or not _append_cached(connection, file, columns, keep, cache):
            append_lines(connection, file, columns, keep or "*")
        no_row = "NOT is_row" if keep else is_empty(columns)
        unread = connection.execute(
            f"SELECT rowid - ? FROM raw WHERE rowid >= ? AND {no_row} ORDER BY rowid",  # noqa: S608 - our own words
            [before, before],
        ).fetchall()
        if unread:
            ordinals = {int(ordinal) for (ordinal,) in unread}
            try:
                bad = mend_lines(connection, file, ordinals, columns, keep)
            except OSError as error:
                raise LedgerError(
                    f"Some lines of {file} are to be mended and cannot be: "
                    f"{error.strerror or error}. TMPDIR names a directory for that."
                ) from error
            if bad:
                skipped.append(Skipped(str(file), tuple(bad)))
    return skipped


def check_readable(file: Path) -> None:
    """Say what is wrong with the file before DuckDB does, in words of ours.

    Raises:
        LedgerError: It is missing or cannot be opened.
    """
    try:
        with file.open("rb"):
            pass
    except FileNotFoundError:
        raise LedgerError(
            f"There is no ledger at {file}: record calls with `tokenproxy run -- COMMAND`, "
            "or name another file with --ledger"
        ) from None
    except IsADirectoryError:
        raise LedgerError(f"{file} is a directory: name the ledger file itself") from None
    except OSError as error:
        raise LedgerError(f"The ledger {file} cannot be read: {error.strerror}") from None


def _append_cached(
    connection: duckdb.DuckDBPyConnection,
    file: Path,
    columns: Mapping[str, str],
    keep: str,
    cache: tuple[Path, Path],
) -> bool:
    """As :func:`append_lines`, from what is kept of the file; False if that is nothing."""
    if not file.is_file() or file.suffix == ".gz":
        return False
    directory, room = cache
    with open_cache(directory, file) as kept:
        return kept is not None and append_cached(connection, kept, columns, keep or "*", room)


def _count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def first_line(error: Exception) -> str:
    """What DuckDB says, without where in the SQL."""
    return str(error).strip().partition("\n")[0]
