"""``python -m benchmarks.soak [--hours H] [--keep FILE]``: run it, print it, judge it."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import uvloop

from benchmarks import machine
from benchmarks.peers.tokenproxy import program
from benchmarks.processes import Server, free_port
from benchmarks.soak.clients import Client
from benchmarks.soak.collector import Collector
from benchmarks.soak.plan import DUE, FAULTS, FIRST_WORD, HOUR_OF_CALLS, STREAMS, Call
from benchmarks.soak.report import Count, Look, Soak, faults_of, table

SETTLED_S = 30.0
WARM = [Call(10_000_000 + number) for number in range(400)]
"""Calls of all kinds before those that are counted: what is loaded late is loaded then."""
HERE = Path(__file__).parents[2]


class Row(msgspec.Struct):
    """What is checked of a ledger row."""

    session_id: str
    outcome: str
    completeness: str
    output_tokens: int | None = None


ROW = msgspec.json.Decoder(Row)


async def soak(hours: float) -> Soak:
    """Have the calls made, and look at the gateway meanwhile."""
    calls = [Call(number) for number in range(int(HOUR_OF_CALLS * hours))]
    with tempfile.TemporaryDirectory(prefix="soak-") as directory:
        work = Path(directory)
        ledger = work / "ledger.jsonl"
        env = {
            "PATH": os.environ["PATH"], "HOME": directory, "PYTHONPATH": str(HERE),
            "TOKENPROXY_STATE_DIR": str(work / "state"), "TOKENPROXY_LEDGER": str(ledger),
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{await Collector().start()}",
            "OTEL_METRIC_EXPORT_INTERVAL": "2000",
        }  # fmt: skip
        port, there = free_port(), free_port()
        upstream = Server(
            "upstream", [sys.executable, "-m", "benchmarks.soak.upstream", str(there)],
            work=work, env=env,
        ).wait_for_port(there)  # fmt: skip
        gateway = Server(
            "gateway",
            [program(), "serve", "--listen", f"127.0.0.1:{port}",
             "--route", f"api.anthropic.com=http://127.0.0.1:{there}"],
            work=work, env=env,
        ).wait_for_port(port)  # fmt: skip
        try:
            await Client(port).work_off(iter(WARM[:1]))  # it listens before it has loaded all
            await _made(WARM, port)
            begun = time.monotonic()
            looks = await _watched(calls, port, psutil.Process(gateway.pid))
            seconds = time.monotonic() - begun
            rows = await _rows(ledger, len(calls) + len(WARM))
            looks.append(look(psutil.Process(gateway.pid), 1.0))
        finally:
            gateway.stop()
            upstream.stop()
        left = _journals(work)
    return Soak(
        hours=hours, calls=len(calls), seconds=round(seconds, 1), looks=looks,
        counts=_count(calls, rows), journals_left=left,
    )  # fmt: skip


async def _made(calls: list[Call], port: int) -> None:
    """All streams have done these."""
    left = iter(calls[1:])
    await asyncio.gather(*(Client(port).work_off(left) for _ in range(STREAMS)))


async def _watched(calls: list[Call], port: int, gateway: psutil.Process) -> list[Look]:
    """Look at the gateway sixty times while its clients are at work."""
    left = iter(calls)
    done = 0

    def next_calls() -> Iterator[Call]:
        nonlocal done
        for call in left:
            yield call
            done += 1

    clients = asyncio.gather(*(Client(port).work_off(next_calls()) for _ in range(STREAMS)))
    looks = [look(gateway, 0.0)]
    while not clients.done():
        await asyncio.sleep(0.2)
        if done >= len(calls) * len(looks) / 60:
            looks.append(look(gateway, done / len(calls)))
    await clients
    return looks


def look(gateway: psutil.Process, done: float) -> Look:
    """The gateway and its worker."""
    family = machine.family([gateway.pid])
    return Look(
        done=round(done, 3),
        rss_mb=round(sum(one.memory_info().rss for one in family) / 1e6, 1),
        descriptors=sum(one.num_fds() for one in family),
        threads=sum(one.num_threads() for one in family),
    )


async def _rows(ledger: Path, expected: int) -> list[Row]:
    """The ledger once it is complete, or as it is after a while."""
    deadline = time.monotonic() + SETTLED_S
    rows: list[Row] = []
    while len(rows) < expected and time.monotonic() < deadline:
        await asyncio.sleep(0.5)
        rows = _read(ledger)
    return rows


def _read(ledger: Path) -> list[Row]:
    return [ROW.decode(line) for line in ledger.read_bytes().splitlines()]


def _journals(work: Path) -> list[str]:
    return [str(path.relative_to(work)) for path in work.glob("state/runs/*/journal-*")]


def _count(calls: list[Call], rows: list[Row]) -> list[Count]:
    """What was found of each kind of call."""
    found = Counter(row.session_id for row in rows)
    by_number = {row.session_id: row for row in rows}
    counts = []
    for fault in FAULTS:
        mine = [call for call in calls if call.fault == fault]
        here = [found[str(call.number)] for call in mine]
        counts.append(
            Count(
                fault=fault, calls=len(mine), rows=sum(here), lost=here.count(0),
                doubled=sum(number > 1 for number in here),
                wrong=sum(_is_wrong(call, by_number.get(str(call.number))) for call in mine),
            )
        )  # fmt: skip
    return counts


def _is_wrong(call: Call, row: Row | None) -> bool:
    if row is None:
        return False
    due = DUE[call.fault]
    told = {
        "final": ("final", call.output_tokens),
        "first word": ("partial", FIRST_WORD),
        "none": ("none", None),
    }[due.count]
    return (row.outcome, row.completeness, row.output_tokens) != (due.outcome, *told)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak")
    parser.add_argument("--hours", type=float, default=1.0, help="of 50 streams at 50 chunks/s")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="the result as JSON, too")
    options = parser.parse_args()
    result = uvloop.run(soak(options.hours))
    print(table(result))
    if options.keep:
        options.keep.write_bytes(msgspec.json.format(msgspec.json.encode(result)) + b"\n")
    faults = faults_of(result)
    for fault in faults:
        print(f"soak: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
