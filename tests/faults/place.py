"""Where one fault is tried: a user's place, an API, the runs made there, what became of them."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.bench import Bench
from tests.faults.reckoning import Outcome, reckon
from tests.faults.run import Run, Steps, next_start, proxies_of_place
from tests.faults.upstream import Upstream, wait_for


class Place:
    """One bench and one upstream. Runs that are made here are reckoned together."""

    def __init__(self, fault: str, bench: Bench, upstream: Upstream) -> None:
        self.bench = bench
        self.upstream = upstream
        self.outcome = Outcome(fault=fault)
        self.rotated: list[Path] = []
        """Files that have been the ledger before."""
        self.runs: list[Run] = []
        self._numbers = itertools.count(1)
        self._settled = False

    def run(
        self,
        *,
        forward: bool = False,
        patient: bool = True,
        gateway: str | None = None,
        steps: Steps | None = None,
    ) -> Run:
        """Start a run."""
        made = Run(
            self.bench,
            self.upstream,
            forward=forward,
            patient=patient,
            gateway=gateway,
            steps=steps,
            numbers=self._numbers,
        )
        self.runs.append(made)
        self.outcome.runs += 1
        return made

    def whole(self, run: Run, call: str) -> None:
        """A call that had to go well."""
        told = run.done(call)
        if not told["whole"] or told["status"] != 200:
            self.outcome.problems.append(f"{call} did not go well: {told}")

    def ended(self, run: Run, status: int = 0) -> None:
        """The run ends, with the status that its command had."""
        found = run.end(tell=status <= 0)
        if found != status:
            self.outcome.problems.append(f"exit status {found}, not {status}: {run.said()}")

    def settle(self) -> None:
        """Start tokenproxy once more and reckon, if that was not done."""
        if not self._settled:
            self._settled = True
            # A launcher that has waited long enough leaves its proxy to settle by itself.
            wait_for(lambda: not proxies_of_place(self.bench), "a proxy stays")
            next_start(self.bench)
            self.check()

    def check(self) -> None:
        """Hold the ledger against what reached the API."""
        reckon(self.outcome, self.bench, self.upstream, self.runs, *self.rotated)


@contextmanager
def place(fault: str) -> Iterator[Place]:
    """A place of its own, reckoned when the faults are over and tokenproxy started once more."""
    with tempfile.TemporaryDirectory(prefix="faults-") as root, Upstream() as upstream:
        made = Place(fault, Bench(Path(root)), upstream)
        try:
            yield made
            made.settle()
        except Exception as error:  # noqa: BLE001 - a fault of the harness or a hang: both are told
            made.outcome.problems.append(f"{type(error).__name__}: {error}")
        finally:
            for run in made.runs:
                run.reap()
            made.outcome.kills += sum(run.kills for run in made.runs)
            made.outcome.stops += sum(run.stops for run in made.runs)
