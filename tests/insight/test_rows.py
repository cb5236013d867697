from __future__ import annotations

import gzip
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.insight.rows import RUN, Row, failed, legacy, row, write
from tokenproxy.insight.columns import COLUMNS
from tokenproxy.insight.query import LedgerError
from tokenproxy.insight.rows import Stored, Wanted, columns, open_rows

REPO = Path(__file__).parents[2]
IDS = {"trace_id": "a" * 31 + "1", "span_id": "b" * 15 + "1"}


def at(second: int) -> str:
    return f"2026-11-22T00:00:{second:02d}.000Z"


def told(path: Path, wanted: Wanted | None = None) -> list[Stored]:
    with open_rows([path], wanted or Wanted()) as rows:
        return list(rows)


def ids(found: list[Stored], *, wanted: bool = True) -> list[str]:
    return [one.row["call_id"] for one in found if one.wanted is wanted]


def test_every_key_of_the_schema_has_its_type() -> None:
    kinds = columns()
    published = json.loads((REPO / "docs" / "ledger.schema.json").read_text())
    assert list(kinds) == list(published["properties"])
    # The reports read fewer keys of a part.
    assert {name: kinds[name] for name in COLUMNS if name != "parts"} == {
        name: kind for name, kind in COLUMNS.items() if name != "parts"
    }
    assert kinds["labels"] == "MAP(VARCHAR, VARCHAR)"
    assert kinds["usage"] == "JSON"


def test_a_row_comes_back_whole(tmp_path: Path) -> None:
    full: Row = row(
        **IDS,
        parts=[{"model": "m", "input_tokens": 3, "server_tool_use": {"web": 1}}],
        labels={"team": "blue", "a b": "ü"},
        server_tool_use={"web_search_requests": 2},
        tool_durations=[{"name": "Bash", "duration_ms": 1.5}],
        notes=["x"],
        ttft_ms=1.25,
        stream=False,
    )
    (stored,) = told(write(tmp_path / "l", [full]))
    again = stored.row | {
        "parts": [{k: v for k, v in p.items() if v is not None} for p in stored.row["parts"]]
    }
    assert again == {name: value for name, value in full.items() if name != "usage"}


def test_they_come_by_their_start_and_once(tmp_path: Path) -> None:
    partial = row("b", **IDS, timestamp=at(2), completeness="partial")
    path = write(
        tmp_path / "l",
        [
            row("c", **IDS, timestamp=at(3)),
            partial,
            b"broken\n",
            row("a", **IDS, timestamp=at(1)),
            row("b", **IDS, timestamp=at(2), output_tokens=77),
            failed("d", **IDS, timestamp=at(4)),
        ],
    )
    with open_rows([path], Wanted()) as rows:
        found = list(rows)
        assert [skipped.lines for skipped in rows.skipped] == [(3,)]
        assert rows.wanted == 4
    assert ids(found) == ["a", "b", "c", "d"]
    assert found[1].row["output_tokens"] == 77
    assert [one.last for one in found] == [False, False, False, True]


def test_many_pages_in_any_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tokenproxy.insight.rows._PAGE", 7)
    rows = [row(f"c{second:02d}", **IDS, timestamp=at(second)) for second in range(59)]
    found = told(write(tmp_path / "l", rows[30:] + rows[29::-1]))
    assert ids(found) == [one["call_id"] for one in rows]
    assert [one.last for one in found].count(True) == 1


def test_what_belongs_to_a_wanted_row_comes_along(tmp_path: Path) -> None:
    """Turns and iterations are sums over all of their run, in one trace."""
    other = IDS | {"trace_id": "c" * 32}
    path = write(
        tmp_path / "l",
        [
            row("a", **IDS, timestamp=at(1)),
            row("b", **IDS, timestamp=at(2)),
            row("c", **IDS, timestamp=at(3)),
            row("d", **other, timestamp=at(1)),
        ],
    )
    found = told(
        path,
        Wanted(
            since=datetime(2026, 11, 22, 0, 0, 2, tzinfo=UTC),
            until=datetime(2026, 11, 22, 0, 0, 3, tzinfo=UTC),
        ),
    )
    assert ids(found) == ["b"]
    assert ids(found, wanted=False) == ["a", "c"]
    assert [one.last for one in found] == [False, False, True]


