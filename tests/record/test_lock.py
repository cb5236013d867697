from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from tests.record.make import names
from tokenproxy.record import lock as lock_module
from tokenproxy.record import turn
from tokenproxy.record.badge import Badge
from tokenproxy.record.lock import _COURTESY_S, LedgerBusyError, LedgerError, open_locked
from tokenproxy.record.lock_file import ANCESTOR_STALE_S, Holder, ourselves

HOLD = """
import sys, pathlib
from tokenproxy.record.badge import Badge
from tokenproxy.record.lock import open_locked
badge = Badge(pathlib.Path(sys.argv[2])) if sys.argv[2:] else None
with open_locked(pathlib.Path(sys.argv[1]), 5, badge=badge):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "provider_usage.jsonl"


def lock_of(ledger: Path) -> Path:
    return ledger.with_name(ledger.name + ".lock")


@contextmanager
def holder(ledger: Path, *badge: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(ledger), *badge],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_the_lock_is_there_while_held_and_gone_afterwards(ledger: Path) -> None:
    with open_locked(ledger, 1):
        written = msgspec.json.decode(lock_of(ledger).read_bytes(), type=Holder)
        assert written.pid == os.getpid()
        with pytest.raises(FileExistsError):
            lock_of(ledger).mkdir()
    assert names(ledger.parent) == [ledger.name]


def test_the_lock_is_freed_when_the_work_fails(ledger: Path) -> None:
    with pytest.raises(ZeroDivisionError), open_locked(ledger, 1):
        raise ZeroDivisionError
    assert not lock_of(ledger).exists()


def test_two_threads_of_one_process_exclude_each_other(ledger: Path) -> None:
    with open_locked(ledger, 1), pytest.raises(LedgerBusyError), open_locked(ledger, 0.05):
        pass


@pytest.fixture
def pause(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Passes the time, of which there is no other."""
    now = [1.0]

    def pass_(seconds: float) -> None:
        now[0] += max(seconds, 1e-6)  # less than it can show would never end

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return pass_


def test_a_killed_holder_is_no_holder(ledger: Path, pause: Callable[[float], None]) -> None:
    with holder(ledger) as process:
        process.kill()
        process.wait()
        assert lock_of(ledger).exists()
        began = time.monotonic()
        with open_locked(ledger, 5, pause):
            assert time.monotonic() - began < 1
    assert names(ledger.parent) == [ledger.name]


def test_of_a_killed_holder_with_a_badge_the_lock_is_taken_over_and_the_badge_stays(
    ledger: Path, tmp_path: Path
) -> None:
    badge = tmp_path / "runs" / "journal-0.badge"
    badge.parent.mkdir()
    with holder(ledger, badge) as process:
        assert lock_of(ledger).samefile(badge)
        process.kill()
        process.wait()
        with open_locked(ledger, 0.5):
            assert lock_of(ledger).samefile(badge)
    assert names(ledger.parent) == [ledger.name, "runs"]
    assert msgspec.json.decode(badge.read_bytes(), type=Holder).pid == process.pid


def test_a_living_holder_with_a_badge_is_never_broken(ledger: Path, tmp_path: Path) -> None:
    badge = tmp_path / "journal-0.badge"
    with holder(ledger, badge) as process:
        process.send_signal(signal.SIGSTOP)
        age(lock_of(ledger), 3_600)
        with pytest.raises(LedgerBusyError), open_locked(ledger, 0.3):
            pass
        assert lock_of(ledger).samefile(badge)


