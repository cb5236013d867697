"""What the prefix costs: the same command without and with ``tokenproxy run --``, in turns.

    python benchmarks/prefix.py [ROUNDS]

Prints the median wall-clock time of both and their difference. ``true`` shows
the bare start and end; the sample agent (eight calls, some tools) what remains
of it beside real work.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tokenproxy.simulator.server import Simulator
from tokenproxy.units import duration

AGENT = [sys.executable, "-m", "tokenproxy.simulator.agent"]
PREFIX = [sys.executable, "-m", "tokenproxy", "run", "--no-summary", "--"]
SOURCE = str(Path(__file__).parents[1])


def timed(command: list[str], env: dict[str, str], cwd: Path) -> float:
    """Milliseconds until the command has ended; it must succeed."""
    start = time.perf_counter()
    subprocess.run(command, env=env, cwd=cwd, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - start) * 1000


def compare(name: str, command: list[str], env: dict[str, str], cwd: Path, rounds: int) -> None:
    timed([*PREFIX, *command], env, cwd)  # the first run of an installation checks itself
    pairs = [
        (timed(command, env, cwd), timed([*PREFIX, *command], env, cwd)) for _ in range(rounds)
    ]
    without, prefixed = (statistics.median(times) for times in zip(*pairs, strict=True))
    print(
        f"{name:<14} without {duration(without):>8}   with {duration(prefixed):>8}"
        f"   difference {duration(prefixed - without):>8}   ratio {prefixed / without:.2f}"
    )


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with tempfile.TemporaryDirectory() as directory, Simulator("demo") as simulator:
        work = Path(directory)
        env = {
            "PATH": os.environ["PATH"],
            "HOME": directory,
            "PYTHONPATH": SOURCE,
            "TOKENPROXY_STATE_DIR": str(work / "state"),
            "TOKENPROXY_LEDGER": str(work / "provider_usage.jsonl"),
        }
        compare("true", ["true"], env, work, rounds)
        compare("sample agent", AGENT, env | {"ANTHROPIC_BASE_URL": simulator.url}, work, rounds)


if __name__ == "__main__":
    main()
