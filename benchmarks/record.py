"""What the record costs: ``python -m benchmarks.record``.

One process takes calls through the recorder as the proxy would give them (opened,
requested, closed), with and without telemetry; then several processes append to one
ledger at once. Processor time is of the threads that spend it, so that what else the
machine does changes it little; rows a second are by the clock.
"""

from __future__ import annotations

import argparse
import contextlib
import http.server
import multiprocessing
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

from tokenproxy import ids
from tokenproxy.config import IterationEnd, RunContext
from tokenproxy.record import ledger
from tokenproxy.record.call import Call, CallEnd, CallStart
from tokenproxy.record.recorder import Recorder
from tokenproxy.record.row import Row
from tokenproxy.record.sink import Sinks
from tokenproxy.telemetry.pipeline import open_telemetry
from tokenproxy.wire import routes
from tokenproxy.wire.attribution import read_attribution
from tokenproxy.wire.dialect import Head
from tokenproxy.wire.usage import Reading, ResponseFacts

TEXT = b"x" * 1700
REQUEST = (
    b'{"model":"claude-opus-5-5","max_tokens":1024,"messages":[{"role":"user","content":"'
    + TEXT
    + b'"}]}'
)
ANSWER = (
    b'{"id":"msg_01","type":"message","role":"assistant","model":"claude-opus-5-5","content":'
    b'[{"type":"text","text":"' + TEXT + b'"}],"stop_reason":"end_turn","stop_sequence":null,'
    b'"usage":{"input_tokens":12,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,'
    b'"output_tokens":42,"service_tier":"standard"}}'
)
HEADERS = {
    "content-type": "application/json",
    "user-agent": "claude-cli/2.1.330 (external, sdk-cli)",
    "x-claude-code-session-id": "0b6f1c1e-8a8f-4a5e-9d3c-5a1d3c1f7e10",
}
FINISH_S = 300.0
"""How long the recorder may take for all calls, seconds."""


class _Clock(Sinks):
    """The last of the sinks: reads what processor time the recorder's thread has used."""

    def __init__(self) -> None:
        super().__init__([])
        self.used_s = 0.0

    def finish(self, end: IterationEnd | None) -> tuple[str, ...]:  # noqa: ARG002 - a sink's
        self.used_s = time.thread_time()
        return ()


class _FirstCall(Sinks):
    """Tells when the first row was settled: before that the price list is loaded."""

    def __init__(self) -> None:
        super().__init__([])
        self.seen = threading.Event()

    def call(self, call: Call, row: Row | None) -> None:  # noqa: ARG002 - a sink's
        self.seen.set()


def record(calls: int, collector: str | None, out: TextIO) -> None:
    """Take calls through one recorder and print what each stage cost."""
    run = RunContext(
        run_id=ids.uuid7(),
        trace_id=ids.new_trace_id(),
        span_id=ids.new_span_id(),
        started_ns=time.time_ns(),
        agent="bench",
    )
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        clock, first = _Clock(), _FirstCall()
        sinks: list[Sinks] = [first, clock]
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector or ""}
        telemetry = open_telemetry(env, run, state=directory) if collector else None
        recorder = Recorder(
            run=run,
            ledger=directory / "ledger.jsonl",
            journal=directory / "journal-0.jsonl",
            sinks=[*([telemetry] if telemetry else []), *sinks],
        )
        recorder.start()
        _tell(recorder, [(one := _started(run), _read(one))])
        first.seen.wait(FINISH_S)
        starts, start_us = _timed(calls, lambda: _started(run))
        told, parse_us = _timed(calls, lambda: _read(starts[0]))
        began, before = time.perf_counter(), time.process_time()
        _, put_us = _timed(1, lambda: _tell(recorder, list(zip(starts, told, strict=True))))
        recorder.finish(None, timeout_s=FINISH_S)
        took, used = time.perf_counter() - began, time.process_time() - before
        rows = sum(1 for _ in (directory / "ledger.jsonl").open("rb"))
    recorder_us = clock.used_s / rows * 1e6
    out.write(
        f"telemetry {'on ' if collector else 'off'}: {rows / took:8,.0f} rows/s;"
        f" us a call: start {start_us:.1f}, parse {parse_us:.1f}, put {put_us / calls:.1f},"
        f" recorder {recorder_us:.1f}, of the process {used / rows * 1e6:.1f}\n"
    )


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


def _read(start: CallStart) -> Reading:
    parser = routes.dialect(start.dialect).open_response(
        Head(status=200, content_type="application/json", headers=HEADERS, provider=start.provider)
    )
    parser.feed(ANSWER)
    parser.close()
    return parser.reading


def _tell(recorder: Recorder, calls: Sequence[tuple[CallStart, Reading]]) -> None:
    for start, reading in calls:
        recorder.opened(start)
        recorder.requested(start.call_id, REQUEST)
        recorder.closed(
            start.call_id,
            CallEnd(
                ended_ns=time.time_ns(),
                outcome="complete",
                status_code=200,
                stream=False,
                request_bytes=len(REQUEST),
                response_bytes=len(ANSWER),
                reading=reading,
                response=ResponseFacts(request_id="req_01"),
            ),
        )


def _timed[T](times: int, make: Callable[[], T]) -> tuple[list[T], float]:
    """What was made, and the processor time of one in microseconds."""
    began = time.thread_time()
    made = [make() for _ in range(times)]
    return made, (time.thread_time() - began) / times * 1e6


@contextlib.contextmanager
def _collector() -> Iterator[str]:
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


def append(writers: int, rows: int, pause_s: float, out: TextIO) -> None:
    """Have several processes append rows of 1 kB, one at a time, and print how long one took.

    Args:
        writers: so many processes.
        rows: of each.
        pause_s: between the appends of one; a busy recorder's come every few milliseconds,
            since it appends what has ended meanwhile at once.
        out: told to.
    """
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "ledger.jsonl"
        with multiprocessing.Pool(writers) as pool:
            began = time.perf_counter()
            each = pool.starmap(_append, [(path, rows, pause_s)] * writers, chunksize=1)
            took = time.perf_counter() - began
    waits = sorted(wait for one in each for wait in one)

    def at(share: float) -> float:
        return waits[int(share * (len(waits) - 1))] * 1e3

    out.write(
        f"{writers} writers, {pause_s * 1e3:.0f} ms apart: {len(waits) / took:8,.0f} appends/s;"
        f" ms an append: p50 {at(0.5):.2f}, p99 {at(0.99):.2f}, most {at(1):.2f}\n"
    )


def _append(path: Path, rows: int, pause_s: float) -> list[float]:
    line, waits = b'{"row":"' + b"x" * 1000 + b'"}\n', []
    for _ in range(rows):
        time.sleep(pause_s)
        began = time.perf_counter()
        ledger.append(path, [line])
        waits.append(time.perf_counter() - began)
    return waits


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.record", description=__doc__)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--appends", type=int, default=1_000, help="of each writer")
    options = parser.parse_args(arguments)
    record(options.calls, None, sys.stdout)
    with _collector() as address:
        record(options.calls, address, sys.stdout)
    for pause_s in (0.005, 0.0):
        append(options.writers, options.appends, pause_s, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
