from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from tests.record.make import reading
from tokenproxy.record import seen as module
from tokenproxy.record.seen import SeenResults

LEDGER = Path("/books/a.jsonl")


def test_a_result_is_counted_once_however_often_it_is_fetched() -> None:
    seen = SeenResults(LEDGER)
    one, two, nameless = (reading(response_id=name) for name in ("a", "b", None))
    assert seen.new("p", [one, two, one]) == [one, two]
    assert seen.new("p", [two, nameless]) == [nameless]
    assert seen.new("p", [nameless]) == [nameless]
    assert seen.new("another", [one]) == [one]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 3)
    seen = SeenResults(LEDGER)
    items = [reading(response_id=f"m{n}") for n in range(5)]
    assert seen.new("p", items) == items
    assert seen.new("p", items[2:]) == []
    assert seen.new("p", items[:1]) == items[:1]


def test_another_process_knows_what_was_appended_and_only_that(tmp_path: Path) -> None:
    file = tmp_path / "seen"
    first, second = SeenResults(LEDGER, file), SeenResults(LEDGER, file)
    items = [reading(response_id=f"m{n}") for n in range(3)]
    assert first.new("p", items) == items
    first.keep("p", items[:2])
    assert second.new("p", items) == items[2:]
    first.keep("p", items[2:])
    assert SeenResults(LEDGER, file).new("p", items) == []
    assert SeenResults(Path("/books/b.jsonl"), file).new("p", items) == items
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_file_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 10)
    file = tmp_path / "seen"
    for number in range(100):
        SeenResults(LEDGER, file).keep("p", [reading(response_id=f"m{number}")])
    lines = file.read_bytes().splitlines()
    assert 10 <= len(lines) <= 21
    assert {len(line) for line in lines} == {32}
    last = [reading(response_id=f"m{n}") for n in range(90, 100)]
    assert SeenResults(LEDGER, file).new("p", last) == []


def test_a_file_that_cannot_be_used_is_nobodys_trouble(tmp_path: Path) -> None:
    seen = SeenResults(LEDGER, tmp_path)
    items = [reading(response_id="m")]
    assert seen.new("p", items) == items
    seen.keep("p", items)
    assert seen.new("p", items) == []


def test_nobody_waits_for_a_file_that_another_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAUSE_S", 0.0)
    file = tmp_path / "seen"
    items = [reading(response_id=f"m{n}") for n in range(3)]
    seen = SeenResults(LEDGER, file)
    with file.open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        seen.keep("p", items[:1])
        seen.close()
        assert file.read_bytes() == b""
    seen.keep("p", items[1:2])
    assert SeenResults(LEDGER, file).new("p", items) == items[2:]
    with file.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        seen.keep("p", items[2:])
    seen.close()
    assert SeenResults(LEDGER, file).new("p", items) == []
    assert len(file.read_bytes().splitlines()) == 3, "each once"
