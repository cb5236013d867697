"""A file's lines as records of a table, by DuckDB; by Python those that DuckDB cannot read.

What is read and what is mended is told in :mod:`tokenproxy.insight.query`.
"""

from __future__ import annotations

import gzip
import json
import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from tokenproxy.insight.columns import COLUMNS
from tokenproxy.record.ledger import raw_lines

if TYPE_CHECKING:
    import duckdb

_LONGEST = 16 * 2**20
"""Bytes of a line that DuckDB reads; with a longer one it reads nothing of the file."""

_BUFFER = 2**20
"""Bytes read at once: lines of a kilobyte come three times as fast as with the default."""

_BARE_FRACTION = re.compile(rb"([:\[,]\s*-?)\.(\d)")


def is_empty(columns: Mapping[str, str]) -> str:
    """SQL: whether a record of ``raw`` is a line that was no row."""
    return " AND ".join(f"{name} IS NULL" for name in columns)


def append_lines(
    connection: duckdb.DuckDBPyConnection, file: Path, columns: Mapping[str, str], keep: str
) -> None:
    """Add the file's lines to the table ``raw`` in their order; blank ones leave no record.

    One that is too long for DuckDB leaves an empty record, as one that it cannot read.

    Args:
        connection: Where the table is.
        file: Of lines, or a FIFO, or compressed (``.gz``).
        columns: Keys of a row to read, and their types.
        keep: SQL over ``columns`` of what the table has.
    """
    import duckdb

    try:
        _append(connection, file, columns, keep)
    except duckdb.InvalidInputException as error:
        if "maximum_object_size" not in str(error) or file.is_fifo():
            raise
        with tempfile.TemporaryDirectory(prefix="tokenproxy-") as directory:
            short = Path(directory) / "short.jsonl"
            try:
                _leave_out_long(file, short)
            except OSError:  # no room for a copy
                raise error from None
            _append(connection, short, columns, keep)


def _append(
    connection: duckdb.DuckDBPyConnection, file: Path, columns: Mapping[str, str], keep: str
) -> None:
    # An absolute path is never taken for a URL; what globs is quoted.
    path = re.sub(r"([*?\[])", r"[\1]", str(file.absolute()))
    typed = ", ".join(f"{name}: '{kind}'" for name, kind in columns.items())
    connection.execute(
        f"INSERT INTO raw SELECT {keep} FROM read_json([?], format='newline_delimited', "  # noqa: S608 - our own words
        f"columns={{{typed}}}, ignore_errors=true)",
        [path],
    )


def mend_lines(
    connection: duckdb.DuckDBPyConnection,
    file: Path,
    ordinals: set[int],
    columns: Mapping[str, str],
    keep: str,
) -> list[int]:
    """Read the lines again that DuckDB could not.

    Args:
        connection: As of :func:`append_lines`, and so are the others.
        file: The same.
        ordinals: Which of its lines that are not blank, from 0.
        columns: The same.
        keep: The same, or "".

    Returns:
        Numbers of those that nobody can read, from 1.
    """
    bad = []
    with tempfile.TemporaryDirectory(prefix="tokenproxy-") as directory:
        mended = Path(directory) / "mended.jsonl"
        with mended.open("wb") as out, _open(file) as lines:
            ordinal = -1
            last = max(ordinals, default=-1)
            for number, line in enumerate(raw_lines(lines), 1):
                if line is not None and line.isspace():
                    continue
                ordinal += 1
                if ordinal in ordinals:
                    row = None if line is None else mend_line(line)
                    mend = None if row is None else _encoded(row, COLUMNS if keep else columns)
                    if mend is not None and len(mend) <= _LONGEST:
                        out.write(mend)
                    elif mend is not None or line is None or line.endswith(b"\n"):
                        bad.append(number)
                if ordinal == last:
                    break
        if mended.stat().st_size:
            if keep:  # a row, even one that has a value in none of ``columns``
                what = f"{keep.rpartition(',')[0]}, NOT ({is_empty(COLUMNS)}) AS is_row"
                append_lines(connection, mended, COLUMNS, what)
            else:
                append_lines(connection, mended, columns, "*")
    return bad


def _encoded(row: Mapping[str, Any], keys: Iterable[str]) -> bytes:
    """What is read of the row, as a line."""
    return json.dumps({key: row[key] for key in keys if key in row}).encode() + b"\n"


def _leave_out_long(file: Path, short: Path) -> None:
    """Copy the lines, with a word that is no row in the place of each long one."""
    with _open(file) as lines, short.open("wb") as out:
        for line in raw_lines(lines):
            out.write(line if line is not None and len(line) <= _LONGEST else b"0\n")


def mend_line(line: bytes) -> dict[str, Any] | None:
    """The row on a line that is not quite JSON; None if it is no row."""
    for candidate in (line, _BARE_FRACTION.sub(rb"\g<1>0.\2", line)):
        try:
            row = json.loads(
                candidate.decode(errors="replace"), strict=False, parse_constant=lambda _: None
            )
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict) and any(row.get(name) is not None for name in COLUMNS):
            return row
    return None


def _open(file: Path) -> BinaryIO:
    if file.suffix == ".gz":
        return cast("BinaryIO", gzip.open(file))
    return file.open("rb", buffering=_BUFFER)
