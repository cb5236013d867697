"""Our processes die at each of their own steps: between any two things that they do to files.

See ``steps/sitecustomize.py`` for what a step is. These reach what no clock can: between the
ledger's write and the journal's close mark, in the middle of a write, during recovery itself.
"""

from __future__ import annotations

import shutil
import signal
import tempfile
from pathlib import Path

from tests.faults.place import Place, place
from tests.faults.reckoning import Outcome
from tests.faults.run import Steps, proxies_of_place
from tests.faults.upstream import wait_for

PROXY = "tokenproxy.proxy"
LAUNCHER = "tests.faults.launcher"
RECOVERY = "ledger recover"
MOST = 400
"""Steps that nothing of ours ever takes: something does not come to its end."""


def deaths(root: Path) -> int:
    """How many processes have died of a step."""
    log = root / "steps.log"
    return log.read_bytes().count(b"dies ") if log.exists() else 0


def proxy(*, how: str, first: int, last: int) -> Outcome:
    """Each generation dies one step later than the one before, which it had to recover."""
    with place("proxy: SIGKILL at the n-th step of its own") as here:
        run = here.run(steps=Steps(PROXY, f"{first}+", how))
        run.up()
        while deaths(here.bench.root) < last - first:
            run.one(stream=len(run.asked) % 4 > 0)
        # One that has nothing left to do must come to its end, whatever it dies of until then.
        here.ended(run)
        run.kills += deaths(here.bench.root)
    return here.outcome


def launcher(*, first: int, last: int, every: int = 1) -> Outcome:
    """Its proxy and its command, if they live by then, go on by themselves."""
    with place("launcher: SIGKILL at the n-th step of its own") as here:
        for at in range(first, last, every):
            run = here.run(steps=Steps(LAUNCHER, str(at)))
            wait_for(lambda run=run: run.command or run.process.poll() is not None, "no start")  # type: ignore[misc] # the loop's value
            if run.command:
                here.whole(run, run.ask())
            status = run.end()
            if status not in (0, -signal.SIGKILL):
                here.outcome.problems.append(f"exit status {status}: {run.said()}")
            (here.bench.root / "steps.log").unlink(missing_ok=True)
            run.kills += status == -signal.SIGKILL
            if run.command:
                # It was told to end; the proxy of a dead launcher then settles by itself.
                wait_for(lambda: not proxies_of_place(here.bench), "a proxy stays")
    return here.outcome


def recovery(*, how: str, dead_runs: int = 3, first: int = 1, every: int = 1) -> Outcome:
    """`tokenproxy ledger recover` on the journals of runs that were killed with all they had.

    It dies at its first step, then at its second, and so on until one comes to its end.
    """
    with place("recovery: SIGKILL at the n-th step of its own") as here:
        for number in range(dead_runs):
            run = here.run()
            run.up()
            here.whole(run, run.ask())
            run.one(stream=False)
            waiting = run.ask(fault=f"stall:{3 * number}")
            wait_for(lambda call=waiting, n=number: here.upstream.sent(call, 3 * n), "no answer")  # type: ignore[misc] # the loop's value
            dying = run.proxy()
            for pid in (run.process.pid, dying, run.command):
                run.hit(pid)
            here.ended(run, -signal.SIGKILL)
        with tempfile.TemporaryDirectory(prefix="faults-") as kept:
            _copy(here.bench.root, Path(kept))
            for at in range(first, MOST, every):
                _copy(Path(kept), here.bench.root)
                status = _recover(here, at, how)
                if status == 0:
                    break
                here.outcome.kills += 1
                here.outcome.runs += 1
    return here.outcome


def _recover(here: Place, at: int, how: str) -> int:
    """Recover, dying at a step; then once more, whole. The first one's status."""
    bench = here.bench
    (bench.root / "steps.log").unlink(missing_ok=True)
    env = Steps(RECOVERY, str(at), how).env(bench)
    died = bench.tokenproxy("ledger", "recover", env=env)
    again = bench.tokenproxy("ledger", "recover")
    if died.returncode not in (0, -signal.SIGKILL) or again.returncode:
        here.outcome.problems.append(f"{died.stderr!r} {again.stderr!r}")
    here.check()
    return died.returncode


def _copy(source: Path, target: Path) -> None:
    """The state and the ledger, as they were."""
    for name in ("state", "provider_usage.jsonl"):
        if (target / name).is_dir():
            shutil.rmtree(target / name)
        (target / name).unlink(missing_ok=True)
    shutil.copytree(source / "state", target / "state")
    if (source / "provider_usage.jsonl").exists():
        shutil.copy2(source / "provider_usage.jsonl", target / "provider_usage.jsonl")
