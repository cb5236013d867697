"""What the record costs: ``python -m benchmarks.record``.

One process takes calls through the recorder as the proxy would give them (opened,
requested, closed), at full speed and one by one, without telemetry and with; then
several processes append to one ledger. Processor time is of the threads that spend
it, so that what else the machine does changes it little; rows a second, and how long
something took, are by the clock.

    python -m benchmarks.record one DIRECTORY [COLLECTOR]   one recorder; prints JSON
"""

from __future__ import annotations

import argparse
import contextlib
import http.server
import multiprocessing
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from benchmarks.appends import WRITERS, Appends, appends
from tokenproxy import ids
from tokenproxy.config import IterationEnd, RunContext
from tokenproxy.proxy.process import SWITCH_S
from tokenproxy.record.call import Call, CallEnd, CallStart
from tokenproxy.record.recorder import Recorder
from tokenproxy.record.row import Row
from tokenproxy.record.sink import Sinks
from tokenproxy.telemetry.pipeline import open_telemetry
from tokenproxy.wire import routes
from tokenproxy.wire.attribution import read_attribution
from tokenproxy.wire.dialect import Head
from tokenproxy.wire.usage import Reading, ResponseFacts

CALLS = 20_000
WINDOW = 512
"""At full speed, so many calls are under way at most, as streams are in a busy gateway."""
ALONE = 300
"""Calls one after the other, each a while after the one before."""
ALONE_PAUSE_S = 0.01
TEXT = b"x" * 1700
REQUEST = (
    b'{"model":"claude-opus-5-5","max_tokens":1024,"messages":[{"role":"user","content":"%d '
    + TEXT
    + b'"}]}'
)
ANSWER = (
    b'{"id":"msg_%d","type":"message","role":"assistant","model":"claude-opus-5-5","content":'
    b'[{"type":"text","text":"' + TEXT + b'"}],"stop_reason":"end_turn","stop_sequence":null,'
    b'"usage":{"input_tokens":12,"cache_creation_input_tokens":1024,"cache_read_input_tokens":20480,'
    b'"cache_creation":{"ephemeral_5m_input_tokens":1024,"ephemeral_1h_input_tokens":0},'
    b'"output_tokens":357,"service_tier":"standard"}}'
)
HEADERS = {
    "content-type": "application/json",
    "user-agent": "claude-cli/2.1.330 (external, sdk-cli)",
    "x-claude-code-session-id": "0b6f1c1e-8a8f-4a5e-9d3c-5a1d3c1f7e10",
}
FINISH_S = 300.0
"""How long the recorder may take for all calls, seconds."""


class Stages(msgspec.Struct, frozen=True, kw_only=True):
    """One recorder, looked at closely. Microseconds are processor time a call."""

    rows_per_s: float
    """From the first call given to the recorder until the last row is in the ledger."""
    start_us: float
    """To make what is journaled of a call's beginning: the event loop's."""
    parse_us: float
    """To read an answer: the event loop's."""
    put_us: float
    """To hand a call to the recorder: the event loop's."""
    recorder_us: float
    """The recorder's own thread: journal, request, price, row, ledger, telemetry's own part."""
    process_us: float
    """Of the whole process, telemetry's threads included, without start and parse."""
    alone_us: float
    """The recorder's thread and what wakes it, when calls come one by one."""
    opened_p50_ms: float
    """Until an opening is acknowledged, which a request waits for; calls come one by one."""
    opened_p99_ms: float


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One look at how rows are recorded."""

    rows_per_s: float
    """Of one recorder: request read, linked, priced, journaled, appended."""
    append_p50_ms: float
    """Of one row's append, with ``WRITERS`` processes at the same ledger without a pause."""
    append_p99_ms: float
    appends_per_s: float
    """Of all writers together."""
    telemetry_rows_per_s: float | None = None
    """Of one recorder that sends telemetry, too."""


def record(work: Path) -> Record:
    """Measure all of it, each in processes of its own."""
    work.mkdir()
    alone = stages(work / "without")
    with collector() as address:
        told = stages(work / "with", address)
    together = appends(work)
    return Record(
        rows_per_s=alone.rows_per_s,
        telemetry_rows_per_s=told.rows_per_s,
        append_p50_ms=together.p50_ms,
        append_p99_ms=together.p99_ms,
        appends_per_s=together.per_s,
    )