def test_by_run_and_story(tmp_path: Path) -> None:
    second = RUN[:-1] + "2"
    path = write(
        tmp_path / "l",
        [
            row("a", **IDS),
            row("b", **IDS, run_id=second),
            row("c", **IDS, run_id=second, story_id="US-8"),
        ],
    )
    assert ids(told(path, Wanted(runs=(second,)))) == ["b", "c"]
    assert ids(told(path, Wanted(runs=(RUN[:8],)))) == ["a", "b", "c"]
    assert ids(told(path, Wanted(runs=(RUN, second), story="US-7"))) == ["a", "b"]
    assert told(path, Wanted(story="US-9")) == []
    assert told(path, Wanted(runs=("%",))) == []


def test_rows_without_ids_are_counted_and_left_out(tmp_path: Path) -> None:
    path = write(
        tmp_path / "l", [legacy(), row("a", **IDS, timestamp=at(1)), row("b", timestamp=at(9))]
    )
    with open_rows([path], Wanted()) as rows:
        assert (rows.wanted, rows.nameless) == (3, 2)
        found = list(rows)
    assert ids(found) == ["a"]
    assert found[0].last


def test_a_packed_ledger(tmp_path: Path) -> None:
    packed = tmp_path / "old.jsonl.gz"
    packed.write_bytes(gzip.compress(json.dumps(row("a", **IDS)).encode() + b"\n"))
    assert ids(told(packed)) == ["a"]


def test_whoever_kills_its_reader_leaves_no_database(tmp_path: Path) -> None:
    with open_rows([write(tmp_path / "l", [row()])], Wanted()) as rows:
        (place,) = rows.connection.execute(
            "SELECT path FROM duckdb_databases() WHERE NOT internal"
        ).fetchone() or ("",)
        assert place.endswith("rows.duckdb")
        assert not Path(place).exists()
        assert rows.wanted == 1


def test_no_ledger_at_all(tmp_path: Path) -> None:
    with (
        pytest.raises(LedgerError, match="There is no ledger at"),
        open_rows([tmp_path / "none"], Wanted()),
    ):
        pass
    with open_rows([], Wanted()) as rows:
        assert (rows.wanted, list(rows)) == (0, [])


def test_no_room_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tokenproxy.insight.rows.tempfile.TemporaryDirectory", full)
    with (
        pytest.raises(LedgerError, match=r"no room to read the ledger: .*No space left"),
        open_rows([write(tmp_path / "l", [row()])], Wanted()),
    ):
        pass


def test_what_fails_in_its_use_is_not_its_own_failure(tmp_path: Path) -> None:
    path = write(tmp_path / "l", [row()])
    with pytest.raises(BrokenPipeError), open_rows([path], Wanted()):
        raise BrokenPipeError


MEASURE = """
import sys, threading, time
from pathlib import Path
import duckdb, psutil
from tokenproxy.insight.rows import Wanted, open_rows
process = psutil.Process()
before = peak = process.memory_info().rss
over = threading.Event()
def watch():
    global peak
    while not over.wait(0.01):
        peak = max(peak, process.memory_info().rss)
watcher = threading.Thread(target=watch)
watcher.start()
with open_rows([Path(sys.argv[1])], Wanted()) as rows:
    count = sum(1 for _ in rows)
over.set()
watcher.join()
Path(sys.argv[2]).write_text(f"{count} {peak - before}")
"""


def test_memory_is_bounded(tmp_path: Path) -> None:
    """Held as Python's objects these rows would need 300 MB. A million, read so, need 183 MB."""
    path = tmp_path / "l"
    with path.open("w") as file:
        for number in range(50_000):
            moment = datetime.fromtimestamp(1_795_000_000 + number, UTC)
            ids = {"trace_id": f"{number // 40:031x}1", "span_id": f"{number:015x}1"}
            one = row(f"call-{number}", timestamp=moment.strftime("%FT%T.000Z"), **ids)
            file.write(json.dumps(one) + "\n")
    found = tmp_path / "found"
    # In a file: DuckDB's bindings may have something to say when the interpreter ends.
    subprocess.run([sys.executable, "-c", MEASURE, str(path), str(found)], cwd=REPO, check=True)
    count, growth = map(int, found.read_text().split())
    assert count == 50_000
    assert growth < 160_000_000
