"""Disks that take nothing for a while: neither rows nor the journal's records."""

from __future__ import annotations

import errno
import io
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.record.make import end, names, start
from tests.record.test_account import book, new_account, rows, runs
from tokenproxy.record import account as account_module
from tokenproxy.record import journal as wal
from tokenproxy.record import kept_journal
from tokenproxy.record.lock import open_locked

__all__ = ["book", "runs"]


type Full = Callable[[], None]


@pytest.fixture
def full(book: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Full]:
    """A disk that takes nothing from the call of this on, until the test undoes it."""
    real = os.write

    def refuse(fd: int, data: bytes) -> int:
        if Path(f"/proc/self/fd/{fd}").readlink().is_relative_to(book.parent):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, data)

    monkeypatch.setattr(account_module, "RETRY_S", 0.0)
    monkeypatch.setattr(kept_journal, "HEAL_S", 0.0)
    yield lambda: monkeypatch.setattr(os, "write", refuse)
    monkeypatch.setattr(os, "write", real)


def test_a_journal_with_gaps_is_written_anew_when_the_disk_is_freed(
    book: Path, runs: Path, full: Full, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = new_account(book, runs)
    account.open([start("c-0")])
    real = os.write
    full()
    account.open([start("c-1"), start("c-2")])
    account.close("c-1", end())
    account.settle_until(time.monotonic())
    monkeypatch.setattr(os, "write", real)
    with open_locked(book, 1):
        account.settle()
    # Killed now: the next start must know all three.
    (journal,) = runs.rglob("journal-*.jsonl")
    replay = wal.Replay.read(io.BytesIO(journal.read_bytes()))
    assert {name: one.ended is not None for name, one in replay.pending.items()} == {
        "c-0": False,
        "c-1": True,
        "c-2": False,
    }
    account.settle_until(time.monotonic() + 5)
    account.close_rest()
    account.settle_until(time.monotonic() + 5)
    account.finish(None)
    assert sorted(row.call_id for row in rows(book)) == ["c-0", "c-1", "c-2"]
    assert names(journal.parent) == []


def test_a_journal_that_could_not_be_made_is_made_later(
    book: Path, runs: Path, full: Full, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    full()
    account = new_account(book, runs)
    account.open([start("c-1")])
    assert list(runs.rglob("journal-*")) == []
    monkeypatch.setattr(os, "write", real)
    account.settle()
    (journal,) = runs.rglob("journal-*.jsonl")
    assert b"c-1" in journal.read_bytes()
    account.finish(None)


def test_what_can_be_kept_nowhere_is_said_to_be_lost(book: Path, runs: Path, full: Full) -> None:
    account = new_account(book, runs)
    full()
    account.open([start("c-1")])
    account.close("c-1", end())
    account.settle_until(time.monotonic() + 0.1)
    account.finish(None)
    said = account.tally.summary().warnings
    assert sum("calls of this run are lost" in sentence for sentence in said) == 1
    assert not any("next start" in sentence for sentence in said)
