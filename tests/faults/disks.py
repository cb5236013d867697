"""What a disk can do to a ledger while runs write to it.

The call goes on, the row is kept in the journal and appended when that can be, the user is
told once. Disks are real where they can be had: a small tmpfs, for which tests must be root;
elsewhere a limit on the size of files (``RLIMIT_FSIZE``), which acts like a quota.
"""

from __future__ import annotations

import itertools
import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec

from tests.faults.place import Place, place
from tests.faults.reckoning import Outcome
from tests.faults.run import HERE, Run, next_start
from tests.faults.upstream import wait_for

CALLS = 3
FULL = "ledger's disk is full, then freed"
LIMITED = "ledger's quota is used up, then raised"
READ_ONLY = "ledger's disk becomes read-only, then writable"
INODES = "ledger's disk has no inodes left, then some"
STATE_FULL = "state directory's disk is full, then freed"
STATE_INODES = "state directory's disk has no inodes left"


class Trouble(msgspec.Struct, frozen=True):
    """A way in which a ledger cannot be written for a while."""

    fault: str
    begin: Callable[[Path], None]
    end: Callable[[Path], None]
    sentence: str
    """What the user must be told, in it."""


@contextmanager
def disk(here: Place) -> Iterator[Path]:
    """A disk of its own for the ledger."""
    with mounted(here.bench.root / "disk", "size=256k,nr_inodes=64") as where:
        use(here, where / "provider_usage.jsonl")
        yield where


@contextmanager
def mounted(where: Path, options: str) -> Iterator[Path]:
    """A disk of its own."""
    where.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", where], check=True)
    try:
        where.chmod(0o700)
        yield where
    finally:
        subprocess.run(["umount", "--lazy", where], check=True)


def use(here: Place, ledger: Path) -> None:
    """Let runs write to another ledger."""
    here.bench.ledger = ledger
    here.bench.env["TOKENPROXY_LEDGER"] = str(ledger)


def fill(where: Path) -> None:
    """Leave room for nothing, and first of all for no whole row."""
    with (where / "junk").open("wb", buffering=0) as junk:
        try:
            while True:
                junk.write(bytes(1024))
        except OSError:
            return


def free(where: Path) -> None:
    (where / "junk").unlink()


def take_inodes(where: Path) -> None:
    """Leave none for a new file."""
    (where / "many").mkdir()
    try:
        for number in itertools.count():
            (where / "many" / str(number)).touch()
    except OSError:
        return


def give_inodes(where: Path) -> None:
    shutil.rmtree(where / "many")


def read_only(where: Path) -> None:
    """As soon as nobody has a file open there for writing."""
    remount = ["mount", "-o", "remount,ro", str(where)]
    wait_for(
        lambda: subprocess.run(remount, capture_output=True, check=False).returncode == 0, "busy"
    )


def writable(where: Path) -> None:
    subprocess.run(["mount", "-o", "remount,rw", where], check=True)


TROUBLES = (
    Trouble(FULL, fill, free, "No space left on device"),
    Trouble(READ_ONLY, read_only, writable, "Read-only file system"),
    Trouble(INODES, take_inodes, give_inodes, "No space left on device"),
)
STATE_TROUBLES = (
    Trouble(STATE_FULL, fill, free, "No space left on device"),
    Trouble(STATE_INODES, take_inodes, give_inodes, "No space left on device"),
)


def until_the_next_start(trouble: Trouble) -> Outcome:
    """It lasts to the end of the run; the next start finds the disk well again."""
    with place(trouble.fault) as here, disk(here) as where:
        run = here.run()
        run.up()
        here.whole(run, run.ask())
        wait_for(here.bench.ledger.exists, "no first row")
        trouble.begin(where)
        for _ in range(CALLS):
            here.whole(run, run.ask())
        here.ended(run)
        told_once(here, run, trouble.sentence)
        trouble.end(where)
        here.settle()
    return here.outcome


def within_a_run(trouble: Trouble) -> Outcome:
    """It is over before the run is: the rows come, and there is nothing to tell."""
    with place(trouble.fault) as here, disk(here) as where:
        run = here.run()
        run.up()
        here.whole(run, run.ask())
        wait_for(here.bench.ledger.exists, "no first row")
        trouble.begin(where)
        for _ in range(CALLS):
            here.whole(run, run.ask())
        trouble.end(where)
        wait_for(lambda: here.bench.ledger.read_bytes().count(b"\n") > CALLS, "no rows")
        here.ended(run)
        told_once(here, run, None)
        here.settle()
    return here.outcome


def from_the_start() -> Outcome:
    """The disk is full when the run begins, and proxies are killed beside."""
    with place(FULL) as here, disk(here) as where:
        here.bench.ledger.touch()
        fill(where)
        run = here.run()
        run.up()
        for _ in range(CALLS):
            here.whole(run, run.ask())
            run.hit(run.proxy())
        here.whole(run, run.ask())
        here.ended(run)
        told_once(here, run, "No space left on device")
        free(where)
        here.settle()
    return here.outcome


