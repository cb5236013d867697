"""A file's lines as records of a table, by DuckDB; by Python those that DuckDB cannot read.

What is read and what is mended is told in :mod:`tokenproxy.insight.query`.
"""

from __future__ import annotations

import gzip
import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from tokenproxy.insight.columns import COLUMNS

if TYPE_CHECKING:
    import duckdb

_BARE_FRACTION = re.compile(rb"([:\[,]\s*-?)\.(\d)")


def is_empty(columns: Mapping[str, str]) -> str:
    """SQL: whether a record of ``raw`` is a line that was no row."""
    return " AND ".join(f"{name} IS NULL" for name in columns)


def append_lines(
    connection: duckdb.DuckDBPyConnection, file: Path, columns: Mapping[str, str], keep: str
) -> None:
    """Add the file's lines to the table ``raw`` in their order; blank ones leave no record.

    Args:
        connection: Where the table is.
        file: Of lines, or a FIFO, or compressed (``.gz``).
        columns: Keys of a row to read, and their types.
        keep: SQL over ``columns`` of what the table has.
    """
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
            for number, line in enumerate(lines, 1):
                if line.isspace():
                    continue
                ordinal += 1
                if ordinal not in ordinals:
                    continue
                row = mend_line(line)
                if row is not None:
                    out.write(json.dumps(row).encode() + b"\n")
                elif line.endswith(b"\n"):
                    bad.append(number)
        if mended.stat().st_size:
            if keep:  # a row, even one that has a value in none of ``columns``
                what = f"{keep.rpartition(',')[0]}, NOT ({is_empty(COLUMNS)}) AS is_row"
                append_lines(connection, mended, COLUMNS, what)
            else:
                append_lines(connection, mended, columns, "*")
    return bad


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
    return cast("BinaryIO", gzip.open(file)) if file.suffix == ".gz" else file.open("rb")
