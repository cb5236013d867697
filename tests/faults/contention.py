"""Many writers of one ledger, killed at random, and the ancestor's beside them.

    python -m tests.faults.contention WRITERS ROWS SECONDS_BETWEEN_KILLS

One process that has the ledger's code loaded forks the writers and kills them, at times
after it has stopped them for a while. A writer that is killed is replaced: the new one
looks, as recovery does, whether the row that was under way is in the ledger, and goes on. So
every row is there once or there is a fault. Writers note in shared memory who is inside the
lock: two at once would be a living holder's lock that was broken.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import msgspec

from tests.faults.reckoning import Outcome, read_strictly
from tokenproxy.processes import running
from tokenproxy.record import ledger, lock_file
from tokenproxy.record.badge import Badge
from tokenproxy.record.lock import Locked
from tokenproxy.record.recovery import find_calls

FAULT = "ledger: {} writers, SIGKILLs, and the ancestor's"
WAIT_S = 120
STOPS = 0.02
STOPPED_S = 1.5
"""Longer than a lock without an owner is waited for."""

ANCESTOR = r"""
log=$1; said=$2; lock="$log.lock"; tmp="$log.tmp.$$"
n=0
while [ ! -e "$log.enough" ] && kill -0 $PPID 2>/dev/null; do
  printf '{"call_id": "bash-%s", "cost_usd": 1.060000}\n' "$n" > "$tmp"
  locked=
  for try in 1 2 3 4 5; do
    if mkdir "$lock" 2>/dev/null; then locked=1; break; fi
    sleep 0.1
  done
  cat "$tmp" >> "$log"; rm -f "$tmp"
  if [ -n "$locked" ]; then rmdir "$lock"; fi
  echo "bash-$n" >> "$said"
  n=$((n + 1))
done
"""


class Shared:
    """What the writers note: rows done and where the ledger ended then, by writer; who is
    inside the lock; how often two were."""

    def __init__(self, writers: int) -> None:
        self._map = mmap.mmap(-1, 8 * (2 * writers + 2))
        self.writers = writers
        self._inside, self._met = 2 * writers, 2 * writers + 1

    def __getitem__(self, at: int) -> int:
        number: int = struct.unpack_from("q", self._map, 8 * at)[0]
        return number

    def __setitem__(self, at: int, number: int) -> None:
        struct.pack_into("q", self._map, 8 * at, number)

    def enter(self) -> None:
        """This process has the lock."""
        before = self[self._inside]
        if before and running(before):
            self[self._met] += 1
        self[self._inside] = os.getpid()

    def leave(self) -> None:
        """It gives the lock back."""
        if self[self._inside] != os.getpid():
            self[self._met] += 1
        self[self._inside] = 0

    @property
    def met(self) -> int:
        """How often two living ones were inside."""
        return self[self._met]


def contended(writers: int, rows: int, pause_s: float, root: Path) -> Outcome:
    """Run it to its end."""
    outcome = Outcome(fault=FAULT.format(writers), runs=1)
    book, said = root / "provider_usage.jsonl", root / "said"
    said.touch()
    book.touch()
    shared = Shared(writers)
    dice = random.Random(writers)
    ancestor = subprocess.Popen(["bash", "-c", ANCESTOR, "ancestor", str(book), str(said)])
    pids = {_writer(book, shared, at, rows): at for at in range(writers)}
    stopped: dict[int, float] = {}
    while pids:
        time.sleep(pause_s * dice.random() * 2)
        _hit(dice, list(pids), stopped)
        for pid, status in _ended(pids):
            at = pids.pop(pid)
            if status == signal.SIGKILL:
                outcome.kills += 1
                pids[_writer(book, shared, at, rows)] = at
            elif status:
                outcome.problems.append(f"writer {at} ended with {status}")
    (root / "provider_usage.jsonl.enough").touch()
    ancestor.wait(30)
    names = said.read_text().split()
    hold(outcome, book, {f"w{at}-{n}" for at in range(writers) for n in range(rows)} | {*names})
    if shared.met:
        outcome.problems.append(f"two living writers were inside the lock {shared.met} times")
    ledger.append(book, [])  # what the next start would do
    lock_file.tidy(book)
    left = [path.name for path in root.glob("provider_usage.jsonl.lock*")]
    outcome.problems += [f"left behind: {name}" for name in left]
    return outcome


def hold(outcome: Outcome, book: Path, expected: set[str]) -> None:
    """Hold a ledger against the rows that were acknowledged."""
    found, outcome.torn = read_strictly(book)
    counted = Counter(str(row.get("call_id")) for row in found)
    outcome.expected = len(expected)
    outcome.found = len(expected & counted.keys())
    outcome.duplicated = sum(counted.values()) - len(counted)
    if counted.keys() - expected:
        outcome.problems.append(f"rows that nobody wrote: {counted.keys() - expected}")


def _hit(dice: random.Random, pids: list[int], stopped: dict[int, float]) -> None:
    """Kill one; now and then stop one instead, and only one: it may hold up all."""
    for pid in [pid for pid, until in stopped.items() if time.monotonic() > until]:
        del stopped[pid]
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    victim = dice.choice(pids)
    if not stopped and dice.random() < STOPS:
        os.kill(victim, signal.SIGSTOP)
        stopped[victim] = time.monotonic() + STOPPED_S
    elif victim not in stopped:
        os.kill(victim, signal.SIGKILL)


def _ended(pids: Iterable[int]) -> list[tuple[int, int]]:
    """Those that have ended, and how."""
    polled = [os.waitpid(pid, os.WNOHANG) for pid in pids]
    return [(pid, status) for pid, status in polled if pid]


def _writer(book: Path, shared: Shared, at: int, rows: int) -> int:
    """Fork a writer that goes on where its predecessor was killed."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    with contextlib.suppress(BaseException):
        _watch_the_lock(shared)
        _write(book, shared, at, rows)
        status = 0
    os._exit(status)


def _write(book: Path, shared: Shared, at: int, rows: int) -> None:
    under_way = f"w{at}-{shared[at]}"
    since = ledger.Mark(book.stat().st_ino, shared[shared.writers + at])
    if find_calls(book, {under_way}, since):
        shared[at] += 1
    # Half of them link their locks, as recorders do; the others make them, as recovery does.
    badge = Badge(book.with_name(f"w{at}-{os.getpid()}.badge")) if at % 2 else None
    for number in range(shared[at], rows):
        row = {"call_id": f"w{at}-{number}", "pad": "x" * (number * 37 % 3000)}
        line = json.dumps(row).encode() + b"\n"
        end = ledger.append(book, [line], wait_s=WAIT_S, badge=badge)
        shared[at], shared[shared.writers + at] = number + 1, end.size


def _watch_the_lock(shared: Shared) -> None:
    write = ledger._write

    def watched(locked: Locked, lines: list[bytes], path: Path) -> None:
        shared.enter()
        write(locked, lines, path)
        shared.leave()

    ledger._write = watched  # type: ignore[assignment] # the same, seen from outside


def main() -> None:
    writers, rows, pause_s = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    with tempfile.TemporaryDirectory(prefix="faults-") as root:
        outcome = contended(writers, rows, pause_s, Path(root))
    sys.stdout.write(msgspec.json.encode(outcome).decode() + "\n")


if __name__ == "__main__":
    main()
