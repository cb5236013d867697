"""How fast a large ledger is summed up: ``tokenproxy report`` over a million rows, beside jq."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.peers.tokenproxy import program

ROWS = 1_000_000
BATCH = 10_000
MODELS = ("claude-sonnet-4-5", "claude-opus-4-5", "claude-haiku-4-5", "gpt-5-codex")
JQ = "reduce inputs as $row ({}; .[$row.model] += $row.output_tokens)"


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """One report."""

    rows: int
    megabytes: float
    """Of the ledger, 10**6 bytes."""
    seconds: float
    peak_mb: float
    jq_s: float | None
    """jq summing one column by model; None where there is none."""


def reports(work: Path, rounds: int) -> list[Read]:
    """Report a million rows by model, that many times."""
    work.mkdir()
    ledger = work / "ledger.jsonl"
    _fill(ledger)
    env = {
        "PATH": os.environ["PATH"], "HOME": str(work), "TOKENPROXY_STATE_DIR": str(work / "state"),
    }  # fmt: skip
    report = [program(), "report", "--by", "model", "--json", "--ledger", str(ledger)]
    jq = shutil.which("jq")
    reads = []
    for number in range(rounds):
        seconds, peak_mb = _run(report, env)
        # It takes many times as long, and once is enough to see that.
        jq_s = _run([jq, "-n", JQ, str(ledger)], env)[0] if jq and number == 0 else None
        reads.append(
            Read(
                rows=ROWS, megabytes=ledger.stat().st_size / 1e6,
                seconds=seconds, peak_mb=peak_mb, jq_s=jq_s,
            )
        )  # fmt: skip
    ledger.unlink()
    return reads


def _fill(ledger: Path) -> None:
    """Rows of a month, as a gateway of several users writes them."""
    from tokenproxy import ids
    from tokenproxy.record.row import SCHEMA, Row

    encoder = msgspec.json.Encoder()
    day = 86_400
    with ledger.open("wb") as file:
        for first in range(0, ROWS, BATCH):
            lines = []
            for number in range(first, first + BATCH):
                at = time.gmtime(1_795_308_895 + number * 30 * day // ROWS)
                row = Row(
                    timestamp=time.strftime("%Y-%m-%dT%H:%M:%S.000Z", at),
                    story_id=f"US-{number % 97}", iteration=number % 13,
                    provider="anthropic", model=MODELS[number % len(MODELS)], complexity=3,
                    input_tokens=21_916, output_tokens=100 + number % 911, cost_usd=0.0123,
                    latency_ms=900.5 + number % 400, success=True, fallback_used=False,
                    schema=SCHEMA, run_id=f"019abc-{number // 50}", call_id=ids.uuid7(),
                    outcome="complete",
                    completeness="final", operation="chat", stream=True, status_code=200,
                    uncached_input_tokens=412, cache_read_input_tokens=20_480,
                    cache_creation_input_tokens=1_024, ttft_ms=310.2,
                    usage=[{"input_tokens": 412, "output_tokens": 100 + number % 911}],
                )  # fmt: skip
                lines.append(encoder.encode(row))
            file.write(b"\n".join(lines) + b"\n")


def _run(command: Sequence[str], env: dict[str, str]) -> tuple[float, float]:
    """Seconds that it takes, and its peak of resident memory in MB."""
    began = time.monotonic()
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(command))
    return seconds, usage.ru_maxrss * 1024 / 1e6  # kilobytes on Linux
