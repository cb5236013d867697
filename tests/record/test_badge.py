from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.record.make import names
from tokenproxy.record.badge import Badge, badge_of


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "ledger.lock"


@pytest.fixture
def badge(tmp_path: Path) -> Iterator[Badge]:
    made = Badge(tmp_path / "mine.badge")
    yield made
    made.remove()


def test_a_lock_is_a_link_and_says_who_holds_it(tmp_path: Path, lock: Path, badge: Badge) -> None:
    assert names(tmp_path) == []
    assert badge.link(lock, b"we, there")
    assert lock.read_bytes().rstrip() == b"we, there"
    assert lock.stat().st_nlink == 2
    lock.unlink()
    assert badge.link(lock, b"we, here")
    assert lock.read_bytes().rstrip() == b"we, here"
    lock.unlink()
    badge.remove()
    assert names(tmp_path) == []


def test_a_name_that_is_taken_is_not_replaced(lock: Path, badge: Badge) -> None:
    lock.mkdir()
    with pytest.raises(FileExistsError):
        badge.link(lock, b"we")
    lock.rmdir()
    lock.write_bytes(b"others")
    with pytest.raises(FileExistsError):
        badge.link(lock, b"we")
    assert lock.read_bytes() == b"others"


def test_no_two_locks_are_of_one_moment(lock: Path, badge: Badge) -> None:
    """Whoever finds one dead must not take the next for it."""
    moments = set()
    for _ in range(100):
        assert badge.link(lock, b"we")
        moments.add(lock.stat().st_mtime_ns)
        lock.unlink()
    assert len(moments) == 100


def test_one_that_somebody_removed_is_made_again(tmp_path: Path, lock: Path, badge: Badge) -> None:
    assert badge.link(lock, b"we")
    lock.unlink()
    (tmp_path / "mine.badge").unlink()
    assert not badge.link(lock, b"we")
    assert badge.link(lock, b"we")
    assert lock.read_bytes().rstrip() == b"we"


@pytest.mark.parametrize("fault", [errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK])
def test_where_there_are_no_links_it_is_given_up(
    tmp_path: Path, lock: Path, badge: Badge, monkeypatch: pytest.MonkeyPatch, fault: int
) -> None:
    asked = []

    def refuse(*_: object) -> None:
        asked.append(fault)
        raise OSError(fault, os.strerror(fault))

    monkeypatch.setattr(os, "link", refuse)
    assert not badge.link(lock, b"we")
    assert not badge.link(lock, b"we")
    assert len(asked) == 1
    assert names(tmp_path) == []


def test_a_full_disk_is_another_matter_the_next_time(
    lock: Path, badge: Badge, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        assert not badge.link(lock, b"we")
    assert badge.link(lock, b"we")


def test_one_that_cannot_be_made_is_no_fault(tmp_path: Path, lock: Path) -> None:
    badge = Badge(tmp_path / "nowhere" / "mine.badge")
    assert not badge.link(lock, b"we")
    (tmp_path / "file").touch()
    badge = Badge(tmp_path / "file" / "mine.badge")
    assert not badge.link(lock, b"we")
    badge.remove()


def test_it_lies_beside_the_journal(tmp_path: Path) -> None:
    assert badge_of(tmp_path / "journal-3.jsonl") == tmp_path / "journal-3.badge"
