"""What ``ledger ship`` costs: ``python -m benchmarks.ship [ROWS]``.

A ledger as a team's gateway writes it goes to a collector that takes all and keeps nothing: its
spans, then its spans and measurements. Rows a second are by the clock, the rest is of the command's
own process.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.ledger_rows import write_ledger
from benchmarks.peers.tokenproxy import program
from benchmarks.record import collector

ROWS = 50_000
MB = 1e6


def main() -> None:
    """Measure and print."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with tempfile.TemporaryDirectory() as name, collector() as address:
        ledger = Path(name) / "ledger.jsonl"
        write_ledger(rows, ledger)
        for signals in ("traces", "both"):
            _ship(ledger, signals, address, Path(name))


def _ship(ledger: Path, signals: str, address: str, state: Path) -> None:
    command = [
        program(), "ledger", "ship", "--json", "--ledger", str(ledger), "--signals", signals,
    ]  # fmt: skip
    env = {
        "PATH": os.environ["PATH"],
        "TOKENPROXY_STATE_DIR": str(state),
        "OTEL_EXPORTER_OTLP_ENDPOINT": address,
    }
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, check=True)
    took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    told = json.loads(done.stdout)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(
        f"{signals:6}: {told['shipped']:,} rows as {told['spans']:,} spans and"
        f" {told['points']:,} points in {took:.1f} s, {told['shipped'] / took:,.0f} rows/s;"
        f" {used / told['shipped'] * 1e6:.0f} us of a core a row,"
        f" {after.ru_maxrss * 1024 / MB:.0f} MB at most"
    )


if __name__ == "__main__":
    main()