def stages(work: Path, collector: str = "", calls: int = CALLS) -> Stages:
    """Measure one recorder in a process that has loaded nothing else."""
    work.mkdir()
    command = [sys.executable, "-m", "benchmarks.record", "--calls", str(calls), "one", str(work)]
    said = subprocess.run(
        [*command, *([collector] if collector else [])], check=True, stdout=subprocess.PIPE
    ).stdout
    return msgspec.json.decode(said, type=Stages)


class _Told(NamedTuple):
    start: CallStart
    reading: Reading
    request: bytes


class _Clock(Sinks):
    """The last of the sinks: reads what processor time the recorder's thread has used."""

    def __init__(self) -> None:
        super().__init__([])
        self.settled = threading.Semaphore(0)
        """Released for each row."""
        self.used_s = 0.0

    def call(self, call: Call, row: Row | None) -> None:  # noqa: ARG002 - a sink's
        self.settled.release()

    def finish(self, end: IterationEnd | None) -> tuple[str, ...]:  # noqa: ARG002 - a sink's
        self.used_s = time.thread_time()
        return ()


def _measure(directory: Path, collector: str, calls: int) -> Stages:
    sys.setswitchinterval(SWITCH_S)
    run = RunContext(
        run_id=ids.uuid7(),
        trace_id=ids.new_trace_id(),
        span_id=ids.new_span_id(),
        started_ns=time.time_ns(),
        agent="bench",
    )
    ledger, clock = directory / "ledger.jsonl", _Clock()
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector}
    telemetry = [open_telemetry(env, run, state=directory)] if collector else []
    recorder = Recorder(
        run=run,
        ledger=ledger,
        journal=directory / "journal-0.jsonl",
        sinks=[*telemetry, clock],
    )
    recorder.start()
    _tell(recorder, _Told(_started(run), _read(0), REQUEST % 0))
    clock.settled.acquire(timeout=FINISH_S)  # by then the price list is loaded
    alone_us, waits = _one_by_one(recorder, run)
    starts, start_us = _timed(calls, lambda _: _started(run))
    readings, parse_us = _timed(calls, _read)
    told = [
        _Told(start, reading, REQUEST % number)
        for number, (start, reading) in enumerate(zip(starts, readings, strict=True))
    ]
    for _ in range(ALONE):
        clock.settled.acquire(timeout=FINISH_S)
    for _ in range(WINDOW):
        clock.settled.release()
    used_before = _thread_time(recorder, run)
    began, before = time.perf_counter(), time.process_time()
    put_us = 0.0
    for one in told:
        clock.settled.acquire(timeout=FINISH_S)
        thread_began = time.thread_time()
        _tell(recorder, one)
        put_us += (time.thread_time() - thread_began) * 1e6
    recorder.finish(None, timeout_s=FINISH_S)
    took, used = time.perf_counter() - began, time.process_time() - before
    rows = ledger.read_bytes().count(b"\n")
    if rows != 1 + ALONE + calls:
        raise AssertionError(f"{1 + ALONE + calls} calls left {rows} rows")
    return Stages(
        rows_per_s=calls / took,
        start_us=start_us,
        parse_us=parse_us,
        put_us=put_us / calls,
        recorder_us=(clock.used_s - used_before) / calls * 1e6,
        process_us=used / calls * 1e6,
        alone_us=alone_us,
        opened_p50_ms=waits[len(waits) // 2] * 1e3,
        opened_p99_ms=waits[len(waits) * 99 // 100] * 1e3,
    )


def _thread_time(recorder: Recorder, run: RunContext) -> float:
    """What processor time the recorder's thread has used, seconds: an opening's answer reads it."""
    read: list[float] = []
    answered = threading.Event()

    def answer() -> None:
        read.append(time.thread_time())
        answered.set()

    start = msgspec.structs.replace(_started(run), kind="count")
    recorder.opened(start, answer)
    answered.wait(FINISH_S)
    recorder.closed(start.call_id, CallEnd(ended_ns=time.time_ns(), outcome="complete"))
    return read[0]


def _one_by_one(recorder: Recorder, run: RunContext) -> tuple[float, list[float]]:
    """Processor time of a call, and how long each waited for its opening, in order."""
    waits, used = [], 0.0
    for number in range(ALONE):
        told = _Told(_started(run), _read(number), REQUEST % number)
        opened = threading.Event()
        before = time.process_time()
        began = time.perf_counter()
        recorder.opened(told.start, opened.set)
        opened.wait(FINISH_S)
        waits.append(time.perf_counter() - began)
        _tell(recorder, told, opened=True)
        time.sleep(ALONE_PAUSE_S)
        used += time.process_time() - before
    return used / ALONE * 1e6, sorted(waits)


def _started(run: RunContext) -> CallStart:
    route = routes.match("anthropic", "POST", "/v1/messages")
    if route is None:
        raise LookupError
    return CallStart(
        call_id=ids.uuid7(),
        trace_id=run.trace_id,
        span_id=ids.new_span_id(),
        started_ns=time.time_ns(),
        provider=route.provider,
        dialect=route.dialect,
        operation=route.operation,
        kind=route.kind,
        server_address="api.anthropic.com",
        server_port=443,
        attribution=read_attribution(HEADERS),
    )


def _read(number: int) -> Reading:
    parser = routes.dialect("anthropic.messages").open_response(
        Head(status=200, content_type="application/json", headers=HEADERS, provider="anthropic")
    )
    parser.feed(ANSWER % number)
    parser.close()
    return parser.reading


def _tell(recorder: Recorder, told: _Told, *, opened: bool = False) -> None:
    call_id = told.start.call_id
    if not opened:
        recorder.opened(told.start)
    recorder.requested(call_id, told.request)
    recorder.closed(
        call_id,
        CallEnd(
            ended_ns=time.time_ns(),
            outcome="complete",
            status_code=200,
            stream=False,
            request_bytes=len(told.request),
            response_bytes=len(ANSWER),
            reading=told.reading,
            response=ResponseFacts(request_id="req_01"),
        ),
    )


def _timed[T](times: int, make: Callable[[int], T]) -> tuple[list[T], float]:
    """What was made, and the processor time of one in microseconds."""
    began = time.thread_time()
    made = [make(number) for number in range(times)]
    return made, (time.thread_time() - began) / times * 1e6


@contextlib.contextmanager
def collector() -> Iterator[str]:
    """A process that takes all telemetry and keeps none: its address."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_collect, args=(there,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{here.recv()}"
    finally:
        process.terminate()
        process.join()


def _collect(parent: multiprocessing.connection.Connection) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Taker)
    parent.send(server.server_port)
    server.serve_forever()


class _Taker(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


def _say(telemetry: str, found: Stages) -> None:
    print(
        f"telemetry {telemetry:3}: {found.rows_per_s:8,.0f} rows/s at full speed;"
        f" us a call: start {found.start_us:.1f}, parse {found.parse_us:.1f},"
        f" put {found.put_us:.1f}, recorder {found.recorder_us:.1f},"
        f" of the process {found.process_us:.1f}\n"
        f"  one by one: {found.alone_us:.0f} us a call;"
        f" ms until opened: p50 {found.opened_p50_ms:.3f}, p99 {found.opened_p99_ms:.2f}"
    )


def _say_appends(pause_s: float, found: Appends) -> None:
    print(
        f"{WRITERS} writers, {pause_s * 1e3:.0f} ms apart: {found.per_s:8,.0f} appends/s;"
        f" ms an append: p50 {found.p50_ms:.3f}, p99 {found.p99_ms:.2f}, most {found.most_ms:.1f}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.record",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("one", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        _, directory, *address = options.one
        found = _measure(Path(directory), "".join(address), options.calls)
        print(msgspec.json.encode(found).decode())
        return 0
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        _say("off", stages(work / "without", calls=options.calls))
        with collector() as address:
            _say("on", stages(work / "with", address, options.calls))
        for pause_s in (0.004, 0.0):
            place = work / f"appends-{pause_s}"
            place.mkdir()
            _say_appends(pause_s, appends(place, pause_s=pause_s))
    return 0


if __name__ == "__main__":
    sys.exit(main())
