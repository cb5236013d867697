"""Parquet holds what the ledger holds: every column, every sum."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.insight.rows import Row, failed, legacy, row, write
from tokenproxy.insight.parquet import CannotWriteError, check_output, write_parquet
from tokenproxy.insight.query import LedgerError
from tokenproxy.insight.rows import Wanted, columns, open_rows

FULL: Row = row(
    "a",
    trace_id="a" * 32,
    span_id="b" * 16,
    labels={"team": "blue", "it's": 'a "quote"'},
    server_tool_use={"web_search_requests": 2},
    tool_durations=[{"name": "Bash", "duration_ms": 1.5}],
    parts=[{"model": "m", "input_tokens": 3, "cost_usd": 0.5}, {"model": "n", "billable": False}],
    notes=["x", "y"],
    attempt=0,
    stream=False,
    ttft_ms=12.5,
    provider_cost_usd=0.25,
    reasoning_output_tokens=7,
)
ROWS = [
    FULL,
    row("b", timestamp="2026-11-23T23:59:59.999Z", cost_usd=0.1, labels={"team": "red"}),
    failed("c", timestamp="2026-11-24T00:00:00.000Z"),
    legacy(timestamp="2026-11-22T12:00:00Z", cost_usd=1e-9),
]


def made(tmp_path: Path, rows: list[Any], *, by_day: bool = False, **more: Any) -> Path:
    ledger, output = write(tmp_path / "l.jsonl", rows), tmp_path / "out"
    with open_rows([ledger], Wanted(**more), usage=True) as opened:
        write_parquet(opened, output, by_day=by_day, force=False)
    return output


def ask(output: Path, sql: str) -> list[Any]:
    """The answer of DuckDB, to which the file or directory is the table ``t``."""
    files = str(output / "*" / "*.parquet") if output.is_dir() else str(output)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.read_parquet(files, hive_partitioning=output.is_dir()).create_view("t")
        return connection.execute(sql).fetchall()


def test_every_row_comes_back(tmp_path: Path) -> None:
    output = made(tmp_path, [*ROWS, b"broken\n", ROWS[0]])
    found = ask(output, "SELECT to_json(t) FROM t")
    assert len(found) == len(ROWS)
    for (text,), expected in zip(found, ROWS, strict=True):
        again = {k: v for k, v in json.loads(text).items() if v is not None}
        for key in ("parts", "tool_durations"):
            if key in again:
                again[key] = [{k: v for k, v in p.items() if v is not None} for p in again[key]]
        if "usage" in again:
            again["usage"] = json.loads(again["usage"])
        again.pop("timestamp")
        assert again == {k: v for k, v in expected.items() if k != "timestamp"}


def test_the_sums_of_all_columns(tmp_path: Path) -> None:
    output = made(tmp_path, ROWS)
    for name, kind in columns().items():
        stated = [one[name] for one in ROWS if one.get(name) is not None]
        aggregate = {"BIGINT": "sum", "DOUBLE": "fsum", "BOOLEAN": "sum"}.get(kind)
        what = f"{aggregate}({name})" if aggregate else "NULL"
        ((count, total),) = ask(output, f"SELECT count({name}), {what} FROM t")  # noqa: S608 - our own names
        assert count == len(stated), name
        if aggregate:
            assert total == (pytest.approx(sum(stated)) if stated else None), name


def test_the_types_are_those_of_the_schema(tmp_path: Path) -> None:
    output = made(tmp_path, ROWS)
    found = {name: kind for name, kind, *_ in ask(output, "DESCRIBE SELECT * FROM t")}
    expected = columns() | {"timestamp": "TIMESTAMP WITH TIME ZONE", "usage": "VARCHAR"}
    # DuckDB puts some names of a struct's fields in quotes.
    assert {name: kind.replace('"', "") for name, kind in found.items()} == expected
    ((moment, team),) = ask(
        output, "SELECT epoch_ms(timestamp), labels['team'] FROM t WHERE call_id = 'b'"
    )
    assert (moment, team) == (1_795_478_399_999, "red")


def test_a_file_a_day(tmp_path: Path) -> None:
    output = made(tmp_path, ROWS, by_day=True)
    assert sorted(one.name for one in output.iterdir()) == [
        "day=2026-11-22",
        "day=2026-11-23",
        "day=2026-11-24",
    ]
    found = ask(output, "SELECT day::VARCHAR, count(*) FROM t GROUP BY ALL ORDER BY ALL")
    assert found == [("2026-11-22", 2), ("2026-11-23", 1), ("2026-11-24", 1)]


def test_only_the_chosen_rows(tmp_path: Path) -> None:
    output = made(tmp_path, [FULL, row("b", story_id="other")], story="other")
    assert ask(output, "SELECT call_id FROM t") == [("b",)]


def test_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    output = tmp_path / "out"
    output.write_text("mine")
    with pytest.raises(CannotWriteError, match="exists already: --force replaces it"):
        made(tmp_path, ROWS)
    assert output.read_text() == "mine"
    with open_rows([tmp_path / "l.jsonl"], Wanted(), usage=True) as rows:
        write_parquet(rows, output, by_day=False, force=True)
    assert ask(output, "SELECT count(*) FROM t") == [(4,)]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["l.jsonl", "out"]


def test_a_directory_is_replaced_as_a_whole(tmp_path: Path) -> None:
    output = made(tmp_path, ROWS, by_day=True)
    with open_rows([write(tmp_path / "l.jsonl", ROWS[2:3])], Wanted(), usage=True) as rows:
        with pytest.raises(CannotWriteError, match="exists already"):
            write_parquet(rows, output, by_day=True, force=False)
        write_parquet(rows, output, by_day=True, force=True)
    assert [one.name for one in output.iterdir()] == ["day=2026-11-24"]


def test_an_empty_directory_is_free(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert len(list(made(tmp_path, ROWS, by_day=True).iterdir())) == 3


@pytest.mark.parametrize("force", [True, False])
def test_a_directory_of_somebody_elses_is_left_alone(tmp_path: Path, *, force: bool) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").touch()
    with pytest.raises(CannotWriteError, match=r"holds other files \(thesis.tex\)"):
        check_output(tmp_path / "out", by_day=True, force=force)


def test_places_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotWriteError, match="is a directory: end it with /"):
        check_output(tmp_path, by_day=False, force=True)
    with pytest.raises(CannotWriteError, match="is a file: leave out the /"):
        check_output(tmp_path / "file", by_day=True, force=True)
    with pytest.raises(CannotWriteError, match="there is no directory"):
        check_output(tmp_path / "none" / "f", by_day=False, force=False)


def test_a_quote_in_its_name(tmp_path: Path) -> None:
    ledger = write(tmp_path / "l.jsonl", ROWS)
    with open_rows([ledger], Wanted(), usage=True) as rows:
        write_parquet(rows, tmp_path / "it's.parquet", by_day=False, force=False)
    assert (tmp_path / "it's.parquet").stat().st_size


def test_what_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tokenproxy.insight.parquet._sync", full)
    with pytest.raises(CannotWriteError, match="cannot be written: No space left on device"):
        made(tmp_path, ROWS)
    assert [one.name for one in tmp_path.iterdir()] == ["l.jsonl"]
    monkeypatch.undo()
    monkeypatch.setattr("tokenproxy.insight.parquet._copy", lambda *_: duckdb.sql("SELECT x"))
    with pytest.raises(LedgerError, match="cannot be written: Binder Error"):
        made(tmp_path, ROWS)
