from __future__ import annotations

import errno
import gzip
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.record.fakes import Remembering, fake_dialect
from tests.record.make import MODEL, RUN, T0, call, end, names, part, reading, start
from tokenproxy.config import RunContext
from tokenproxy.record import account as account_module
from tokenproxy.record import journal as wal
from tokenproxy.record import ledger
from tokenproxy.record.account import Account
from tokenproxy.record.call import Call
from tokenproxy.record.lock import open_locked
from tokenproxy.record.make_row import make_row, surely_row
from tokenproxy.record.price import Prices
from tokenproxy.record.recovery import Recovered, Recovery, recover
from tokenproxy.record.row import Row
from tokenproxy.wire.usage import Attribution, Reading, RequestFacts


@pytest.fixture
def book(tmp_path: Path) -> Path:
    return tmp_path / "provider_usage.jsonl"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def sink() -> Remembering:
    return Remembering()


@pytest.fixture
def account(book: Path, runs: Path, sink: Remembering) -> Iterator[Account]:
    made = new_account(book, runs, sink)
    yield made
    if made._journal is not None:
        made._journal.close(settled=True)


def new_account(book: Path, runs: Path, *sinks: Remembering) -> Account:
    return Account(
        run=RUN,
        ledger=book,
        journal=runs / "run-1" / "journal-0.jsonl",
        sinks=sinks,
        dialects=fake_dialect,
    )


def rows(book: Path) -> list[Row]:
    found = list(ledger.iter_rows(book)) if book.exists() else []
    assert [line.problem for line in found if line.row is None] == []
    return [msgspec.convert(line.row, Row) for line in found]


def settle(account: Account) -> None:
    account._prices.load()
    assert account.settle() is None


def test_others_are_opened_while_a_compressed_request_is_read(
    account: Account, book: Path, runs: Path
) -> None:
    opened: list[str] = []

    def meanwhile(_: float) -> None:
        opened.append(f"c-{len(opened) + 2}")
        account.open([start(opened[-1])])

    account.open([start("c-1")])
    account._meanwhile = meanwhile
    body = b'{"model": "claude-opus-5-5"}'
    account.request("c-1", gzip.compress(body.ljust(10_000_000)), "gzip")
    assert len(opened) > 10
    account._meanwhile = lambda _: None
    for name in ("c-1", *opened):
        assert name in (runs / "run-1" / "journal-0.jsonl").read_text()
        account.close(name, end())
    settle(account)
    found = {row.call_id: row.requested_model for row in rows(book)}
    assert found == {"c-1": MODEL, **dict.fromkeys(opened)}


def test_a_call_from_beginning_to_end(
    account: Account, book: Path, runs: Path, sink: Remembering
) -> None:
    account.open([start("c-1")])
    account.request("c-1", b'{"model": "claude-opus-5-5", "stream": true}')
    account.progress("c-1", reading(completeness="partial"), T0 + 1)
    account.close("c-1", end())
    settle(account)
    (row,) = rows(book)
    assert (row.call_id, row.requested_model, row.stream, row.attempt) == ("c-1", MODEL, True, 0)
    assert row.cost_usd == pytest.approx(3 * 4e-6 + 5 * 20e-6)
    assert sink.rows == [row]
    account.finish(None)
    assert names(runs / "run-1") == []
    assert sink.ends == [None]
    found = account.tally.summary()
    assert (found.calls, found.input_tokens, found.cost_usd) == (1, 3, row.cost_usd)
    assert found.warnings == ()


def test_the_ledger_has_a_call_before_the_sinks_hear_of_it(book: Path, runs: Path) -> None:
    class Looking(Remembering):
        def call(self, call: Call, row: Row | None) -> None:
            assert row in rows(book)
            super().call(call, row)

    sink = Looking()
    account = new_account(book, runs, sink)
    account.open([start("c-1")])
    account.close("c-1", end())
    settle(account)
    assert len(sink.rows) == 1
    account.finish(None)


