from __future__ import annotations

import errno
import os
import subprocess
import time
from pathlib import Path

import msgspec
import pytest

from tests.record.make import names
from tokenproxy.record import lock_file
from tokenproxy.record.badge import Badge
from tokenproxy.record.lock_file import (
    FOREIGN_STALE_S,
    holder_of,
    look,
    make,
    ourselves,
    remove_dead,
    take_by_name,
    tidy,
)


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "ledger.lock"


@pytest.fixture
def gone() -> int:
    """The id of a process that is no more."""
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


@pytest.mark.parametrize("badged", [False, True])
def test_it_says_who_made_it_and_is_made_once(lock: Path, tmp_path: Path, badged: bool) -> None:
    badge = Badge(tmp_path / "a.badge") if badged else None
    make(lock, ourselves(7, 11), badge)
    assert holder_of(lock) == ourselves(7, 11)
    with pytest.raises(FileExistsError):
        make(lock, ourselves(), None)
    if badge is not None:
        badge.remove()


@pytest.mark.parametrize("content", [b"", b"4711\n", b"\xff", b"{}"])
def test_what_says_nothing_has_no_holder(lock: Path, content: bytes) -> None:
    assert holder_of(lock) is None
    lock.write_bytes(content)
    assert holder_of(lock) is None


def test_who_lives_holds_it_unless_the_flock_says_otherwise(gone: int) -> None:
    us = ourselves()
    assert not us.dead(1e9, serialized=False)
    assert us.dead(0, serialized=True)
    assert msgspec.structs.replace(us, pid=gone).dead(0, serialized=False)


@pytest.mark.parametrize("unseen", [{"boot": "another"}, {"space": "another"}])
def test_of_a_process_that_cannot_be_seen_only_age_tells(unseen: dict[str, str], gone: int) -> None:
    other = msgspec.structs.replace(ourselves(), pid=gone, **unseen)
    assert not other.seen
    assert not other.dead(FOREIGN_STALE_S - 1, serialized=False)
    assert other.dead(FOREIGN_STALE_S + 1, serialized=False)


def test_another_container_has_our_kernel_and_so_our_flock() -> None:
    other = msgspec.structs.replace(ourselves(), space="another")
    assert other.dead(0, serialized=True)
    assert not msgspec.structs.replace(other, boot="another").dead(0, serialized=True)


def test_breaking_takes_only_what_was_found_dead(lock: Path) -> None:
    """Between the look and the break another writer may have taken the lock."""
    lock.mkdir()
    then = time.time() - 60
    os.utime(lock, (then, then))
    seen = look(lock)
    assert seen is not None
    lock.rmdir()
    lock.mkdir()
    remove_dead(lock, seen)
    assert lock.is_dir()
    assert names(lock.parent) == [lock.name]
    again = look(lock)
    assert again is not None
    remove_dead(lock, again)
    remove_dead(lock, again)
    assert look(lock) is None


def test_what_was_moved_aside_goes_with_its_breaker(lock: Path, gone: int) -> None:
    here = lock_file._space_number()
    dead, alive, elsewhere = (
        lock.with_name(f"{lock.name}{lock_file._ASIDE}{who}-1")
        for who in (f"{gone}@{here}", f"{os.getpid()}@{here}", f"{gone}@1{here}")
    )
    dead.touch()
    alive.mkdir()
    elsewhere.touch()  # of another container, where that id means another process
    tidy(lock.with_suffix(""))
    assert names(lock.parent) == sorted([alive.name, elsewhere.name])


def test_taken_for_long_it_is_its_process_that_tells(lock: Path, gone: int) -> None:
    assert take_by_name(lock, time.time)
    assert not take_by_name(lock, lambda: 0.0)
    lock.write_bytes(msgspec.json.encode(msgspec.structs.replace(ourselves(), pid=gone)))
    assert take_by_name(lock, time.time)
    assert holder_of(lock) == ourselves()


@pytest.mark.skipif(not ourselves().began, reason="this system does not tell when one began")
def test_another_process_of_the_same_id_is_another(lock: Path) -> None:
    """Ids are given out again: the dead one's must not keep what it held for ever."""
    us = ourselves()
    assert us.runs
    before = msgspec.structs.replace(us, began=us.began - 1)
    assert before.seen
    assert before.dead(0, serialized=False)
    lock.write_bytes(msgspec.json.encode(before))
    assert take_by_name(lock, time.time)
    assert msgspec.structs.replace(us, began=0).runs, "of an earlier version only the id is known"


def test_a_disk_that_takes_no_name_takes_no_lock(
    lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space"):
            take_by_name(lock, time.time)
    assert names(lock.parent) == []


def test_a_lock_is_ours_if_this_process_made_it(lock: Path) -> None:
    make(lock, ourselves(7, 11), None)
    assert lock_file.is_ours(lock)
    lock.write_bytes(msgspec.json.encode(msgspec.structs.replace(ourselves(), space="another")))
    assert not lock_file.is_ours(lock)
    lock.unlink()
    assert not lock_file.is_ours(lock)
