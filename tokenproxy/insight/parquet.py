"""A ledger as Parquet: every key of the row a column of its type.

``timestamp`` is a moment (UTC), ``labels`` and ``server_tool_use`` are maps, ``parts``,
``tool_durations`` and ``notes`` lists; ``usage``, the provider's own words, is JSON as
text. What a row does not know is NULL. Rows lie in the order of the ledger.

Files appear whole or not at all: they are written beside their place and then renamed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tokenproxy.insight.query import LedgerError, first_line
from tokenproxy.insight.rows import Rows, columns

DAY = "day"
"""The key of a directory's partitions: ``day=2026-11-22``, of UTC."""

_CONVERTED = {
    "timestamp": "started AS timestamp",
    "usage": "CAST(raw.usage AS VARCHAR) AS usage",
}
_DAY = "strftime(started, '%Y-%m-%d')"
_ROWS_A_GROUP = 20_480
"""Held in memory until they are written; as many as DuckDB reads at a time, ten times."""


class CannotWriteError(Exception):
    """The file cannot be made; the message is one sentence."""


def write_parquet(rows: Rows, output: Path, *, by_day: bool, force: bool) -> None:
    """Write the wanted rows, whatever tool made them.

    Args:
        rows: Opened with ``usage``.
        output: The file, or the directory of ``day=YYYY-MM-DD`` directories.
        by_day: It is a directory.
        force: Replace what is there; of a directory only what was written by this.

    Raises:
        CannotWriteError: Something is there already, or it cannot be written.
        LedgerError: The rows cannot be read.
    """
    import duckdb

    check_output(output, by_day=by_day, force=force)
    output = output.resolve()
    try:
        with _beside(output) as draft:
            if by_day:
                draft.mkdir()
                for day, name in _days(rows):
                    (draft / name).mkdir()
                    _copy(
                        rows,
                        draft / name / "data_0.parquet",
                        f"{_DAY} IS NOT DISTINCT FROM ?",
                        [day],
                    )
            else:
                _copy(rows, draft, "true", [])
            _sync(draft)
            _put(draft, output)
    except OSError as error:
        raise CannotWriteError(f"{output} cannot be written: {error.strerror or error}") from error
    except duckdb.Error as error:
        raise LedgerError(f"{output} cannot be written: {first_line(error)}") from error


def _days(rows: Rows) -> list[tuple[str | None, str]]:
    """Each day and the name of its directory; Hive's own where a row has no time."""
    found = rows.connection.execute(
        f"SELECT DISTINCT {_DAY} FROM plan WHERE wanted ORDER BY ALL"  # noqa: S608 - our own words
    ).fetchall()
    return [(day, f"{DAY}={day or '__HIVE_DEFAULT_PARTITION__'}") for (day,) in found]


def _copy(rows: Rows, file: Path, condition: str, values: Sequence[Any]) -> None:
    """Write the wanted rows of which this holds; nothing is sorted, so little is held."""
    select = ", ".join(_CONVERTED.get(name, f"raw.{name}") for name in columns())
    where, bound = rows.within(f"wanted AND {condition}", values)
    place = str(file).replace("'", "''")
    rows.connection.execute(
        f"COPY (SELECT {select} FROM plan JOIN raw ON raw.rowid = line WHERE {where})"  # noqa: S608 - our own words; a quote in the path is doubled
        f" TO '{place}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROWS_A_GROUP})",
        bound,
    )


def check_output(output: Path, *, by_day: bool, force: bool) -> None:
    """Say what stands in the way before the ledger is read.

    Raises:
        CannotWriteError: It cannot be written there.
    """
    parent = output.resolve().parent
    if not parent.is_dir():
        raise CannotWriteError(f"there is no directory {parent} to write to")
    if output.is_dir() and not by_day:
        raise CannotWriteError(f"{output} is a directory: end it with / for a file a day")
    if by_day and output.exists() and not output.is_dir():
        raise CannotWriteError(f"{output} is a file: leave out the / at its end")
    if by_day and output.is_dir():
        try:
            found = [one.name for one in output.iterdir()]
        except OSError as error:
            raise CannotWriteError(f"{output} cannot be read: {error.strerror}") from error
        foreign = sorted(name for name in found if not name.startswith(f"{DAY}="))
        if foreign:
            raise CannotWriteError(
                f"{output} holds other files ({foreign[0]}): name a directory of its own"
            )
        if not found:
            return
    if output.exists() and not force:
        raise CannotWriteError(f"{output} exists already: --force replaces it")


@contextmanager
def _beside(output: Path) -> Iterator[Path]:
    """A place on the same file system for what is not whole yet."""
    directory = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    try:
        yield directory / output.name
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _put(draft: Path, output: Path) -> None:
    """Make the draft the output. Of a directory there is a moment without one."""
    if draft.is_file() or not output.is_dir():
        draft.replace(output)
        return
    old = draft.with_name("replaced")
    output.rename(old)
    try:
        draft.rename(output)
    except OSError:
        old.rename(output)
        raise


def _sync(draft: Path) -> None:
    """On the disk before it gets its name: a crash must not leave an empty file of that name."""
    for file in draft.rglob("*") if draft.is_dir() else (draft,):
        if file.is_file():
            descriptor = os.open(file, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