def of_the_state(trouble: Trouble) -> Outcome:
    """The journal cannot be written; the ledger can, so nothing is lost of what is over.

    A proxy that is killed meanwhile is replaced by one that has no journal at all.
    """
    with place(trouble.fault) as here, mounted(here.bench.state, "size=2m,nr_inodes=128") as where:
        run = here.run()
        run.up()
        here.whole(run, run.ask())
        trouble.begin(where)
        for rows in range(2, CALLS + 2):
            here.whole(run, run.ask())
            wait_for(lambda rows=rows: _lines(here.bench.ledger) == rows, "no row")  # type: ignore[misc] # the loop's value
            run.hit(run.proxy())
        here.whole(run, run.ask())
        trouble.end(where)
        here.whole(run, run.ask())
        here.ended(run)
        if trouble.sentence not in run.said():
            here.outcome.problems.append(f"nothing is said of {trouble.sentence}: {run.said()}")
        here.settle()
    return here.outcome


def quota() -> Outcome:
    """No file may grow beyond a size that the ledger is about to reach."""
    with place(LIMITED) as here:
        run = here.run()
        run.up()
        for call in [run.ask() for _ in range(40)]:  # so that a journal is much smaller
            here.whole(run, call)
        here.ended(run)
        room = here.bench.ledger.stat().st_size + 100  # the middle of the next row
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        run = here.run()
        run.up()
        pid = run.proxy()
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (room, before[1]))
        for _ in range(CALLS):
            here.whole(run, run.ask())
        here.ended(run)
        told_once(here, run, "File too large")
    return here.outcome


def rotated(*, kill: bool) -> Outcome:
    """Moved away again and again beneath the writers, as logrotate does."""
    with place("ledger is rotated" + (", proxies are killed" if kill else "")) as here:
        run = here.run()
        run.up()
        for number in range(12):
            calls = [run.ask(fault=f"pause:{number}:0.02") for _ in range(3)]
            if here.bench.ledger.exists():
                aside = here.bench.ledger.with_name(f"usage.{number}")
                here.bench.ledger.rename(aside)
                here.rotated.append(aside)
            if kill and number % 3 == 2:
                run.hit(run.proxy())
            for call in calls:
                run.done(call)
        here.ended(run)
    return here.outcome


def replaced() -> Outcome:
    """Another file takes the ledger's place with what was in it, as editors save."""
    with place("ledger is replaced by a copy") as here:
        run = here.run()
        run.up()
        for _ in range(8):
            here.whole(run, run.ask())
            rows = len(run.asked)
            wait_for(lambda rows=rows: _lines(here.bench.ledger) == rows, "no row")  # type: ignore[misc] # the loop's value
            copy = here.bench.ledger.with_name("copy")
            shutil.copy2(here.bench.ledger, copy)
            copy.replace(here.bench.ledger)
        here.ended(run)
    return here.outcome


def linked() -> Outcome:
    """The ledger's name is a symbolic link; others write to the file by its own name."""
    with place("ledger is a symbolic link") as here:
        real = here.bench.root / "elsewhere" / "usage.jsonl"
        real.parent.mkdir()
        real.touch()
        here.bench.ledger.symlink_to(real)
        one = here.run()
        use(here, real)
        other = here.run()
        for run in (one, other):
            run.up()
        for _ in range(6):
            calls = [(run, run.ask()) for run in (one, other)]
            for run, call in calls:
                here.whole(run, call)
            one.hit(one.proxy())
        for run in (one, other):
            here.ended(run)
    return here.outcome


def without_locks() -> Outcome:
    """Every ``flock`` fails, the state directory's too; proxies and a whole run are killed."""
    with place("no file locks (ENOLCK), proxies are killed") as here:
        usual = here.bench.env["PYTHONPATH"]
        here.bench.env["PYTHONPATH"] = f"{HERE / 'no_locks'}:{usual}"
        one, other = here.run(), here.run()
        for run in (one, other):
            run.up()
        for number in range(4):
            calls = [run.ask(fault=f"stall:{3 * number}") for run in (one, other)]
            for call in calls:
                wait_for(partial(here.upstream.sent, call, 3 * number), "no answer")
            one.hit(one.proxy())
            other.hit(other.proxy())
            for run in (one, other):
                here.whole(run, run.ask())
        one.ask(fault="stall:4")
        last = one.asked[-1]
        wait_for(lambda: here.upstream.sent(last, 4), "no answer")
        for pid in (one.process.pid, one.proxy(), one.command):
            one.hit(pid)
        here.ended(one, -signal.SIGKILL)
        here.ended(other)
        next_start(here.bench)
        here.outcome.problems += [f"{path} is not settled" for path in here.bench.journals()]
        here.bench.env["PYTHONPATH"] = usual  # only with locks does anybody tidy up
    return here.outcome


def told_once(here: Place, run: Run, sentence: str | None) -> None:
    """What is wrong with the ledger is said in one line; nothing is, if nothing is."""
    lines = [line for line in run.said().splitlines() if "ledger" in line]
    if sentence is None and not lines:
        return
    if sentence is None or len(lines) != 1 or sentence not in lines[0]:
        here.outcome.problems.append(f"told {len(lines)} times, not {sentence}: {run.said()}")


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def can_mount() -> bool:
    """Whether disks can be had here."""
    return os.geteuid() == 0 and shutil.which("mount") is not None
