from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.e2e.bench import wait_until
from tests.record.fakes import FakeDialect, Remembering, fake_dialect
from tests.record.make import RUN, T0, end, names, part, reading, start
from tokenproxy.config import IterationEnd, Summary
from tokenproxy.record import held, ledger
from tokenproxy.record import recorder as recorder_module
from tokenproxy.record.account import Account
from tokenproxy.record.call import Call
from tokenproxy.record.ledger import iter_rows, verify
from tokenproxy.record.lock import open_locked
from tokenproxy.record.recorder import FAULT, LATE, Recorder
from tokenproxy.record.recovery import recover
from tokenproxy.record.row import Row
from tokenproxy.wire.dialect import Dialect
from tokenproxy.wire.usage import RequestFacts

OWNER = """
import pathlib, sys, threading, time
from tests.record.fakes import fake_dialect
from tests.record.make import RUN, T0, end, reading, start
from tokenproxy.record import account, ledger
from tokenproxy.record.recorder import Recorder
base, moment = pathlib.Path(sys.argv[1]), sys.argv[2]
def stop(*args, **kwargs):
    print("here", flush=True)
    time.sleep(60)
if moment == "before append":
    ledger.append = stop
if moment == "after append":
    account.Account._settled = stop
recorder = Recorder(
    run=RUN,
    ledger=base / "provider_usage.jsonl",
    journal=base / "runs" / "run-1" / "journal-0.jsonl",
    dialects=fake_dialect,
)
warm, recorder._account._prices.warm = recorder._account._prices.warm, lambda: None
recorder.start()
opened = threading.Event()
for n in range(3):
    recorder.opened(start(f"c-{n}"), opened.set if n == 2 else None)
recorder.requested("c-0", b'{"model": "claude-opus-5-5"}')
recorder.progressed("c-0", reading(completeness="partial"))
opened.wait()
if moment == "open":
    while '"t":"read"' not in (base / "runs" / "run-1" / "journal-0.jsonl").read_text():
        time.sleep(0.005)
    stop()
recorder.closed("c-0", end())
recorder.closed("c-1", end("error"))
warm()  # not before: both are settled at once
time.sleep(60)
"""


ONE_OF_MANY = """
import pathlib, sys, threading
from tests.record.fakes import fake_dialect
from tests.record.make import RUN, end, start
from tokenproxy.record.recorder import Recorder
import msgspec
base, name = pathlib.Path(sys.argv[1]), sys.argv[2]
recorder = Recorder(
    run=msgspec.structs.replace(RUN, run_id=name),
    ledger=base / "provider_usage.jsonl",
    journal=base / "runs" / name / "journal-0.jsonl",
    dialects=fake_dialect,
)
recorder.start()
for n in range(int(sys.argv[3])):
    opened = threading.Event()
    recorder.opened(start(f"{name}-{n}"), opened.set)
    opened.wait()
    print(f"{name}-{n}", flush=True)
    recorder.requested(f"{name}-{n}", b'{"model": "claude-opus-5-5"}')
    recorder.closed(f"{name}-{n}", end())
recorder.finish(None, 60)
"""


@pytest.fixture
def book(tmp_path: Path) -> Path:
    return tmp_path / "provider_usage.jsonl"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def new_recorder(
    tmp_path: Path, *sinks: Remembering, runs: Path | None = None, dialects: object = fake_dialect
) -> Recorder:
    return Recorder(
        run=RUN,
        ledger=tmp_path / "provider_usage.jsonl",
        journal=tmp_path / "runs" / "run-1" / "journal-0.jsonl",
        sinks=sinks,
        runs=runs,
        dialects=dialects,  # type: ignore[arg-type] # a fault planted
    )


def rows(book: Path) -> list[Row]:
    found = list(iter_rows(book)) if book.exists() else []
    assert [line.problem for line in found if line.row is None] == []
    return [msgspec.convert(line.row, Row) for line in found]


