"""Kill everything at every step, and hold the account against the API's own log.

    python -m tests.faults
    python -m tests.faults --quick --jobs 2
    python -m tests.faults --from tests/faults/last.json

Prints a line a fault; the status is 1 where a row was lost, doubled, torn or wrong, where a fault
tried nothing, and where a whole run has killed too little to say anything.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path

import msgspec

from tests.faults import crew, plan
from tests.faults.reckoning import Outcome, merged
from tests.faults.table import back, table

SHOWN = 40
"""Problems that are printed."""
ENOUGH = 2_000
"""Kills of a whole run."""
LONGEST_S = 1_200
"""For a fault to come to its end: one that hangs, or whose process is gone, is a fault too."""


def main() -> int:
    """Try all; the exit status."""
    options = _options()
    if options.source:
        kept = msgspec.json.decode(options.source.read_bytes(), type=list[Outcome])
        return _show(kept)
    # Told to end: by way of the crew, which ends its processes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    begun = time.monotonic()
    kept = try_all(plan.quick() if options.quick else plan.full(), options.jobs)
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(kept)) + b"\n")
    status = _show(kept)
    sys.stderr.write(f"{time.monotonic() - begun:.0f} s\n")
    kills = sum(one.kills for one in kept)
    if not options.quick and kills < ENOUGH:
        sys.stdout.write(f"- only {kills} kills, of {ENOUGH} that a whole run must have\n")
        return 1
    return status


def try_all(jobs: list[plan.Job], at_once: int) -> list[Outcome]:
    """What became of each fault, tried in processes of their own."""
    outcomes: dict[int, Outcome] = {}
    for number, one in crew.tried(jobs, at_once, LONGEST_S):
        outcomes[number] = one
        note = "" if one.sound else "  NOT SOUND"
        sys.stderr.write(f"{len(outcomes)}/{len(jobs)} {one.fault}: {one.kills} kills{note}\n")
    return merged([outcomes[number] for number in sorted(outcomes)])


def _show(outcomes: list[Outcome]) -> int:
    sys.stdout.write(f"{table(outcomes)}\n\n{back(outcomes)}\n")
    problems = [f"{one.fault}: {problem}" for one in outcomes for problem in one.problems]
    for problem in problems[:SHOWN]:
        sys.stdout.write(f"- {problem}\n")
    return 0 if all(one.sound for one in outcomes) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m tests.faults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="each fault at some of its steps")
    parser.add_argument("--jobs", type=int, default=4, help="faults tried at once (default 4)")
    parser.add_argument("--json", type=Path, help="keep the outcomes in this file")
    parser.add_argument(
        "--from", dest="source", type=Path, metavar="FILE", help="show what such a file holds"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
