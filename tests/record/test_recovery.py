from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.record.make import RUN, T0, call, end, names, part, reading, start
from tokenproxy.config import RunContext
from tokenproxy.record import journal as wal
from tokenproxy.record import ledger, recovery
from tokenproxy.record.call import Call
from tokenproxy.record.lineage import Link
from tokenproxy.record.make_row import make_row, surely_row
from tokenproxy.record.price import Prices
from tokenproxy.record.recovery import find_calls, recover
from tokenproxy.record.row import Row, encode
from tokenproxy.wire.usage import Attribution, RequestFacts

RECOVER = """
import os, pathlib, signal, sys
from tokenproxy.record import ledger, recovery
from tokenproxy.record.call import Call
runs, die = pathlib.Path(sys.argv[1]), sys.argv[2]
def killed(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)
if die == "before append":
    ledger.append = killed
if die == "after append":
    pathlib.Path.unlink = killed  # the lock's too: this one leaves the lock behind as well
if die == "breaking":
    os.rmdir = killed
if die == "before deletion":
    append = ledger.append
    def then_die(*args, **kwargs):
        append(*args, **kwargs)
        killed()
    ledger.append = then_die
print(len(recovery.recover(runs).recovered))
"""


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def book(tmp_path: Path) -> Path:
    return tmp_path / "provider_usage.jsonl"


@pytest.fixture(scope="module")
def prices() -> Prices:
    return Prices()


type Die = Callable[..., Path]


@pytest.fixture
def die(runs: Path, book: Path) -> Die:
    """Leave the journal of a run that was killed."""

    def leave(*records: wal.Record, run_id: str = "run-1", path: Path = book) -> Path:
        run = msgspec.structs.replace(RUN, run_id=run_id)
        header = wal.Header(run=run, ledger=str(path), mark=ledger.mark(path))
        journal = wal.Journal(runs / run_id / "journal-0.jsonl", header)
        for record in records:
            journal.add(record)
        journal.flush()
        journal.close(settled=False)
        return journal.path

    return leave


def rows(book: Path) -> list[Row]:
    found = list(ledger.iter_rows(book))
    assert [line.problem for line in found if line.row is None] == []
    return [msgspec.convert(line.row, Row) for line in found]


def test_nothing_to_recover(runs: Path) -> None:
    assert recover(runs) == recovery.Recovery()


def test_an_open_call_is_lost_with_its_last_reading(
    runs: Path, book: Path, die: Die, prices: Prices
) -> None:
    begun = start("c-1", who=Attribution(session_id="s", attempt=1))
    cut = reading(part(output_tokens=1), completeness="partial", ended=False, stop_reason=None)
    die(
        wal.Opened(start=begun),
        wal.Asked(
            id="c-1",
            request=RequestFacts(model="claude-opus-5-5", stream=True),
            link=Link(attempt=1, retry_of="c-0", fallback_used=True),
        ),
        wal.Seen(id="c-1", at_ns=T0 + 700_000_000, reading=cut),
    )
    done = recover(runs, prices)
    (row,) = rows(book)
    assert (row.call_id, row.outcome, row.success, row.error) == (
        "c-1",
        "lost",
        False,
        "proxy_killed",
    )
    assert (row.completeness, row.input_tokens, row.output_tokens) == ("partial", 3, 1)
    assert (row.attempt, row.retry_of, row.fallback_used) == (1, "c-0", True)
    assert (row.latency_ms, row.stream, row.session_id) == (700.0, True, "s")
    assert (row.run_id, row.story_id, row.iteration) == ("run-1", "US-7", 3)
    assert row.cost_usd == pytest.approx(3 * 4e-6 + 20e-6)
    assert [one.row for one in done.recovered] == [row]
    assert (done.recovered[0].told, done.recovered[0].call.start) == (False, begun)
    assert (done.journals, done.problems) == (1, ())
    assert names(runs / "run-1") == []
    assert recover(runs, prices) == recovery.Recovery()


def test_a_call_of_which_nothing_came_is_lost_without_counts(
    runs: Path, book: Path, die: Die, prices: Prices
) -> None:
    die(wal.Opened(start=start("c-1")))
    recover(runs, prices)
    (row,) = rows(book)
    assert (row.outcome, row.completeness, row.latency_ms) == ("lost", "none", 0)
    assert row.input_tokens is None


