"""The recorder alone, killed at every step it takes: thousands of deaths in little time.

A process that has all modules loaded forks one for each death. The child records some calls
with the real recorder (journal, rewriting of the journal, ledger, recovery) and dies at its
n-th step (see ``steps/sitecustomize.py``); a further child is the next start, which settles.
What was announced in a pipe before the death is the truth.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from tests.faults.reckoning import Outcome, merged, read_strictly
from tests.faults.steps.sitecustomize import Steps
from tests.record.make import end, part, reading, start
from tokenproxy.config import IterationEnd, RunContext
from tokenproxy.record import journal, recovery
from tokenproxy.record.price import Prices
from tokenproxy.record.recorder import Recorder
from tokenproxy.wire.usage import RequestFacts

CALLS = 3
MOST = 400
KINDS = {
    "recorder: SIGKILL at its n-th step": "kill",
    "recorder: SIGKILL in the middle of its n-th write": "half",
}


class Told(msgspec.Struct):
    """What one death's calls had come to."""

    opened: set[str] = msgspec.field(default_factory=set)
    """Acknowledged by the journal: such a request goes to the API."""
    ended: set[str] = msgspec.field(default_factory=set)


def killed(fault: str, *, first: int = 1, last: int = MOST, rewriting: bool = True) -> Outcome:
    """One life for each step from ``first`` on, until three in a row come to their end."""
    outcome = Outcome(fault=fault)
    how = KINDS[fault]
    Prices().load()  # once, before the forks
    whole = 0  # not all lives have as many steps: some of them wait for each other
    for at in range(first, last):
        with tempfile.TemporaryDirectory(prefix="faults-") as root:
            died = _life(outcome, Path(root), at, how, rewriting=rewriting)
        whole = 0 if died else whole + 1
        if whole == 3:
            return outcome
    return outcome


def _life(outcome: Outcome, root: Path, at: int, how: str, *, rewriting: bool) -> bool:
    """One recorder that dies at a step, and the next start. Whether it died."""
    read, write = os.pipe()
    outcome.runs += 1
    status = _forked(lambda: _record(root, at, how, write, rewriting=rewriting))
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        told = Told()
        for line in pipe:
            word, name = line.decode().split()
            (told.opened if word == "opened" else told.ended).add(name)
    died = status == -signal.SIGKILL
    outcome.kills += died
    if not died and status:
        outcome.problems.append(f"step {at}: the recorder ended with {status}")
    if _forked(lambda: _settle(root)):
        outcome.problems.append(f"step {at}: the next start failed")
    _reckon(outcome, root, told, f"{how} at step {at}")
    return died


def _record(root: Path, at: int, how: str, pipe: int, *, rewriting: bool) -> None:
    """The child's life: some calls, one after the other and two at once."""
    if rewriting:
        journal.Journal.COMPACT_BYTES = 500
    steps = Steps(str(root), str(root / "steps.log"), str(at), how)
    say = steps.write
    run = RunContext(run_id="run-1", trace_id="1" * 32, span_id="1" * 16, started_ns=1)
    place = root / "runs" / "run-1"
    os.write = steps.writing  # type: ignore[assignment] # bytes are all that is written
    sys.addaudithook(steps.hook)
    recorder = Recorder(
        run=run,
        ledger=root / "provider_usage.jsonl",
        journal=place / "journal-0.jsonl",
        runs=root / "runs",
    )
    recorder.start()
    for number in range(CALLS):
        names = [f"c-{number}", f"d-{number}"]
        for name in names:
            recorder.opened(start(name), partial(_say, say, pipe, f"opened {name}"))
            recorder.asked(name, RequestFacts(model="claude-opus-5-5", stream=True))
        for name in names:
            first_word = reading(part(output_tokens=1), completeness="partial", ended=False)
            recorder.progressed(name, first_word)
            time.sleep(0.002)
            recorder.closed(name, end())
            _say(say, pipe, f"ended {name}")
        time.sleep(0.002)
    recorder.finish(IterationEnd(ended_ns=1, exit_status=0))


def _say(write: Callable[[int, bytes], int], pipe: int, line: str) -> None:
    write(pipe, line.encode() + b"\n")


def _settle(root: Path) -> None:
    """The next start."""
    recovery.recover(root / "runs", wait_s=5)


def _reckon(outcome: Outcome, root: Path, told: Told, when: str) -> None:
    rows, torn = read_strictly(root / "provider_usage.jsonl")
    found = Counter(str(row["call_id"]) for row in rows)
    outcome.torn += torn
    outcome.expected += len(told.opened)
    outcome.found += len(told.opened & found.keys())
    outcome.duplicated += sum(found.values()) - len(found)
    outcome.unsent += len(found.keys() - told.opened)
    tell = outcome.problems.append
    for name in sorted(told.opened - found.keys()):
        tell(f"{when}: {name} has no row")
    for row in rows:
        if row["output_tokens" if row["completeness"] != "none" else "success"] not in (5, 1, 0):
            tell(f"{when}: {row['call_id']} has counts that were never told")
        if (row["completeness"] == "final") != (row.get("output_tokens") == 5):
            tell(f"{when}: {row['call_id']} is {row['completeness']} with {row}")
    left = [path.name for path in (root / "runs").glob("*/*")]
    left += [path.name for path in root.glob("provider_usage.jsonl.*")]
    for name in left:
        tell(f"{when}: {name} is left")


def _forked(work: Callable[[], None]) -> int:
    """Do it in a process of its own; its exit status, minus the signal that ended it."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:  # noqa: BLE001 - a forked child must not go on as its parent
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main() -> None:
    """``python -m tests.faults.recorder FAULT FIRST TIMES``: the outcome as JSON."""
    fault, first, times = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    lives = [
        killed(fault, first=first, rewriting=rewriting)
        for rewriting in (True, False)
        for _ in range(times)
    ]
    sys.stdout.write(msgspec.json.encode(merged(lives)[0]).decode())


if __name__ == "__main__":
    main()
