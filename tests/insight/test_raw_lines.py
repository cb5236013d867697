"""Lines that DuckDB cannot read are read again, or told."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.insight.rows import row, write
from tokenproxy.insight import raw_lines
from tokenproxy.insight.ledger_engine import needed
from tokenproxy.insight.query import LedgerError, open_ledger
from tokenproxy.insight.question import Choice, dimension
from tokenproxy.insight.rows import Wanted, open_rows

BY = [dimension("model")]
TOO_LONG = 34 * 2**20
"""Bytes that DuckDB does not read as a line."""


def ask(path: Path) -> tuple[int, list[int]]:
    with open_ledger([path], needed(BY, Choice())) as ledger:
        return ledger.rows, [number for one in ledger.skipped for number in one.lines]


@pytest.mark.parametrize("name", ["l.jsonl", "l.jsonl.gz"])
def test_a_line_that_is_too_long_costs_no_other(tmp_path: Path, name: str) -> None:
    plain = write(
        tmp_path / "plain",
        [row("a"), b"\n", b"\0" * TOO_LONG + b"\n", row("b"), row("long", notes=["x" * TOO_LONG])],
    )
    path = tmp_path / name
    content = plain.read_bytes() + b'{"cost_usd": .5}\n{"torn'
    path.write_bytes(gzip.compress(content, 1) if path.suffix == ".gz" else content)
    assert ask(path) == (4, [3])
    with open_rows([path], Wanted()) as rows:
        # All keys are read here, and one of them alone is too long.
        assert (rows.wanted, [one.lines for one in rows.skipped]) == (3, [(3, 5)])


def test_one_that_nobody_holds_in_memory_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tokenproxy.record.lines.LONGEST_LINE", 2**20)
    long = json.dumps(row("long", notes=["x" * TOO_LONG])).encode()
    path = write(tmp_path / "l.jsonl", [row("a"), long + b"\n", row("b"), long])
    assert ask(path) == (2, [2, 4])


def test_where_there_is_no_room_for_a_copy_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(raw_lines, "_leave_out_long", full)
    path = write(tmp_path / "l.jsonl", [b"\0" * TOO_LONG + b"\n", row("b")])
    with pytest.raises(LedgerError, match="maximum_object_size") as caught:
        ask(path)
    assert isinstance(caught.value.__cause__, duckdb.InvalidInputException)


def test_only_as_many_lines_are_read_again_as_must(tmp_path: Path) -> None:
    path = write(tmp_path / "l.jsonl", [b"\n", row("a"), b"{torn\n", row("b")])
    with duckdb.connect() as connection:
        bad = raw_lines.mend_lines(connection, path, {1}, {"model": "VARCHAR"}, "")
    assert bad == [3]