def test_a_last_word_stays_the_last_word(runs: Path, book: Path, die: Die, prices: Prices) -> None:
    die(wal.Opened(start=start("c-1")), wal.Seen(id="c-1", at_ns=T0, reading=reading()))
    recover(runs, prices)
    assert [(row.outcome, row.completeness) for row in rows(book)] == [("lost", "final")]


def test_an_ended_call_becomes_the_row_it_would_have_been(
    runs: Path, book: Path, die: Die, prices: Prices
) -> None:
    whole = call(start("c-1"), end(), attempt=2)
    die(wal.Opened(start=whole.start), wal.Ended(call=whole), wal.Told(ids=("c-1",)))
    done = recover(runs, prices)
    expected = make_row(whole, msgspec.structs.replace(RUN, run_id="run-1"), prices)
    assert book.read_bytes() == encode(expected)
    assert done.recovered[0].told


def test_what_the_ledger_has_is_not_appended_again(
    runs: Path, book: Path, die: Die, prices: Prices
) -> None:
    there, missing = call(start("c-1"), end()), call(start("c-2"), end())
    die(*(wal.Ended(call=one) for one in (there, missing)))
    ledger.append(book, [encode(make_row(there, RUN, None))])
    done = recover(runs, prices)
    assert [one.row.call_id for one in done.recovered] == ["c-2"]
    assert [row.call_id for row in rows(book)] == ["c-1", "c-2"]


def test_closed_calls_are_closed(runs: Path, book: Path, die: Die, prices: Prices) -> None:
    die(wal.Ended(call=call(start("c-1"), end())), wal.Closed(ids=("c-1",)))
    assert recover(runs, prices).journals == 1
    assert not book.exists()


def test_counting_and_unread_batches_leave_no_row(
    runs: Path, book: Path, die: Die, prices: Prices
) -> None:
    die(
        wal.Opened(start=start("c-1", kind="count")),
        wal.Opened(start=start("c-2", kind="batch_results")),
    )
    recover(runs, prices)
    assert not book.exists()


def test_a_batch_half_appended_is_completed(
    runs: Path, book: Path, die: Die, prices: Prices
) -> None:
    items = [reading(response_id=f"m{n}") for n in range(5)]
    download = call(start(kind="batch_results"), end(items=items))
    path = die(wal.Ended(call=download))
    kept = path.read_bytes()
    recover(runs, prices)
    whole = book.read_bytes()
    lines = whole.splitlines(keepends=True)
    book.write_bytes(b"".join(lines[:2]))
    path.parent.mkdir()
    path.write_bytes(kept)
    recover(runs, prices)
    assert book.read_bytes() == whole


def test_a_living_run_is_left_alone(runs: Path, book: Path, prices: Prices) -> None:
    header = wal.Header(run=RUN, ledger=str(book), mark=ledger.Mark())
    journal = wal.Journal(runs / "live" / "journal-0.jsonl", header)
    journal.add(wal.Opened(start=start("c-1")))
    journal.flush()
    assert recover(runs, prices).journals == 0
    assert not book.exists()
    journal.close(settled=True)