def test_every_step_is_in_the_journal_before_it_counts(
    account: Account, book: Path, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    real = ledger.append

    def spy(path: Path, lines: list[bytes], **how: Any) -> ledger.Mark:
        text = (runs / "run-1" / "journal-0.jsonl").read_text()
        seen.append([line[6 : line.index('"', 6)] for line in text.splitlines()])
        return real(path, lines, **how)

    monkeypatch.setattr(ledger, "append", spy)
    account.open([start("c-1")])
    account.progress("c-1", reading(), T0 + 1)
    account.close("c-1", end())
    settle(account)
    assert seen == [["run", "open", "read", "asked", "end"]]
    with (runs / "run-1" / "journal-0.jsonl").open("rb") as file:
        assert wal.Replay.read(file).pending == {}
    assert len(rows(book)) == 1


def test_many_calls_are_settled_with_one_append(
    account: Account, book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_module, "BATCH", 40)
    sizes: list[int] = []
    real = ledger.append

    def spy(path: Path, lines: list[bytes], **how: Any) -> ledger.Mark:
        sizes.append(len(lines))
        return real(path, lines, **how)

    monkeypatch.setattr(ledger, "append", spy)
    account.open([start(f"c-{n}") for n in range(100)])
    for n in range(100):
        account.close(f"c-{n}", end())
    settle(account)
    assert sizes == [40, 40, 20]
    assert [row.call_id for row in rows(book)] == [f"c-{n}" for n in range(100)]


def test_nothing_is_settled_before_there_are_prices(
    account: Account, book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account._prices, "warm", lambda: None)
    account.open([start("c-1")])
    account.close("c-1", end())
    assert account.settle() == account_module.SOON_S
    assert (account.unsettled, book.exists()) == (1, False)
    settle(account)
    assert account.unsettled == 0
    assert len(rows(book)) == 1


def test_retries_are_linked(account: Account, book: Path) -> None:
    body = b'{"prompt_digest": "d", "model": "%s"}'
    for name, at, model, outcome in (
        ("c-1", 0.0, b"big", "error"),
        ("c-2", 2.0, b"big", "error"),
        ("c-3", 4.0, b"small", "complete"),
    ):
        account.open([start(name, at=at)])
        account.request(name, body % model)
        account.close(name, end(outcome, at=at + 1))  # type: ignore[arg-type] # a table's word
    settle(account)
    found = [(row.attempt, row.retry_of, row.fallback_used, row.success) for row in rows(book)]
    assert found == [(0, None, False, False), (1, "c-1", False, False), (2, "c-2", True, True)]


def test_a_request_that_never_came_is_linked_at_the_end(account: Account, book: Path) -> None:
    who = Attribution(session_id="s", turn_id="t")
    account.open([start("c-1", who=who), start("c-2", at=2, who=who)])
    account.close("c-1", end("truncated"))
    account.close("c-2", end("aborted", at=3))
    settle(account)
    assert [row.retry_of for row in rows(book)] == [None, "c-1"]


def test_counting_tokens_leaves_a_span_and_no_row(
    account: Account, book: Path, runs: Path, sink: Remembering
) -> None:
    account.open([start("c-1", kind="count")])
    account.request("c-1", b'{"model": "m", "prompt_digest": "d"}')
    account.close("c-1", end("error"))
    account.open([start("c-2", at=2)])
    account.request("c-2", b'{"prompt_digest": "d"}')
    account.close("c-2", end(at=3))
    settle(account)
    assert [(call.start.call_id, row is None) for call, row in sink.told] == [
        ("c-1", True),
        ("c-2", False),
    ]
    assert sink.told[0][0].request.model == "m"
    assert [(row.call_id, row.retry_of) for row in rows(book)] == [("c-2", None)]
    assert "c-1" not in (runs / "run-1" / "journal-0.jsonl").read_text()
    assert account.tally.summary().calls == 1


def test_batch_results_are_rows_of_their_own_and_counted_once(
    account: Account, book: Path, sink: Remembering
) -> None:
    items = [reading(response_id=f"m{n}") for n in range(3)]
    for name, part_of in (
        ("0193f000-0000-7000-8000-000000000001", items[:2]),
        ("0193f000-0000-7000-8000-000000000002", items),
    ):
        account.open([start(name, kind="batch_results")])
        account.close(name, end(items=part_of))
    settle(account)
    found = rows(book)
    assert [row.response_id for row in found] == ["m0", "m1", "m2"]
    assert {row.service_tier for row in found} == {"batch"}
    assert [row is None for _, row in sink.told] == [True, False, False, True, False]
    assert account.tally.summary().calls == 3


def test_batch_results_are_not_counted_again_by_the_next_run(tmp_path: Path, book: Path) -> None:
    items = [reading(response_id=f"m{n}") for n in range(3)]
    for number in range(2):
        account = Account(
            run=RUN,
            ledger=book,
            journal=tmp_path / "runs" / str(number) / "journal-0.jsonl",
            sinks=(),
            dialects=fake_dialect,
            seen=tmp_path / "seen",
        )
        name = f"0193f000-0000-7000-8000-00000000000{number}"
        account.open([start(name, kind="batch_results")])
        account.close(name, end(items=items))
        settle(account)
        account.finish(None)
    assert [row.response_id for row in rows(book)] == ["m0", "m1", "m2"]


def test_a_background_call_leaves_its_usage_to_the_first_look_that_tells_it(
    account: Account, book: Path
) -> None:
    untold = Reading(model=MODEL, response_id="r1", ended=True)
    asked = start()
    account.open([asked])
    account.asked(asked.call_id, RequestFacts(background=True))
    account.close(asked.call_id, end(read=untold))
    for number in range(2):
        look = start(f"0193f000-0000-7000-8000-00000000000{number}", kind="replay")
        account.open([look])
        account.close(look.call_id, end(items=[reading(response_id="r1")]))
    settle(account)
    assert [(row.response_id, row.completeness) for row in rows(book)] == [
        ("r1", "none"),
        ("r1", "final"),
    ]


def test_usage_that_is_no_json_costs_neither_its_row_nor_the_next(
    account: Account, book: Path, runs: Path
) -> None:
    deep: dict[str, object] = {}
    for _ in range(100_000):
        deep = {"a": deep}
    for name, usage in (("c-1", deep), ("c-2", {"input_tokens": 3})):
        account.open([start(name)])
        account.close(name, end(read=reading(usage=[usage])))
    settle(account)
    first, second = rows(book)
    assert (first.usage, first.notes, first.input_tokens) == (None, ("usage_not_kept",), 3)
    assert second.usage == [{"input_tokens": 3}]
    account.finish(None)
    assert names(runs / "run-1") == []


def test_calls_still_open_at_the_end_are_told(account: Account, book: Path) -> None:
    account.open([start("c-1"), start("c-2", kind="count")])
    account.progress("c-1", reading(completeness="partial"), T0 + 1)
    account.close_rest()
    account.settle_until(time.monotonic() + 5)
    (row,) = rows(book)
    assert (row.call_id, row.outcome, row.error) == ("c-1", "lost", "proxy_stopped")
    assert (row.completeness, row.input_tokens) == ("partial", 3)


def test_an_end_without_a_beginning_is_passed_over(account: Account, book: Path) -> None:
    account.close("never", end())
    account.request("never", b"{}")
    account.progress("never", reading(), T0)
    settle(account)
    assert not book.exists()


def test_a_locked_ledger_is_tried_again_without_holding_up(
    account: Account, book: Path, sink: Remembering
) -> None:
    account.open([start("c-1")])
    account.close("c-1", end())
    account._prices.load()
    with open_locked(book, 1):
        began = time.monotonic()
        pause = account.settle()
        assert time.monotonic() - began < ledger.LOCK_WAIT_S  # as it would wait by itself
        assert pause is not None
        assert 0 < pause <= account_module.SOON_S
        assert account.settle() == pytest.approx(pause, abs=account_module.SOON_S)
    assert sink.told == []
    time.sleep(pause)
    assert account.settle() is None
    assert len(rows(book)) == 1
    account.finish(None)
    assert account.tally.summary().warnings == ()


def test_a_ledger_locked_for_long_is_told_in_the_end(
    account: Account, book: Path, runs: Path, sink: Remembering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_module, "PATIENCE_S", 0.0)
    account.open([start("c-1")])
    account.close("c-1", end())
    with open_locked(book, 1):
        account.settle_until(time.monotonic() + 0.2)
        account.finish(None)
    (warning,) = account.tally.summary().warnings
    assert warning.startswith("Another program holds the lock")
    assert len(sink.rows) == 1
    done = recover(runs)
    assert [(one.row.call_id, one.told) for one in done.recovered] == [("c-1", True)]
    assert [row.call_id for row in rows(book)] == ["c-1"]


def test_a_disk_that_fills_and_is_freed_loses_and_doubles_nothing(
    account: Account, book: Path, sink: Remembering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_module, "RETRY_S", 0.0)
    account.open([start(f"c-{n}") for n in range(6)])
    for n in range(6):
        account.close(f"c-{n}", end())
    account._prices.load()
    real, room = os.write, [2_500]

    def full(fd: int, data: bytes) -> int:
        if os.fstat(fd).st_ino != ledger.mark(book).inode or data == b"\n":
            return real(fd, data)
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = real(fd, data[: room[0]])
        room[0] -= done
        return done

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        assert account.settle() == 0.0
    settled = len(sink.rows)
    assert 0 < settled < 6
    assert account.settle() is None
    found = list(ledger.iter_rows(book))
    assert all(line.row is not None for line in found), "the half line was made blank"
    assert [line.row["call_id"] for line in found if line.row] == [f"c-{n}" for n in range(6)]
    assert [row.call_id for row in sink.rows] == [f"c-{n}" for n in range(6)]


def test_a_batch_that_the_disk_cuts_in_two_is_completed(
    account: Account, book: Path, sink: Remembering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_module, "RETRY_S", 0.0)
    name = "0193f000-0000-7000-8000-000000000001"
    account.open([start(name, kind="batch_results")])
    account.close(name, end(items=[reading(response_id=f"m{n}") for n in range(4)]))
    account._prices.load()
    refused = [2]

    def cut(path: Path, lines: list[bytes], **how: Any) -> ledger.Mark:
        if refused[0]:
            written, refused[0] = refused[0], 0
            real(path, lines[:written], **how)
            raise ledger.LedgerError("No space left.", written=written)
        return real(path, lines, **how)

    real = ledger.append
    monkeypatch.setattr(ledger, "append", cut)
    assert account.settle() == 0.0
    assert sink.told == []
    settle(account)
    assert [row.response_id for row in rows(book)] == ["m0", "m1", "m2", "m3"]
    assert len(sink.rows) == 4


def test_an_unwritable_ledger_keeps_the_calls_for_the_next_start(
    runs: Path, tmp_path: Path, sink: Remembering
) -> None:
    book = tmp_path / "missing" / "ledger.jsonl"
    account = new_account(book, runs, sink)
    account.open([start("c-1")])
    account.close("c-1", end())
    account.settle_until(time.monotonic())
    account.finish(None)
    (warning,) = account.tally.summary().warnings
    assert warning.startswith(f"The ledger {book} cannot be written: No such file or directory.")
    assert warning.endswith("The next start of tokenproxy appends the calls it lacks.")
    assert account.tally.summary().calls == 1
    book.parent.mkdir()
    assert recover(runs).recovered[0].told
    assert [row.call_id for row in rows(book)] == ["c-1"]


def test_more_than_memory_should_hold_is_left_to_the_journal(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sink: Remembering
) -> None:
    monkeypatch.setattr(account_module, "KEPT_UNSETTLED", 10)
    book = tmp_path / "missing" / "ledger.jsonl"
    account = new_account(book, runs, sink)
    account._prices.load()
    for n in range(30):
        account.open([start(f"c-{n}")])
        account.close(f"c-{n}", end())
        account.settle()
    assert account.unsettled == 10
    monkeypatch.setattr(wal.Journal, "bloated", True)  # what is left to it must not be rewritten
    book.parent.mkdir()
    account.settle_until(time.monotonic() + 1)
    account.finish(None)
    assert len(rows(book)) == 10
    assert len(recover(runs).recovered) == 20
    assert sorted(row.call_id for row in rows(book)) == sorted(f"c-{n}" for n in range(30))


def test_a_burst_larger_than_memory_should_hold_is_settled_all_the_same(
    account: Account, book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_module, "KEPT_UNSETTLED", 10)
    monkeypatch.setattr(account_module, "BATCH", 4)
    account.open([start(f"c-{n}") for n in range(50)])
    for n in range(50):
        account.close(f"c-{n}", end())
    settle(account)
    account.finish(None)
    assert len(rows(book)) == 50
    assert account.tally.summary().warnings == ()


def test_a_long_run_does_not_keep_a_long_journal(
    book: Path, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wal.Journal, "COMPACT_BYTES", 20_000)
    account = new_account(book, runs)
    account._prices.load()
    account.open([start("still-open")])
    account.request("still-open", b'{"model": "m"}')
    account.progress("still-open", reading(completeness="partial"), T0 + 5)
    account.open([start("counting", kind="count")])
    largest = 0
    for n in range(100):
        account.open([start(f"c-{n}")])
        account.close(f"c-{n}", end())
        account.settle()
        largest = max(largest, (runs / "run-1" / "journal-0.jsonl").stat().st_size)
    assert largest < 30_000
    with (runs / "run-1" / "journal-0.jsonl").open("rb") as file:
        replay = wal.Replay.read(file)
    (pending,) = replay.pending.values()
    assert pending.start.call_id == "still-open"
    assert pending.request.model == "m"
    assert (pending.reading.completeness, pending.last_ns) == ("partial", T0 + 5)
    account.close_rest()
    account.settle_until(time.monotonic() + 5)
    account.finish(None)
    assert len(rows(book)) == 101


@pytest.mark.parametrize(("encoding", "model"), [("gzip", "m"), ("", ""), ("nonsense", "")])
def test_a_request_is_read_whatever_its_encoding(
    book: Path, runs: Path, encoding: str, model: str
) -> None:
    account = new_account(book, runs)
    account.open([start("c-1")])
    account.request("c-1", gzip.compress(b'{"model": "m"}') if encoding else None, encoding)
    account.close("c-1", end("error"))
    settle(account)
    account.finish(None)
    (row,) = rows(book)
    assert row.model == model


def test_what_cannot_be_written_does_not_hold_up_the_end(book: Path, runs: Path) -> None:
    account = new_account(book.parent / "missing" / "ledger.jsonl", runs)
    account.open([start("c-1")])
    account.close("c-1", end())
    began = time.monotonic()
    account.settle_until(began + 5)
    account.finish(None)
    assert time.monotonic() - began < 2
    assert account.tally.summary().warnings


def test_without_a_journal_the_ledger_is_kept_all_the_same(
    book: Path, tmp_path: Path, sink: Remembering
) -> None:
    (tmp_path / "file").touch()
    account = new_account(book, tmp_path / "file", sink)
    account.open([start("c-1")])
    account.close("c-1", end())
    account.settle_until(time.monotonic() + 5)
    account.finish(None)
    assert len(rows(book)) == 1
    (warning,) = account.tally.summary().warnings
    assert warning.startswith("The journal cannot be written (Not a directory)")


def test_a_journal_whose_disk_fills_is_told_and_done_without(
    account: Account, book: Path, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    inode = (runs / "run-1" / "journal-0.jsonl").stat().st_ino

    def full(fd: int, data: bytes) -> int:
        if os.fstat(fd).st_ino == inode:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, data)

    monkeypatch.setattr(os, "write", full)
    account.open([start("c-1")])
    account.close("c-1", end())
    settle(account)
    assert len(rows(book)) == 1
    assert "No space left" in account.tally.summary().warnings[0]


def test_a_sink_that_raises_harms_nobody(book: Path, runs: Path) -> None:
    class Raising(Remembering):
        def call(self, *_: object) -> None:
            raise ZeroDivisionError

        def finish(self, *_: object) -> tuple[str, ...]:
            raise ZeroDivisionError

    good = Remembering("The collector did not answer.")
    account = new_account(book, runs, Raising(), good)
    account.open([start("c-1")])
    account.close("c-1", end())
    settle(account)
    account.finish(None)
    assert (len(rows(book)), len(good.rows), good.ends) == (1, 1, [None])
    assert account.tally.summary().warnings == ("The collector did not answer.",)


def test_a_call_no_row_can_be_made_of_stays_in_the_journal(
    account: Account, book: Path, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(one: Call, run: RunContext, prices: Prices) -> Row:
        if one.start.call_id == "c-1":
            raise ZeroDivisionError
        return surely_row(one, run, prices)

    account.open([start("c-1"), start("c-2")])
    account.close("c-1", end())
    account.close("c-2", end())
    with monkeypatch.context() as patch:
        patch.setattr(account_module, "surely_row", faulty)
        settle(account)
    account.finish(None)
    assert [row.call_id for row in rows(book)] == ["c-2"]
    assert account.tally.summary().warnings != ()
    recover(runs)
    assert [row.call_id for row in rows(book)] == ["c-2", "c-1"]


@pytest.mark.parametrize("kept", [1_000, 0])
def test_a_call_no_row_can_be_made_of_does_not_make_the_journal_grow(
    book: Path, runs: Path, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    """As long as such calls are few: it is written anew with them. No other way may lose one."""

    def faulty(one: Call, run: RunContext, prices: Prices) -> Row:
        if one.start.call_id == "c-1":
            raise ZeroDivisionError
        return surely_row(one, run, prices)

    monkeypatch.setattr(wal.Journal, "COMPACT_BYTES", 20_000)
    monkeypatch.setattr(account_module, "KEPT_UNMADE", kept)
    account = new_account(book, runs)
    account._prices.load()
    largest = 0
    with monkeypatch.context() as patch:
        patch.setattr(account_module, "surely_row", faulty)
        for n in range(100):
            account.open([start(f"c-{n}")])
            account.close(f"c-{n}", end())
            account.settle()
            largest = max(largest, (runs / "run-1" / "journal-0.jsonl").stat().st_size)
    assert (largest < 30_000) is bool(kept)
    account.finish(None)
    assert len(rows(book)) == 99
    (one,) = recover(runs).recovered
    assert one.row.call_id == "c-1"
    assert names(runs) == []


def test_broken_prices_are_told(
    account: Account, book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    account._prices.load()
    account.open([start("c-1")])
    account.close("c-1", end())
    assert account.settle() is None
    assert rows(book)[0].cost_usd is None
    assert account.tally.summary().warnings == (
        "No prices: the price library cannot be used (ModuleNotFoundError).",
    )


def test_rows_of_a_dead_recorder_are_told_and_counted_where_they_belong(
    account: Account, sink: Remembering, book: Path
) -> None:
    request = RequestFacts(model="big", prompt_digest="d")
    lost = call(start("c-0"), end("lost", read=reading(part())), request=request, attempt=0)
    other_run = msgspec.structs.replace(RUN, run_id="other")
    row = make_row(lost, RUN, None)
    other = make_row(lost, other_run, None)
    account.adopt(
        Recovery(
            (
                Recovered(RUN, lost, row, told=False),
                Recovered(other_run, lost, other, told=False, run_over=True),
                Recovered(other_run, lost, other, told=True),
            ),
            journals=2,
            problems=("One could not be settled.",),
        )
    )
    assert sink.rows == [row, other]
    assert sink.runs == [RUN.run_id, "other"]
    assert sink.over == [{"other"}]
    assert account.tally.summary().calls == 1
    account.open([start("c-1", at=5)])
    account.request("c-1", b'{"model": "small", "prompt_digest": "d"}')
    account.close("c-1", end(at=6))
    settle(account)
    (retry,) = rows(book)
    assert (retry.attempt, retry.retry_of, retry.fallback_used) == (1, "c-0", True)
