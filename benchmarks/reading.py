"""How fast a large ledger is summed up: ``tokenproxy report`` over a million rows, beside jq.

A ledger is read whole at the first report; the second keeps columns of it, and later ones read
those (:mod:`tokenproxy.insight.column_cache`). All three are measured.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.ledger_rows import write_ledger
from benchmarks.peers.tokenproxy import program

ROWS = 1_000_000
JQ = "reduce inputs as $row ({}; .[$row.model] += $row.output_tokens)"


class Took(msgspec.Struct, frozen=True):
    """One run of a program."""

    seconds: float
    cpu_s: float
    """Of all cores: what else the machine did is not in it."""
    peak_mb: float
    """Of resident memory, 10**6 bytes."""


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """Three reports, one after the other."""

    rows: int
    megabytes: float
    """Of the ledger, 10**6 bytes."""
    cold: Took
    """The first, which reads all."""
    keeping: Took
    """The second, which keeps columns."""
    warm: Took
    """The third, which reads these."""
    jq_s: float | None
    """jq summing one column by model; None where there is none."""


def reports(work: Path, rounds: int) -> list[Read]:
    """Report a million rows by model, that many times."""
    work.mkdir()
    ledger = work / "ledger.jsonl"
    write_ledger(ROWS, ledger)
    state = work / "state"
    env = {"PATH": os.environ["PATH"], "HOME": str(work), "TOKENPROXY_STATE_DIR": str(state)}
    report = [program(), "report", "--by", "model", "--json", "--ledger", str(ledger)]
    jq = shutil.which("jq")
    reads = []
    for number in range(rounds):
        shutil.rmtree(state, ignore_errors=True)
        cold, keeping, warm = (_run(report, env) for _ in range(3))
        # It takes many times as long, and once is enough to see that.
        jq_s = _run([jq, "-n", JQ, str(ledger)], env).seconds if jq and number == 0 else None
        reads.append(
            Read(
                rows=ROWS, megabytes=ledger.stat().st_size / 1e6,
                cold=cold, keeping=keeping, warm=warm, jq_s=jq_s,
            )
        )  # fmt: skip
    ledger.unlink()
    return reads


def _run(command: Sequence[str], env: dict[str, str]) -> Took:
    began = time.monotonic()
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(command))
    # Kilobytes on Linux.
    return Took(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6)