@pytest.mark.parametrize("moment", ["before append", "before deletion", "after append"])
def test_a_recovery_killed_at_any_moment_leaves_each_row_once(
    runs: Path, book: Path, die: Die, moment: str, prices: Prices
) -> None:
    die(wal.Opened(start=start("c-1")), wal.Ended(call=call(start("c-2"), end())))
    killed = subprocess.run(
        [sys.executable, "-c", RECOVER, str(runs), moment], capture_output=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert names(runs / "run-1") == ["journal-0.jsonl"]
    recover(runs, prices)
    assert sorted(row.call_id for row in rows(book)) == ["c-1", "c-2"]
    assert names(runs / "run-1") == []
    assert not book.with_name(f"{book.name}.lock").exists(), "in the way of the ancestor's writers"


def test_a_ledger_rotated_between_the_write_and_the_next_start(
    runs: Path, book: Path, die: Die, prices: Prices
) -> None:
    there, missing = call(start("c-1"), end()), call(start("c-2"), end())
    ledger.append(book, [b'{"call_id":"c-0"}\n'])
    die(*(wal.Ended(call=one) for one in (there, missing)))
    ledger.append(book, [encode(make_row(there, RUN, None))])
    book.rename(book.with_name("rotated"))
    assert [one.row.call_id for one in recover(runs, prices).recovered] == ["c-2"]
    assert [row.call_id for row in rows(book)] == ["c-2"]


def test_a_recovery_killed_while_it_breaks_a_lock_leaves_nothing_for_ever(
    runs: Path, book: Path, die: Die, prices: Prices
) -> None:
    die(wal.Opened(start=start("c-1")))
    stale = book.with_name(f"{book.name}.lock")
    stale.mkdir()
    os.utime(stale, (1, 1))
    killed = subprocess.run(
        [sys.executable, "-c", RECOVER, str(runs), "breaking"], capture_output=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert any(".lock.dead-" in name for name in names(book.parent))
    recover(runs, prices)
    assert [row.call_id for row in rows(book)] == ["c-1"]
    assert names(book.parent) == [book.name, runs.name]


def test_many_recoverers_at_once_append_each_row_once(runs: Path, book: Path, die: Die) -> None:
    ids = []
    for run in range(12):
        mine = [f"c-{run}-{n}" for n in range(4)]
        ids += mine
        die(*(wal.Opened(start=start(one)) for one in mine), run_id=f"run-{run}")
    recoverers = [
        subprocess.Popen(
            [sys.executable, "-c", RECOVER, str(runs), "never"], stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    counted = [int(recoverer.communicate(timeout=60)[0]) for recoverer in recoverers]
    assert sum(counted) == len(ids)
    assert sorted(row.call_id for row in rows(book)) == sorted(ids)


def test_a_full_disk_leaves_the_journal_for_later(
    runs: Path, book: Path, die: Die, prices: Prices, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = die(wal.Opened(start=start("c-1")), wal.Opened(start=start("c-2")))
    real = os.write

    def full(fd: int, data: bytes) -> int:
        if b"call_id" in data:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        done = recover(runs, prices)
    assert done.recovered == ()
    assert "No space left" in done.problems[0]
    assert path.exists()
    recover(runs, prices)
    assert [row.call_id for row in rows(book)] == ["c-1", "c-2"]


def test_a_ledger_whose_directory_is_gone_is_not_made_again(
    runs: Path, tmp_path: Path, die: Die, prices: Prices
) -> None:
    path = die(wal.Opened(start=start("c-1")), path=tmp_path / "deleted" / "ledger.jsonl")
    done = recover(runs, prices)
    assert "cannot be written" in done.problems[0]
    assert str(path) in done.problems[0]
    assert path.exists()
    assert not (tmp_path / "deleted").exists()


def test_one_bad_journal_does_not_hold_up_the_others(
    runs: Path, book: Path, die: Die, prices: Prices
) -> None:
    bad = die(wal.Opened(start=start("c-1")), run_id="run-0")
    bad.write_bytes(bad.read_bytes().replace(b'"t":"run"', b'"t":"run9"'))
    die(wal.Opened(start=start("c-2")), run_id="run-1")
    done = recover(runs, prices)
    assert [row.call_id for row in rows(book)] == ["c-2"]
    assert "another version" in done.problems[0]
    assert bad.exists()


def test_a_later_format_is_left_to_the_later_version(
    runs: Path, book: Path, die: Die, prices: Prices
) -> None:
    path = die(wal.Opened(start=start("c-1")))
    path.write_bytes(path.read_bytes().replace(b'"t":"run"', b'"t":"run","format":2'))
    assert len(recover(runs, prices).problems) == 1
    assert path.exists()
    assert not book.exists()


@pytest.mark.parametrize("content", [b"", b'{"t":"run","ru'])
def test_a_journal_killed_at_birth_is_deleted(runs: Path, content: bytes, prices: Prices) -> None:
    path = runs / "run-1" / "journal-0.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert recover(runs, prices).journals == 1
    assert not path.exists()


class TestFindCalls:
    def test_only_whole_rows_count(self, book: Path) -> None:
        book.write_bytes(
            b'{"call_id":"a-1","x":1}\n'
            b'{"x": 1, "call_id": "b-2"}\n'
            b'{"call_id":"torn-1","x\n'
            b'{"usage":[{"call_id":"inner-1"}],"call_id":"outer-1"}\n'
            b'{"call_id":"tail-1"}'
        )
        wanted = {"a-1", "b-2", "torn-1", "inner-1", "tail-1", "none-1"}
        assert find_calls(book, wanted, ledger.Mark()) == {"a-1", "b-2"}

    def test_rows_before_the_mark_are_not_looked_at(self, book: Path) -> None:
        ledger.append(book, [b'{"call_id":"old-1"}\n'])
        mark = ledger.mark(book)
        ledger.append(book, [b'{"call_id":"new-1"}\n'])
        assert find_calls(book, {"old-1", "new-1"}, mark) == {"new-1"}

    def test_a_mark_in_another_file_means_nothing(self, book: Path) -> None:
        ledger.append(book, [b'{"call_id":"a-1"}\n'])
        other = ledger.Mark(ledger.mark(book).inode + 1, 10)
        beyond = ledger.Mark(ledger.mark(book).inode, 10_000)
        assert find_calls(book, {"a-1"}, other) == {"a-1"}
        assert find_calls(book, {"a-1"}, beyond) == {"a-1"}

    def test_a_file_that_was_rotated_away_is_read_behind_its_mark(self, book: Path) -> None:
        ledger.append(book, [b'{"call_id":"old-1"}\n'])
        first = ledger.mark(book)
        ledger.append(book, [b'{"call_id":"a-1"}\n'])
        book.rename(book.with_name("rotated"))
        wanted = {"old-1", "a-1", "b-2"}
        assert find_calls(book, wanted, first) == {"a-1"}
        ledger.append(book, [b'{"call_id":"b-2"}\n'])
        assert find_calls(book, wanted, first) == {"a-1", "b-2"}
        assert find_calls(book, wanted, first, ledger.mark(book)) == {"a-1", "b-2"}
        assert find_calls(book, wanted, ledger.mark(book)) == set()

    def test_a_linked_ledger_is_rotated_where_it_lies(self, book: Path, tmp_path: Path) -> None:
        real = tmp_path / "elsewhere" / "usage.jsonl"
        real.parent.mkdir()
        book.symlink_to(real)
        real.touch()
        mark = ledger.mark(book)
        ledger.append(book, [b'{"call_id":"a-1"}\n'])
        real.rename(real.with_name("usage.1"))
        assert find_calls(book, {"a-1"}, mark) == {"a-1"}

    def test_no_ledger_has_no_calls(self, book: Path) -> None:
        assert find_calls(book, {"a-1"}, ledger.Mark()) == set()


def test_a_run_is_over_when_no_recorder_of_it_is_left(runs: Path, book: Path, die: Die) -> None:
    die(wal.Opened(start=start("c-1")))
    header = wal.Header(run=RUN, ledger=str(book), mark=ledger.mark(book))
    newer = wal.Journal(runs / "run-1" / "journal-1.jsonl", header)
    die(wal.Opened(start=start("c-2")), run_id="run-2")
    done = recover(runs).recovered
    assert [(one.row.call_id, one.run_over) for one in done] == [("c-1", False), ("c-2", True)]
    newer.close(settled=True)


def test_prices_that_cannot_be_read_are_told(
    runs: Path, die: Die, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKENPROXY_CONFIG", str(runs / "gone.toml"))
    assert recover(runs).problems == ()
    die(wal.Opened(start=start("c-1")), wal.Seen(id="c-1", at_ns=T0, reading=reading(part())))
    (problem,) = recover(runs).problems
    assert problem.endswith(
        "gone.toml cannot be read: No such file or directory. Its prices are not used."
    )


def test_a_call_no_row_can_be_made_of_does_not_hold_up_the_others(
    runs: Path, book: Path, die: Die, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for a start that can."""

    def faulty(one: Call, run: RunContext, prices: Prices) -> Row:
        if one.start.call_id == "c-1":
            raise ZeroDivisionError
        return surely_row(one, run, prices)

    records = [wal.Ended(call=call(start(f"c-{n}"))) for n in range(3)]
    path = die(*records, wal.Opened(start=start("c-3")))
    with monkeypatch.context() as patch:
        patch.setattr(recovery, "surely_row", faulty)
        found = recover(runs)
        assert [one.row.call_id for one in found.recovered] == ["c-0", "c-2", "c-3"]
        assert not any(one.run_over for one in found.recovered)
        assert found.problems == (f"No row can be made of one call in {path}, which is kept.",)
        assert recover(runs).recovered == ()
    assert [one.row.call_id for one in recover(runs).recovered] == ["c-1"]
    assert [row.call_id for row in rows(book)] == ["c-0", "c-2", "c-3", "c-1"]
    assert names(runs) == []
