"""Fuzz every target, guided by coverage: ``make fuzz``.

    python -m tests.fuzz [--seconds N] [--keep] [TARGET]...

The time is shared by the targets, two of which run at once. An input that breaks one is
printed, added to its corpus (where the test suite replays it), and makes the status 1.
With ``--keep`` the inputs that reach further replace the corpus.
"""

from __future__ import annotations

import argparse
import base64
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.fuzz import corpus
from tests.fuzz.targets import PLANTED, TARGETS

AT_ONCE = 2
SLOWEST_S = 10
"""An input that takes longer is a fault."""
MOST_MB = 2048
PLANTED_S = 20
_EXECUTIONS = re.compile(rb"stat::number_of_executed_units:\s*(\d+)")
_COVERAGE = re.compile(rb"cov: (\d+)")


class Outcome(NamedTuple):
    """What became of a target."""

    target: str
    executions: int
    coverage: int
    broke: list[bytes]
    log: bytes
    failed: bool


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    unknown = [name for name in options.targets if name not in TARGETS]
    if unknown:
        print(f"tests.fuzz: no target is called {unknown[0]}; there are {', '.join(TARGETS)}")
        return 2
    names = options.targets or list(TARGETS)
    seconds = max(options.seconds * AT_ONCE // len(names), 1)
    if not fuzz(PLANTED, PLANTED_S).broke:
        print("tests.fuzz: the planted fault is not found, so others would not be")
        return 1
    print(f"{len(names)} targets, {seconds} s each", flush=True)
    print(f"{'target':40} {'executions':>12} {'coverage':>9}")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = pool.map(lambda name: fuzz(name, seconds, keep=options.keep), names)
        return max([show(outcome) for outcome in outcomes], default=0)


def fuzz(target: str, seconds: int, *, keep: bool = False) -> Outcome:
    """Fuzz one target in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as directory:
        work = Path(directory)
        found, broken = work / "corpus", work / "broken"
        found.mkdir()
        broken.mkdir()
        known = [*corpus.seeds(target), *corpus.kept(target)]
        for number, one in enumerate(known):
            (found / f"known-{number}").write_bytes(one)
        done = _run(
            target, str(found), f"-max_total_time={seconds}", f"-timeout={SLOWEST_S}",
            f"-rss_limit_mb={MOST_MB}", f"-artifact_prefix={broken}/", "-print_final_stats=1",
            "-max_len=4096",
        )  # fmt: skip
        broke = [path.read_bytes() for path in sorted(broken.iterdir())]
        if keep and not done.returncode:
            # libFuzzer adds an input only if it leads further than all before it.
            new = [path for path in found.iterdir() if not path.name.startswith("known-")]
            corpus.keep(target, [*corpus.kept(target), *(path.read_bytes() for path in new)])
        elif broke and target != PLANTED:
            corpus.keep(target, [*corpus.kept(target), *broke])
        return Outcome(
            target, _last(_EXECUTIONS, done.stderr), _last(_COVERAGE, done.stderr), broke,
            done.stdout + done.stderr, failed=done.returncode != 0,
        )  # fmt: skip


def _run(target: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "tests.fuzz.one", target, *arguments],
        capture_output=True,
        check=False,
    )


def _last(pattern: re.Pattern[bytes], log: bytes) -> int:
    found = pattern.findall(log)
    return int(found[-1]) if found else 0


def show(outcome: Outcome) -> int:
    """Print a line, and what broke; returns the status."""
    print(f"{outcome.target:40} {outcome.executions:12,} {outcome.coverage:9,}", flush=True)
    if not outcome.failed:
        return 0
    for one in outcome.broke:
        print(f"  broken by {base64.b64encode(one).decode()}")
    print(outcome.log[-4000:].decode(errors="replace"), flush=True)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("--seconds", type=int, default=600, help="for all targets together")
    parser.add_argument("--keep", action="store_true", help="renew the corpus")
    return parser


if __name__ == "__main__":
    sys.exit(main())
