"""How fast rows are recorded: by one recorder, and by eight processes that share a ledger.

    python -m benchmarks.recording recorder DIRECTORY   one recorder; prints seconds
    python -m benchmarks.recording writer LEDGER        one of the eight; prints a histogram

Each runs in a process of its own, so that none has what another has loaded.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec

from benchmarks.histogram import bucket, quantile_ms

CALLS = 20_000
WARM = 200
"""Calls before these: the price library is imported in the background, once."""
WRITERS = 8
WRITE_S = 2.0
DRAIN_S = 120.0


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One look at how rows are recorded."""

    rows_per_s: float
    """Of one recorder: request read, linked, priced, journaled, appended."""
    append_p50_ms: float
    """Of one row's append, with ``WRITERS`` processes at the same ledger without a pause."""
    append_p99_ms: float
    appends_per_s: float
    """Of all writers together."""


def record(work: Path) -> Record:
    """Measure both."""
    work.mkdir()
    command = [sys.executable, "-m", "benchmarks.recording"]
    seconds = float(
        subprocess.run(
            [*command, "recorder", work], check=True, capture_output=True, text=True
        ).stdout
    )
    ledger = work / "shared.jsonl"
    writers = [
        subprocess.Popen([*command, "writer", ledger], stdout=subprocess.PIPE)
        for _ in range(WRITERS)
    ]
    total: dict[int, int] = {}
    for writer in writers:
        said, _ = writer.communicate(timeout=DRAIN_S)
        for index, count in msgspec.json.decode(said, type=dict[int, int], strict=False).items():
            total[index] = total.get(index, 0) + count
    return Record(
        rows_per_s=CALLS / seconds,
        append_p50_ms=quantile_ms(total, 0.5) or 0.0,
        append_p99_ms=quantile_ms(total, 0.99) or 0.0,
        appends_per_s=sum(total.values()) / WRITE_S,
    )


def _record(work: Path) -> float:
    """Seconds in which one recorder takes ``CALLS`` calls and has their rows in the ledger."""
    from tokenproxy import ids
    from tokenproxy.config import RunContext
    from tokenproxy.record.recorder import Recorder

    run = RunContext(
        run_id=ids.uuid7(), trace_id=ids.new_trace_id(), span_id=ids.new_span_id(),
        started_ns=time.time_ns(),
    )  # fmt: skip
    journal = work / "runs" / run.run_id / "journal-0.jsonl"
    recorder = Recorder(run=run, ledger=work / "ledger.jsonl", journal=journal)
    recorder.start()
    _calls(recorder, WARM)
    _settled(work / "ledger.jsonl", WARM)
    began = time.perf_counter()
    _calls(recorder, CALLS)
    recorder.finish(None, DRAIN_S)
    seconds = time.perf_counter() - began
    rows = (work / "ledger.jsonl").read_bytes().count(b"\n")
    if rows != WARM + CALLS:
        raise AssertionError(f"{WARM + CALLS} calls left {rows} rows")
    return seconds


def _calls(recorder: object, count: int) -> None:
    from tokenproxy import ids
    from tokenproxy.record.call import CallEnd, CallStart
    from tokenproxy.record.recorder import Recorder
    from tokenproxy.wire.usage import Reading, UsagePart

    assert isinstance(recorder, Recorder)  # noqa: S101 - narrows a lazily imported type
    body = (
        b'{"model":"claude-sonnet-4-5","stream":true,"messages":[{"role":"user","content":"%d"}]}'
    )
    acknowledged = threading.Event()
    for number in range(count):
        call_id = ids.uuid7()
        now = time.time_ns()
        start = CallStart(
            call_id=call_id, trace_id=ids.new_trace_id(), span_id=ids.new_span_id(),
            started_ns=now, provider="anthropic", dialect="anthropic.messages", operation="chat",
            server_address="api.anthropic.com", server_port=443,
        )  # fmt: skip
        recorder.opened(start, acknowledged.set)
        recorder.requested(call_id, body % number)
        part = UsagePart(
            model="claude-sonnet-4-5", uncached_input_tokens=412, cache_read_input_tokens=20480,
            cache_creation_input_tokens=1024, cache_creation_5m_input_tokens=1024,
            output_tokens=357,
        )  # fmt: skip
        reading = Reading(
            model="claude-sonnet-4-5", response_id=f"msg_{number}", stop_reason="end_turn",
            parts=(part,), usage=[{"input_tokens": 412, "output_tokens": 357}],
            completeness="final", ended=True,
        )  # fmt: skip
        recorder.closed(
            call_id,
            CallEnd(
                ended_ns=now + 1_000_000, outcome="complete", error=None, status_code=200,
                reading=reading,
            ),
        )  # fmt: skip


def _settled(ledger: Path, rows: int) -> None:
    deadline = time.monotonic() + DRAIN_S
    while not ledger.exists() or ledger.read_bytes().count(b"\n") < rows:
        if time.monotonic() > deadline:
            raise AssertionError("the recorder does not settle its first calls")
        time.sleep(0.01)


def _write(path: Path) -> dict[int, int]:
    """How long each append of one row took, by bucket, in ``WRITE_S`` seconds without a pause."""
    from tokenproxy.record.ledger import append

    line = b'{"timestamp":"2026-11-22T00:54:55.830Z","padding":"' + b"x" * 900 + b'"}\n'
    counts: dict[int, int] = {}
    deadline = time.monotonic() + WRITE_S
    while time.monotonic() < deadline:
        began = time.perf_counter_ns()
        append(path, [line])
        index = bucket(time.perf_counter_ns() - began)
        counts[index] = counts.get(index, 0) + 1
    return counts


if __name__ == "__main__":
    if sys.argv[1] == "recorder":
        print(_record(Path(sys.argv[2])))
    else:
        print(
            msgspec.json.encode({str(k): v for k, v in _write(Path(sys.argv[2])).items()}).decode()
        )
