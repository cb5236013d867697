"""Two containers that share a ledger by a volume: each numbers its processes from 1.

A real namespace of process ids stands for a container; with the kernel's file locks, which all
containers of a machine share, and on a file system that has none.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.bench import wait_until
from tests.record.make import RUN, names
from tokenproxy.record import journal
from tokenproxy.record.journal import disown, own_dead
from tokenproxy.record.lock import LedgerBusyError, open_locked
from tokenproxy.record.lock_file import FOREIGN_GONE_S, FOREIGN_STALE_S, holder_of, ourselves
from tokenproxy.record.recorder import Recorder

HERE = Path(__file__).parents[1]
APART = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")

HOLD = """
import os, pathlib, sys
from tokenproxy.record.lock import open_locked
with open_locked(pathlib.Path(sys.argv[1]), 5):
    print("held", flush=True)
    sys.stdin.readline()
"""
OWN = """
import pathlib, sys
from tests.record.make import RUN
from tokenproxy.record.journal import Header, Journal, Mark
journal = Journal(pathlib.Path(sys.argv[1]), Header(run=RUN, ledger="/l", mark=Mark()))
print("held", flush=True)
sys.stdin.readline()
"""


def _can_be_apart() -> bool:
    if sys.platform != "linux" or shutil.which("unshare") is None:
        return False
    return subprocess.run([*APART, "true"], capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(not _can_be_apart(), reason="no namespace can be made here")


@contextmanager
def container(script: str, path: Path, *, locks: bool) -> Iterator[subprocess.Popen[str]]:
    """A process of a container of its own; it holds what the script takes."""
    paths = [str(HERE.parent)] if locks else [str(HERE / "faults" / "no_locks"), str(HERE.parent)]
    process = subprocess.Popen(
        [*APART, sys.executable, "-c", script, str(path)],
        env={**os.environ, "PYTHONPATH": ":".join(paths)},
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
            kill(process)


def kill(process: subprocess.Popen[str]) -> None:
    """With all that is in the container."""
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(0.05)  # its first process dies of its parent's death


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "provider_usage.jsonl"


def lock_of(ledger: Path) -> Path:
    return ledger.with_name(f"{ledger.name}.lock")


def aged(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_its_ids_mean_nothing_here(ledger: Path) -> None:
    with container(HOLD, ledger, locks=True):
        holder = holder_of(lock_of(ledger))
        assert holder is not None
        assert (holder.pid, holder.boot, holder.host) == (1, ourselves().boot, ourselves().host)
        assert not holder.seen


def test_with_locks_the_living_holds_and_the_dead_does_not(ledger: Path) -> None:
    with container(HOLD, ledger, locks=True) as process:
        aged(lock_of(ledger), 1e6)
        with pytest.raises(LedgerBusyError), open_locked(ledger, 0.6):
            pass
        kill(process)
        with open_locked(ledger, 1):
            assert holder_of(lock_of(ledger)) is not None
    assert names(ledger.parent) == [ledger.name]


@pytest.mark.usefixtures("no_locks")
def test_without_locks_the_living_holds_and_the_dead_does_not_for_long(ledger: Path) -> None:
    with container(HOLD, ledger, locks=False) as process:
        aged(lock_of(ledger), FOREIGN_STALE_S / 2)
        with pytest.raises(LedgerBusyError), open_locked(ledger, 0.6):
            pass
        kill(process)
        with pytest.raises(LedgerBusyError), open_locked(ledger, 0.1):
            pass
        aged(lock_of(ledger), FOREIGN_STALE_S + 1)
        with open_locked(ledger, 1):
            pass
    assert names(ledger.parent) == [ledger.name]


@pytest.mark.usefixtures("no_locks")
def test_without_locks_who_was_stopped_frees_nobody_elses_lock(ledger: Path) -> None:
    with container(HOLD, ledger, locks=False) as process:
        aged(lock_of(ledger), FOREIGN_STALE_S + 1)  # stopped for so long
        with open_locked(ledger, 1):
            process.communicate("\n")
            assert process.returncode == 0
            assert lock_of(ledger).exists()
    assert names(ledger.parent) == [ledger.name]


def test_with_locks_a_journal_is_its_living_owners(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "r" / "journal-1.jsonl"
    with container(OWN, path, locks=True) as process:
        aged(path, 1e6)
        assert own_dead(path) is None
        kill(process)
        fd = own_dead(path)
        assert fd is not None
        disown(fd, path)


@pytest.mark.usefixtures("no_locks")
def test_without_locks_too_and_the_deads_is_had_in_a_day(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "r" / "journal-1.jsonl"
    with container(OWN, path, locks=False) as process:
        aged(path, FOREIGN_GONE_S / 2)
        assert own_dead(path) is None
        kill(process)
        assert own_dead(path) is None, "nobody here can know"
        aged(path, FOREIGN_GONE_S + 1)
        fd = own_dead(path)
        assert fd is not None
        disown(fd, path)


@pytest.mark.usefixtures("no_locks")
def test_without_locks_a_recorder_that_has_nothing_to_do_shows_that_it_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "BEAT_S", 0.05)
    path = tmp_path / "runs" / "r" / "journal-1.jsonl"
    recorder = Recorder(run=RUN, ledger=tmp_path / "ledger", journal=path)
    recorder.start()
    try:
        for _ in range(3):
            aged(path, FOREIGN_GONE_S + 1)
            wait_until(lambda: time.time() - path.stat().st_mtime < FOREIGN_GONE_S / 2)
    finally:
        recorder.finish(None)
    assert names(path.parent) == []
