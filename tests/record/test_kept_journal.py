from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.record.make import RUN, names, start
from tokenproxy.record import journal as wal
from tokenproxy.record import kept_journal
from tokenproxy.record.kept_journal import KeptJournal

HEADER = wal.Header(run=RUN, ledger="/books/a.jsonl", mark=wal.NOWHERE)


class Kept:
    """A journal that must hold the calls ``open``, and what was said of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.open: list[str] = []
        self.said: list[str] = []
        self.journal = KeptJournal(
            path, header=lambda: HEADER, records=self._records, warn=self.said.append
        )

    def begin(self, call_id: str) -> None:
        self.open.append(call_id)
        self.journal.add(wal.Opened(start=start(call_id)))
        self.journal.flush()

    def whole(self) -> bool:
        return self.journal.whole

    def written(self) -> list[str]:
        with self.path.open("rb") as file:
            return list(wal.Replay.read(file).pending)

    def _records(self) -> Iterator[wal.Record]:
        yield HEADER
        for call_id in self.open:
            yield wal.Opened(start=start(call_id))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run-1" / "journal-0.jsonl"


type Keep = Callable[[], Kept]


@pytest.fixture
def keep(path: Path) -> Iterator[Keep]:
    """Makes a journal, which is given up at the end."""
    with ExitStack() as made:

        def make() -> Kept:
            kept = Kept(path)
            made.callback(kept.journal.close, settled=True)
            return kept

        yield make


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_journal, "HEAL_S", 0.0)


def refuse(*_: object) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_gaps_are_closed_as_soon_as_the_disk_lets_it_be(
    keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = keep()
    kept.begin("c0")
    with monkeypatch.context() as full:
        full.setattr(os, "write", refuse)
        kept.begin("c1")
        kept.journal.heal()
        assert not kept.whole()
    kept.begin("c2")
    assert kept.written() == ["c0", "c2"]
    kept.journal.heal()
    assert kept.whole()
    assert kept.written() == ["c0", "c1", "c2"]
    assert len(set(kept.said)) == 1
    assert "No space left on device" in kept.said[0]


def test_one_that_cannot_be_made_is_made_later(path: Path, keep: Keep) -> None:
    path.parent.write_text("a file where the directory should be")
    kept = keep()
    kept.begin("c0")
    assert not kept.whole()
    path.parent.unlink()
    kept.journal.heal()
    assert kept.whole()
    assert kept.journal.badge
    assert kept.written() == ["c0"]


def test_between_two_tries_there_is_time(keep: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = keep()
    monkeypatch.setattr(kept_journal, "HEAL_S", 3600.0)
    with monkeypatch.context() as full:
        full.setattr(os, "write", refuse)
        kept.begin("c0")
    kept.journal.heal()
    assert not kept.whole()
    kept.journal.heal(at_once=True)
    assert kept.whole()


def test_a_large_one_is_written_anew_with_what_is_open(
    path: Path, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wal.Journal, "COMPACT_BYTES", 2_000)
    kept = keep()
    for number in range(20):
        kept.begin(f"c{number}")
    del kept.open[1:]
    size = path.stat().st_size
    kept.journal.compact()
    assert path.stat().st_size < size / 4
    assert kept.written() == ["c0"]


@pytest.mark.parametrize("settled", [True, False])
def test_given_up_it_leaves_itself_alone_or_nothing(path: Path, keep: Keep, settled: bool) -> None:
    kept = keep()
    kept.begin("c0")
    badge = kept.journal.badge
    assert badge is not None
    assert badge.link(path.with_name("a.lock"), b"{}")
    path.with_name("a.lock").unlink()
    kept.journal.close(settled=settled)
    kept.journal.close(settled=settled)
    assert names(path.parent) == ([] if settled else [path.name])
