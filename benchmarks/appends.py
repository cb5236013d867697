"""Several processes that append rows to one ledger: how long one append takes.

python -m benchmarks.appends LEDGER SECONDS PAUSE_S   one of them; prints a histogram
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from benchmarks.histogram import bucket, quantile_ms
from tokenproxy.record.badge import Badge
from tokenproxy.record.ledger import append

WRITERS = 8
END_S = 60.0
LINE = b'{"timestamp":"2026-11-22T00:54:55.830Z","padding":"' + b"x" * 900 + b'"}\n'


class Appends(msgspec.Struct, frozen=True, kw_only=True):
    """What all of them together did."""

    per_s: float
    p50_ms: float
    p99_ms: float
    most_ms: float


def appends(work: Path, *, seconds: float = 2.0, pause_s: float = 0.0) -> Appends:
    """Have ``WRITERS`` processes append rows of 1 kB, one at a time.

    Args:
        work: An empty directory.
        seconds: For so long.
        pause_s: Between the appends of one. A recorder's come 4 ms apart at least.
    """
    command = [sys.executable, "-m", "benchmarks.appends", str(work / "shared.jsonl")]
    writers = [
        subprocess.Popen(
            [*command, str(seconds), str(pause_s)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(WRITERS)
    ]
    for writer in writers:
        assert writer.stdout is not None  # noqa: S101 - it is a pipe
        writer.stdout.readline()
    total: dict[int, int] = {}
    for writer in writers:
        assert writer.stdin is not None  # noqa: S101 - it is a pipe
        writer.stdin.write(b"\n")
        writer.stdin.flush()
    for writer in writers:
        said, _ = writer.communicate(timeout=END_S)
        for index, count in msgspec.json.decode(said, type=dict[int, int], strict=False).items():
            total[index] = total.get(index, 0) + count
    return Appends(
        per_s=sum(total.values()) / seconds,
        p50_ms=quantile_ms(total, 0.5) or 0.0,
        p99_ms=quantile_ms(total, 0.99) or 0.0,
        most_ms=quantile_ms(total, 1) or 0.0,
    )


def _write(path: Path, seconds: float, pause_s: float, badge: Badge) -> dict[int, int]:
    """How long each append took, by bucket."""
    counts: dict[int, int] = {}
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if pause_s:
            time.sleep(pause_s)
        began = time.perf_counter_ns()
        append(path, [LINE], badge=badge)
        index = bucket(time.perf_counter_ns() - began)
        counts[index] = counts.get(index, 0) + 1
    return counts


def _main(ledger: Path, seconds: float, pause_s: float) -> None:
    """One writer: ready when it says so, at work when it is told to, as all of them at once."""
    badge = Badge(ledger.with_name(f"{os.getpid()}.badge"))
    append(ledger, [LINE], badge=badge)
    print("ready", flush=True)
    sys.stdin.readline()
    counts = _write(ledger, seconds, pause_s, badge)
    badge.remove()
    print(msgspec.json.encode({str(index): count for index, count in counts.items()}).decode())


if __name__ == "__main__":
    _main(Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]))