def test_calls_come_out_whole_and_in_order(tmp_path: Path, book: Path, runs: Path) -> None:
    sink = Remembering("Telemetry was late.")
    recorder = new_recorder(tmp_path, sink)
    recorder.start()
    acknowledged: list[str] = []
    for n in range(50):
        name = f"c-{n}"
        recorder.opened(start(name), lambda name=name: acknowledged.append(name))  # type: ignore[misc] # the loop's value
        recorder.requested(name, b'{"model": "claude-opus-5-5"}')
        recorder.progressed(name, reading(completeness="partial"))
        recorder.closed(name, end())
    ended = IterationEnd(ended_ns=T0, exit_status=0)
    summary = recorder.finish(ended)
    expected = [f"c-{n}" for n in range(50)]
    assert acknowledged == expected
    assert [row.call_id for row in rows(book)] == expected
    assert {row.requested_model for row in rows(book)} == {"claude-opus-5-5"}
    assert [row.call_id for row in sink.rows] == expected
    assert sink.ends == [ended]
    assert (summary.calls, summary.input_tokens) == (50, 150)
    assert summary.cost_usd == pytest.approx(50 * (3 * 4e-6 + 5 * 20e-6))
    assert summary.warnings == ("Telemetry was late.",)
    assert names(runs / "run-1") == []
    assert verify(book).sound


def test_a_run_without_calls_leaves_nothing(tmp_path: Path, book: Path, runs: Path) -> None:
    recorder = new_recorder(tmp_path)
    recorder.start()
    assert recorder.finish(None) == Summary()
    assert not book.exists()
    assert names(runs / "run-1") == []


def test_finishing_without_starting_or_twice_is_harmless(tmp_path: Path) -> None:
    recorder = new_recorder(tmp_path)
    assert recorder.finish(None) == Summary()
    recorder.start()
    recorder.opened(start("c-1"))
    recorder.closed("c-1", end())
    first = recorder.finish(None)
    assert recorder.finish(None) == first
    recorder.opened(start("too late"))
    assert first.calls == 1


def test_an_opening_is_acknowledged_once_it_is_on_disk(tmp_path: Path, runs: Path) -> None:
    recorder = new_recorder(tmp_path)
    recorder.start()
    on_disk: list[bool] = []
    done = threading.Event()

    def ack() -> None:
        journal = (runs / "run-1" / "journal-0.jsonl").read_text()
        on_disk.append('"call_id":"c-1"' in journal)
        done.set()

    recorder.opened(start("c-1"), ack)
    assert done.wait(5)
    assert on_disk == [True]
    recorder.finish(None)


def test_openings_do_not_wait_for_long_bodies_nor_for_prices(
    tmp_path: Path,
) -> None:
    reading_now, go_on = threading.Event(), threading.Event()
    read: list[bytes] = []

    class Slow(FakeDialect):
        def read_request(self, body: bytes) -> RequestFacts:
            read.append(body)
            reading_now.set()
            go_on.wait(5)
            return RequestFacts()

    def slow(_: str) -> Dialect:
        return Slow()

    recorder = new_recorder(tmp_path, dialects=slow)
    recorder.start()
    recorder.opened(start("c-1"))
    recorder.requested("c-1", b"one")
    recorder.requested("c-1", b"two")
    assert reading_now.wait(5)
    before: list[int] = []
    recorder.opened(start("c-2"), lambda: before.append(len(read)))
    go_on.set()
    recorder.finish(None)
    assert before == [1]


def test_a_dialect_that_raises_costs_the_facts_and_nothing_else(tmp_path: Path, book: Path) -> None:
    recorder = new_recorder(tmp_path)
    recorder.start()
    for name in ("c-1", "c-2"):
        recorder.opened(start(name))
        recorder.requested(name, b"not json" if name == "c-1" else b'{"model": "m"}')
        recorder.closed(name, end())
    summary = recorder.finish(None)
    assert [(row.call_id, row.requested_model) for row in rows(book)] == [
        ("c-1", None),
        ("c-2", "m"),
    ]
    assert summary.warnings == (FAULT,)


def test_an_acknowledgement_that_raises_harms_nobody(tmp_path: Path, book: Path) -> None:
    recorder = new_recorder(tmp_path)
    recorder.start()

    def closed_loop() -> None:
        raise RuntimeError("Event loop is closed")

    recorder.opened(start("c-1"), closed_loop)
    recorder.closed("c-1", end())
    assert recorder.finish(None).warnings == (FAULT,)
    assert len(rows(book)) == 1


