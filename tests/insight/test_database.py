"""A large ledger is read into a file, and answers as one that is held in memory."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.insight.rows import failed, legacy, row, write
from tokenproxy.insight import database
from tokenproxy.insight.database import Way, another, connect, open_way, ways
from tokenproxy.insight.ledger_engine import needed
from tokenproxy.insight.query import LedgerError, open_ledger
from tokenproxy.insight.question import Choice, dimension
from tokenproxy.insight.report import make_report

BY = [dimension("day"), dimension("model")]
LINES: list[Any] = [
    *(row(f"c{number % 50}", cost_usd=number / 8) for number in range(120)),
    *(row(f"c{number}", completeness="partial", output_tokens=1) for number in range(40, 60)),
    b"{torn\n",
    b"\n",
    failed("f"),
    legacy(),
    legacy(cost_usd=None),
    b'{"cost_usd": .5}\n',
]


def ask(path: Path) -> Any:
    with open_ledger([path], needed(BY, Choice())) as ledger:
        (where,) = ledger.connection.execute("SELECT current_database()").fetchone() or ("",)
        return where, (ledger.rows, ledger.skipped, make_report(ledger, BY))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "l.jsonl", LINES)


def test_a_file_answers_as_memory_does(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where, plain = ask(path)
    assert (where, plain[0]) == ("memory", 64)
    monkeypatch.setattr(database, "_LARGE", 1000)
    assert ask(path) == ("rows", plain)


@pytest.mark.parametrize("error", [duckdb.IOException, duckdb.OutOfMemoryException])
def test_where_a_file_cannot_be_written_memory_does(
    path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    _, plain = ask(path)
    monkeypatch.setattr(database, "_LARGE", 1000)
    tried = []

    def full(name: str = ":memory:", config: Any = None) -> Any:
        tried.append("memory_limit" in config)
        if name != ":memory:":
            raise error("no space left on device")
        return connect(name, config)

    monkeypatch.setattr(database, "connect", full)
    assert ask(path) == ("memory", plain)
    assert tried == [True, False, False]


def test_what_no_way_can_read_is_told_at_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def broken(*words: Any) -> Any:
        tried.append(words)
        raise duckdb.InvalidInputException("not so\nmore")

    monkeypatch.setattr(database, "connect", broken)
    with pytest.raises(LedgerError, match=r"^The ledger cannot be read: not so$"):
        ask(path)
    assert len(tried) == 1


def test_a_packed_ledger_is_larger_than_it_looks(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = tmp_path / "l.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    monkeypatch.setattr(database, "_LARGE", packed.stat().st_size * 2)
    assert ask(packed)[0] == "rows"
    assert [way.bounded for way in ways([tmp_path / "gone"], tmp_path)] == [True, False]


def test_nothing_of_a_database_is_left(tmp_path: Path) -> None:
    room = tmp_path / "room"
    room.mkdir()
    with open_way(Way(str(room / "rows.duckdb"), bounded=True), room) as connection:
        connection.execute("CREATE TABLE t AS SELECT range FROM range(10)")
        # Not even while it is there: whoever is killed removes nothing.
        assert not (room / "rows.duckdb").exists()
        connection.execute("DELETE FROM t WHERE range < 3")
        connection.execute("CHECKPOINT")
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (7,)
    assert list(room.iterdir()) == []


def test_no_connection_shows_on_stdout_how_far_it_is() -> None:
    with connect() as connection, another(connection) as other:
        for each in (connection, other):
            shown = each.execute("SELECT current_setting('enable_progress_bar')").fetchone()
            assert shown == (False,)
        other.execute("CREATE TABLE t AS SELECT 7 AS n")
        assert connection.execute("SELECT n FROM t").fetchone() == (7,)


def test_where_no_directory_can_be_written_memory_does(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read-only container reads its ledger all the same, unless there is something to mend."""
    whole = write(tmp_path / "whole.jsonl", [row(f"c{number}") for number in range(9)])
    plain = ask(whole)
    monkeypatch.setattr(database, "_LARGE", 1000)

    def read_only(*_: object, **__: object) -> None:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "TemporaryDirectory", read_only)
    assert ask(whole) == plain
    with open_ledger([whole], needed(BY, Choice()), tmp_path / "cache") as ledger:
        assert ledger.rows == 9
    with pytest.raises(LedgerError, match=r"to be mended .* TMPDIR"):
        ask(path)