def test_without_links_the_lock_is_a_file_as_ever(
    ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    with open_locked(ledger, 1, badge=Badge(tmp_path / "mine.badge")):
        written = msgspec.json.decode(lock_of(ledger).read_bytes(), type=Holder)
        assert written.pid == os.getpid()
    assert names(ledger.parent) == [ledger.name]


@pytest.mark.skipif(not turn._KNOWN, reason="this system has no turns")
@pytest.mark.parametrize(("wait_s", "held_s"), [(5, _COURTESY_S), (0.02, 0.01), (0, 0)])
def test_who_comes_now_holds_back_for_who_has_the_turn_but_not_for_long(
    ledger: Path, pause: Callable[[float], None], wait_s: float, held_s: float
) -> None:
    ledger.touch()
    stopped = os.open(ledger, os.O_RDWR)
    assert turn.take(stopped)
    began = time.monotonic()
    with open_locked(ledger, wait_s, pause):
        assert held_s <= time.monotonic() - began <= 1.1 * held_s
    turn.give_back(stopped)
    with open_locked(ledger, 0):
        """Nobody waits: no wait at all is needed."""
    os.close(stopped)


@pytest.mark.skipif(not turn._KNOWN, reason="this system has no turns")
def test_who_waits_long_takes_the_turn_and_leaves_it(ledger: Path) -> None:
    seen: list[bool] = []
    looking = os.open(ledger, os.O_RDWR | os.O_CREAT)
    with open_locked(ledger, 1):

        def pause(seconds: float) -> None:
            time.sleep(seconds)
            seen.append(turn.taken(looking))

        with pytest.raises(LedgerBusyError), open_locked(ledger, 0.2, pause):
            pass
    assert seen[-1]
    assert not turn.taken(looking)
    os.close(looking)


def test_pauses_never_reach_beyond_the_wait(ledger: Path) -> None:
    slept: list[float] = []

    def pause(seconds: float) -> None:
        slept.append(seconds)
        time.sleep(seconds)

    began = time.monotonic()
    with (
        open_locked(ledger, 1),
        pytest.raises(LedgerBusyError),
        open_locked(ledger, 0.1, pause),
    ):
        pass
    assert 0 < min(slept) <= max(slept) <= 0.1
    assert sum(slept) <= time.monotonic() - began


def test_a_living_holder_is_never_broken_however_long_it_takes(ledger: Path) -> None:
    with holder(ledger) as process:
        process.send_signal(signal.SIGSTOP)
        age(lock_of(ledger), 3_600)
        with pytest.raises(LedgerBusyError), open_locked(ledger, 0.3):
            pass
        assert lock_of(ledger).exists()
        process.send_signal(signal.SIGCONT)
        process.communicate("\n")
        assert process.returncode == 0
    with open_locked(ledger, 1):
        pass


def test_the_ancestors_lock_is_waited_for(ledger: Path) -> None:
    lock_of(ledger).mkdir()
    freeing = threading.Timer(0.2, lock_of(ledger).rmdir)
    freeing.start()
    began = time.monotonic()
    with open_locked(ledger, 5):
        assert time.monotonic() - began >= 0.15
    freeing.join()


def test_the_ancestors_dead_lock_is_broken_by_its_age(ledger: Path) -> None:
    lock_of(ledger).mkdir()
    age(lock_of(ledger), 3)
    with open_locked(ledger, 0.5):
        assert lock_of(ledger).is_file()
    assert names(ledger.parent) == [ledger.name]


def test_a_time_stamp_alone_breaks_nothing(ledger: Path) -> None:
    """It may be a server's whose clock is behind, or ours was set while somebody held the lock."""
    lock_of(ledger).mkdir()
    age(lock_of(ledger), 1e6)
    with pytest.raises(LedgerBusyError), open_locked(ledger, lock_module._WATCHED_S / 2):
        pass
    assert lock_of(ledger).is_dir()


def test_a_ledger_whose_name_never_shows_the_file_that_was_opened_is_given_up(
    ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some file systems in user space give a file another inode each time."""
    monkeypatch.setattr(lock_module, "_is_there", lambda *_: False)
    with pytest.raises(LedgerBusyError), open_locked(ledger, 0.05):
        pass


def test_a_lock_from_the_future_is_broken_after_watching_it(
    ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_module, "ANCESTOR_STALE_S", 0.1)
    lock_of(ledger).mkdir()
    age(lock_of(ledger), -1e6)
    with open_locked(ledger, 5):
        pass


def test_a_lock_from_the_future_is_watched_from_try_to_try(
    ledger: Path, pause: Callable[[float], None]
) -> None:
    """A recorder never waits for long, and a clock may have been set back by hours."""

    def tries(seconds: float) -> None:
        for _ in range(int(seconds / 0.05)):
            with pytest.raises(LedgerBusyError), open_locked(ledger, 0.05, pause):
                pass

    for stamp in (-1e6, -2e6):  # another one begins anew
        lock_of(ledger).mkdir(exist_ok=True)
        age(lock_of(ledger), stamp)
        tries(ANCESTOR_STALE_S * 0.8)
    pause(ANCESTOR_STALE_S * 0.2 + 0.1)
    with open_locked(ledger, 0.05, pause):
        assert lock_of(ledger).is_file()
    assert lock_of(ledger) not in lock_module._in_our_way


@pytest.mark.parametrize("content", [b"", b"4711\nhost\n", b"\xff"])
def test_a_file_of_unknown_make_is_broken_by_its_age(ledger: Path, content: bytes) -> None:
    lock_of(ledger).write_bytes(content)
    with pytest.raises(LedgerBusyError), open_locked(ledger, 0.05):
        pass
    age(lock_of(ledger), 3)
    with open_locked(ledger, 0.5):
        pass


def test_a_lock_from_another_machine_is_broken_only_when_very_old(ledger: Path) -> None:
    lock_of(ledger).write_bytes(msgspec.json.encode(Holder(1, "elsewhere", "another boot")))
    age(lock_of(ledger), 30)
    with pytest.raises(LedgerBusyError), open_locked(ledger, 0.05):
        pass
    age(lock_of(ledger), 61)
    with open_locked(ledger, 0.5):
        pass


def test_a_file_system_without_flock_judges_by_the_process(
    ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    alive = ourselves()
    lock_of(ledger).write_bytes(msgspec.json.encode(alive))
    with pytest.raises(LedgerBusyError), open_locked(ledger, 0.05):
        pass
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    dead = msgspec.structs.replace(alive, pid=gone.pid)
    lock_of(ledger).write_bytes(msgspec.json.encode(dead))
    with open_locked(ledger, 0.5):
        pass


def test_a_ledger_moved_away_while_waiting_is_left_alone(ledger: Path) -> None:
    moved = ledger.with_name("rotated")
    with holder(ledger) as process:

        def rotate() -> None:
            time.sleep(0.1)
            ledger.rename(moved)
            process.communicate("\n")

        rotating = threading.Thread(target=rotate)
        rotating.start()
        with open_locked(ledger, 5) as locked:
            os.write(locked.fd, b"x\n")
        rotating.join()
    assert ledger.read_bytes() == b"x\n"
    assert moved.read_bytes() == b""


def test_a_ledger_replaced_while_the_ancestors_lock_is_waited_for_is_left_alone(
    ledger: Path,
) -> None:
    ledger.touch()
    lock_of(ledger).mkdir()
    new = ledger.with_name("new")
    new.touch()

    def replace(seconds: float) -> None:
        if lock_of(ledger).is_dir():
            new.rename(ledger)
            lock_of(ledger).rmdir()
        time.sleep(seconds)

    with ledger.open("rb") as old, open_locked(ledger, 5, replace) as locked:
        os.write(locked.fd, b"x\n")
        assert old.read() == b""
    assert ledger.read_bytes() == b"x\n"
    assert names(ledger.parent) == [ledger.name]


def test_only_a_file_can_be_a_ledger(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(LedgerError, match="not a regular file"), open_locked(tmp_path / "pipe", 1):
        pass


def test_a_lock_that_cannot_be_freed_does_not_undo_the_work(
    ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_locked(ledger, 1):
        monkeypatch.setattr(Path, "unlink", _refuse)


def _refuse(*_: object, **__: object) -> None:
    raise PermissionError(13, "Permission denied")