def test_a_locked_ledger_holds_up_no_opening(
    tmp_path: Path, book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is answered while the lock is waited for, be that for an hour."""
    assert Account.settle.__kwdefaults__ is not None
    monkeypatch.setitem(Account.settle.__kwdefaults__, "wait_s", 3600.0)
    recorder = new_recorder(tmp_path)
    recorder.start()
    with open_locked(book, 1):
        recorder.opened(start("c-1"))
        recorder.closed("c-1", end())
        wait_until(lambda: recorder._account.unsettled)
        done = threading.Event()
        recorder.opened(start("c-2"), done.set)
        assert done.wait(30)
        assert rows(book) == []
    recorder.closed("c-2", end())
    recorder.finish(None, timeout_s=30)
    assert len(rows(book)) == 2


def test_a_locked_ledger_holds_up_no_end(tmp_path: Path, book: Path, runs: Path) -> None:
    recorder = new_recorder(tmp_path)
    recorder.start()
    with open_locked(book, 1):
        recorder.opened(start("c-1"))
        recorder.closed("c-1", end())
        recorder.opened(start("c-2"))
        began = time.monotonic()
        summary = recorder.finish(None, timeout_s=1.5)
        assert time.monotonic() - began < ledger.LOCK_WAIT_S
    assert summary.calls == 2
    assert "lock" in summary.warnings[0]
    assert rows(book) == []
    recover(runs)
    assert sorted(row.call_id for row in rows(book)) == ["c-1", "c-2"]


def test_finishing_is_bounded_even_if_the_thread_is_stuck(tmp_path: Path) -> None:
    release = threading.Event()

    class Stuck(Remembering):
        def finish(self, *_: object) -> tuple[str, ...]:
            release.wait(60)
            return ()

    recorder = new_recorder(tmp_path, Stuck())
    recorder.start()
    recorder.opened(start("c-1"))
    recorder.closed("c-1", end())
    began = time.monotonic()
    summary = recorder.finish(None, timeout_s=1.5)
    assert time.monotonic() - began < 30
    assert summary.calls == 1
    assert LATE in summary.warnings
    release.set()
    recorder._thread.join(5)


@pytest.mark.parametrize(
    ("moment", "outcomes"),
    [
        ("open", {"c-0": "lost", "c-1": "lost", "c-2": "lost"}),
        ("before append", {"c-0": "complete", "c-1": "error", "c-2": "lost"}),
        ("after append", {"c-0": "complete", "c-1": "error", "c-2": "lost"}),
    ],
)
def test_a_recorder_killed_at_any_moment_leaves_each_call_once(
    tmp_path: Path,
    book: Path,
    runs: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    moment: str,
    outcomes: dict[str, str],
) -> None:
    monkeypatch.setattr(recorder_module, "RECOVERY_SHARE_S", 60.0)
    command = [sys.executable, "-c", OWNER, str(tmp_path), moment]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "here\n"
        owner.kill()
    assert owner.returncode == -signal.SIGKILL
    assert len(rows(book)) == (2 if moment == "after append" else 0)

    sink = Remembering()
    second = Recorder(
        run=msgspec.structs.replace(RUN, run_id="run-2"),
        ledger=book,
        journal=runs / "run-2" / "journal-0.jsonl",
        sinks=[sink],
        runs=runs,
        dialects=fake_dialect,
    )
    second.start()
    summary = second.finish(None, timeout_s=60)
    found = {row.call_id: row for row in rows(book)}
    assert {name: row.outcome for name, row in found.items()} == outcomes
    assert len(rows(book)) == 3
    assert names(runs / "run-1") == []
    assert summary.calls == 0
    assert len(sink.rows) == (1 if moment == "after append" else 3)
    if moment == "open":
        lost = found["c-0"]
        assert (lost.completeness, lost.input_tokens) == ("partial", 3)
        assert lost.requested_model == "claude-opus-5-5"
        assert found["c-1"].completeness == "none"


def test_of_many_recorders_some_are_killed_and_no_call_is_missing(
    tmp_path: Path, book: Path, runs: Path
) -> None:
    command = [sys.executable, "-c", ONE_OF_MANY, str(tmp_path)]
    owners = [
        subprocess.Popen(
            [*command, f"run-{n}", "1000000" if n % 2 else "300"],
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(8)
    ]
    acknowledged: list[str] = []
    for number, owner in enumerate(owners[1::2]):
        assert owner.stdout is not None
        acknowledged += [owner.stdout.readline().strip() for _ in range(20 + 30 * number)]
        owner.kill()
    for number, owner in enumerate(owners):
        acknowledged += owner.communicate()[0].split("\n")[:-1]
        assert owner.returncode == (-signal.SIGKILL if number % 2 else 0)
    recover(runs)
    found = [row.call_id for row in rows(book)]
    assert len(found) == len(set(found))
    # The last of each that was killed may have been opened and not told of.
    assert set(acknowledged) <= set(found)
    assert len(set(found) - set(acknowledged)) <= 4
    assert {row.outcome for row in rows(book) if row.run_id in ("run-0", "run-2")} == {"complete"}
    assert [names(place) for place in runs.iterdir()] == []
    assert names(tmp_path) == [book.name, "runs"]


def test_what_comes_soon_waits_for_the_next_turn_and_is_settled_at_once(
    tmp_path: Path, book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    real = ledger.append

    def spy(path: Path, lines: list[bytes], **how: Any) -> ledger.Mark:
        sizes.append(len(lines))
        return real(path, lines, **how)

    monkeypatch.setattr(ledger, "append", spy)
    monkeypatch.setattr(recorder_module, "TURN_S", 0.5)
    recorder = new_recorder(tmp_path)
    recorder._account._prices.load()
    recorder.start()
    for n in range(20):
        recorder.opened(start(f"c-{n}"))
        recorder.closed(f"c-{n}", end())
    while not book.exists() or book.read_bytes().count(b"\n") < 20:
        time.sleep(0.005)
    assert len(sizes) < 5
    recorder.finish(None)


def test_the_end_waits_for_no_turn(
    tmp_path: Path, book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "TURN_S", 3_600.0)
    recorder = new_recorder(tmp_path)
    recorder.start()
    for n in range(3):
        done = threading.Event()
        recorder.opened(start(f"c-{n}"), done.set)
        recorder.closed(f"c-{n}", end())
        assert done.wait(5), "nor does an opening"
    assert recorder.finish(None).calls == 3
    assert len(rows(book)) == 3


def test_openings_do_not_wait_for_the_ledgers_lock(
    tmp_path: Path, book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    real = ledger.append

    def patient(path: Path, lines: list[bytes], **how: Any) -> ledger.Mark:
        waits.append(how["wait_s"])
        return real(path, lines, **how | {"wait_s": 60.0})

    monkeypatch.setattr(ledger, "append", patient)
    recorder = new_recorder(tmp_path)
    recorder._account._prices.load()
    recorder.start()
    with open_locked(book, 1):
        recorder.opened(start("c-1"))
        recorder.closed("c-1", end())
        while not waits:
            time.sleep(0.005)
        done = threading.Event()
        recorder.opened(start("c-2"), done.set)
        assert done.wait(5)
        assert rows(book) == []
    assert recorder.finish(None).calls == 2
    assert {row.call_id for row in rows(book)} == {"c-1", "c-2"}


def test_openings_do_not_wait_for_others_to_be_told(tmp_path: Path) -> None:
    told, go_on, done = threading.Event(), threading.Event(), threading.Event()
    before: list[bool] = []

    class Slow(Remembering):
        def call(self, call: Call, row: Row | None) -> None:
            super().call(call, row)
            before.append(done.is_set())
            told.set()
            go_on.wait(5)

    recorder = new_recorder(tmp_path, Slow())
    for n in range(3):
        recorder.opened(start(f"c-{n}"))
        recorder.closed(f"c-{n}", end())
    recorder.start()
    assert told.wait(5)
    recorder.opened(start("late"), done.set)
    go_on.set()
    recorder.finish(None)
    assert before == [False, True, True, True]


def test_many_threads_at_once(tmp_path: Path, book: Path) -> None:
    recorder = new_recorder(tmp_path)
    recorder.start()

    def work(thread: int) -> None:
        for n in range(100):
            name = f"c-{thread}-{n}"
            recorder.opened(start(name))
            recorder.closed(name, end())

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert recorder.finish(None).calls == 400
    assert len({row.call_id for row in rows(book)}) == 400


def test_the_route_table_is_where_dialects_come_from() -> None:
    assert recorder_module._routes_dialect("anthropic.messages").name == "anthropic.messages"


def test_the_recorder_imports_no_prices_before_the_first_call() -> None:
    code = (
        "import sys, tokenproxy.record.recorder;"
        "sys.exit(any(name in sys.modules for name in"
        " ('genai_prices', 'pydantic', 'mitmproxy', 'opentelemetry')))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=os.environ, check=False)
    assert done.returncode == 0


def test_a_resumed_run_sums_up_what_it_used_before(tmp_path: Path, book: Path, runs: Path) -> None:
    before = new_recorder(tmp_path)
    before.start()
    before.opened(start("c-0"))
    before.closed("c-0", end())
    assert before.finish(None).calls == 1
    sink = Remembering()
    again = Recorder(
        run=RUN,
        ledger=book,
        journal=runs / "run-1" / "journal-1.jsonl",
        sinks=[sink],
        runs=runs,
        dialects=fake_dialect,
        resumed=True,
    )
    again.start()
    again.opened(start("c-1"))
    again.closed("c-1", end())
    found = again.finish(None)
    assert (found.calls, found.input_tokens) == (2, 6)
    assert [row.call_id for row in sink.earlier] == ["c-0"]
    assert [row.call_id for row in sink.rows] == ["c-1"]


def test_of_news_that_came_together_the_last_is_journaled(tmp_path: Path, book: Path) -> None:
    recorder = new_recorder(tmp_path, Remembering())
    journal = next((tmp_path / "runs" / "run-1").glob("journal-*.jsonl"))
    recorder.opened(start("c-0"))
    recorder.opened(start("c-1"))
    for tokens in range(100):
        for name in ("c-0", "c-1"):
            news = reading(part(output_tokens=tokens), completeness="partial")
            recorder.progressed(name, news)
    recorder.closed("c-1", end())
    recorder.start()
    while b'"t":"read"' not in journal.read_bytes():
        time.sleep(0.005)
    read = [json.loads(line) for line in journal.read_bytes().splitlines() if b'"t":"read"' in line]
    assert [(each["id"], each["reading"]["parts"][0]["output_tokens"]) for each in read] == [
        ("c-0", 99)
    ]
    recorder.finish(None)
    lost = next(row for row in rows(book) if row.call_id == "c-0")
    assert (lost.outcome, lost.output_tokens) == ("lost", 99)


def test_bodies_that_wait_are_bounded_by_who_brings_them(tmp_path: Path, book: Path) -> None:
    """The recorder says when there is enough; small ones are never too many."""
    recorder = new_recorder(tmp_path)
    body = b'{"model": "claude-opus-5-5"}'.ljust(1024 * 1024)
    said = []
    for n in range(40):  # nobody works them off yet
        recorder.opened(start(f"c-{n}"))
        recorder.requested(f"c-{n}", body)
        said.append(recorder.crowded)
        recorder.closed(f"c-{n}", end())
    assert said == [False] * 31 + [True] * 9
    recorder.start()
    assert recorder.finish(None).calls == 40
    assert not recorder.crowded
    assert {row.requested_model for row in rows(book)} == {"claude-opus-5-5"}


def test_bodies_that_nobody_else_can_read_are_bounded_too(
    tmp_path: Path, book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "MOST_OF_ALL", 200_000)
    recorder = new_recorder(tmp_path)
    body = gzip.compress(b'{"model": "m"}' + b" " * 60_000, 0)  # hardly smaller
    for n in range(9):  # nobody works them off yet
        recorder.opened(start(f"c-{n}"))
        recorder.requested(f"c-{n}", body, "gzip")
        recorder.closed(f"c-{n}", end())
    enough = 200_000 // len(body) + 1
    assert enough < 9
    recorder.start()
    assert recorder.finish(None).calls == 9
    models = {row.call_id: row.requested_model for row in rows(book)}
    assert models == {f"c-{n}": "m" if n < enough else None for n in range(9)}
