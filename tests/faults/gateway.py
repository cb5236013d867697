"""`tokenproxy serve --workers`: its processes killed while clients call."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.place import Place, place
from tests.faults.reckoning import Outcome
from tests.faults.run import proxies_of
from tests.faults.upstream import EVENTS, WAIT_S, wait_for

WORKERS = 2
PAUSE_S = 0.2


@contextmanager
def serving(here: Place) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A gateway before the simulated API, and its base URL; ended as a service manager does."""
    said = here.bench.root / "gateway-stderr"
    route = f"api.anthropic.com={here.upstream.sim.url}"
    words = ["--listen", "127.0.0.1:0", "--workers", str(WORKERS), "--route", route]
    with said.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.launcher", "serve", *words],
            env=here.bench.env, cwd=here.bench.work, stdin=subprocess.DEVNULL, stderr=errors,
        )  # fmt: skip
    try:
        listening = re.compile(r"ANTHROPIC_BASE_URL=(\S+)")
        wait_for(lambda: listening.search(said.read_text()), "the gateway does not start")
        found = listening.search(said.read_text())
        assert found is not None
        yield process, found[1]
        process.send_signal(signal.SIGTERM)
        if status := process.wait(WAIT_S):
            here.outcome.problems.append(f"the gateway ended with {status}: {said.read_text()}")
    finally:
        process.kill()
        process.wait()


def workers_killed(seed: int, *, kills: int = 25) -> Outcome:
    """At any moment, with six calls at once; and each connection finds somebody again."""
    with place("gateway: SIGKILL of its workers at random") as here:
        dice = random.Random(seed)
        with serving(here) as (process, url):
            run = here.run(gateway=url)
            run.up()
            calls: list[str] = []
            for _ in range(kills):
                while len(calls) < 6:
                    fault = f"pause:{dice.randrange(EVENTS)}:{dice.random() * PAUSE_S}"
                    calls.append(run.ask(fault=fault))
                time.sleep(dice.random() * 2 * PAUSE_S)
                if workers := proxies_of(process.pid):
                    run.hit(dice.choice(workers))
                calls = [call for call in calls if not run.told(call, "done")]
            for call in calls:
                run.done(call)
            for call in [run.ask() for _ in range(2 * WORKERS)]:
                here.whole(run, call)
            here.ended(run)
    return here.outcome
