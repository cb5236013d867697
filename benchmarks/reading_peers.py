"""A ledger summed up by tokenproxy, and the same calls by jq and by ccusage, in turns.

    python -m benchmarks.reading_peers [ROWS] [ROUNDS]

jq reads the ledger too and adds up calls, tokens and money by day, which is less than the report
does. ccusage (``npm install ccusage``; found on PATH) reads Claude Code's transcripts, so it is
given the calls that succeeded in that form. Prints medians and ratios; what is not installed is
left out. CPU seconds tell more than the clock where other programs run. tokenproxy is asked twice:
to read all of the ledger, and to use the columns that earlier reports kept.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.ledger_rows import write_ledger, write_transcripts
from benchmarks.reading import Took

ROWS, ROUNDS = 1_000_000, 5
OURS, KEPT = "tokenproxy", "of columns"
JQ = """
reduce inputs as $row ({}; .[$row.timestamp[:10]] |= {
  calls: (.calls + 1),
  input: (.input + ($row.input_tokens // 0)),
  output: (.output + ($row.output_tokens // 0)),
  cost: (.cost + ($row.provider_cost_usd // $row.cost_usd // 0))
})
"""


def run(command: Sequence[str], env: Mapping[str, str], out: Path) -> Took:
    """Run a command to its end; it must succeed."""
    began = time.monotonic()
    with out.open("wb") as file:
        process = subprocess.Popen(list(command), env=env, stdout=file)
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(command))
    return Took(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6)


def commands(ledger: Path) -> dict[str, list[str]]:
    """Program -> how it is asked."""
    report = [sys.executable, "-m", "tokenproxy", "report", "--by", "day", "--utc", "--json"]
    found = {
        OURS: [*report, "--cache", "off", "--ledger", str(ledger)],
        KEPT: [*report, "--ledger", str(ledger)],
    }
    if jq := shutil.which("jq"):
        found["jq"] = [jq, "-n", JQ, str(ledger)]
    if ccusage := shutil.which("ccusage"):
        found["ccusage"] = [ccusage, "daily", "--json", "--offline", "--timezone", "UTC"]
    return found


def output_tokens(name: str, out: Path) -> int:
    """The sum that a program came to: all must come to the same."""
    made = json.loads(out.read_bytes())
    if name in {OURS, KEPT}:
        return int(made["total"]["output_tokens"])
    if name == "jq":
        return sum(int(day["output"]) for day in made.values())
    return int(made["totals"]["outputTokens"])


def main() -> int:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else ROUNDS  # noqa: PLR2004 - the second one
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        work = Path(directory)
        ledger = work / "ledger.jsonl"
        write_ledger(rows, ledger)
        asked = commands(ledger)
        if "ccusage" in asked:
            write_transcripts(rows, work / "claude")
        env = {
            "PATH": os.environ["PATH"], "HOME": directory, "CLAUDE_CONFIG_DIR": f"{work}/claude",
            "PYTHONPATH": str(Path(__file__).parents[1]), "TOKENPROXY_STATE_DIR": f"{work}/state",
        }  # fmt: skip
        took: dict[str, list[Took]] = {name: [] for name in asked}
        sums = {}
        for _ in range(2):
            run(asked[KEPT], env, work / KEPT)
        for number in range(rounds):
            for name, command in asked.items():
                if number and name == "jq":
                    continue  # it takes many times as long, and once is enough to see that
                took[name].append(run(command, env, work / name))
                sums[name] = output_tokens(name, work / name)
        if len(set(sums.values())) != 1:
            print(f"benchmarks: they do not come to the same: {sums}", file=sys.stderr)
            return 1
        print(f"{rows:,} calls, {ledger.stat().st_size / 1e6:,.0f} MB of ledger")
        own = _medians(took[OURS])
        for name, runs in took.items():
            mine = _medians(runs)
            print(
                f"{name:<12} {mine.seconds:7.2f} s  {mine.cpu_s:7.2f} s of CPU"
                f"  {mine.peak_mb:6.0f} MB   ratio {mine.seconds / own.seconds:6.2f}"
                f"  of CPU {mine.cpu_s / own.cpu_s:6.2f}"
            )
    return 0


def _medians(runs: Sequence[Took]) -> Took:
    return Took(
        statistics.median(one.seconds for one in runs),
        statistics.median(one.cpu_s for one in runs),
        statistics.median(one.peak_mb for one in runs),
    )


if __name__ == "__main__":
    sys.exit(main())
