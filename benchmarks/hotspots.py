"""Where tokenproxy's processor time goes: a gateway under load, sampled from within.

    python -m benchmarks.hotspots [SCENARIO] [STREAMS] [SECONDS]

At each tick of the process' clock (1 to 4 ms, as the kernel has it) the main thread's stack is
noted, from a signal handler; what other threads took is counted as theirs, imports are left out. C
code counts for the Python function that called it, and functions that make system calls are noted
somewhat more often than they should be, because there signals are delivered.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path
from types import FrameType

import msgspec

from benchmarks import machine
from benchmarks.cache import cache
from benchmarks.peers.peer import Way
from benchmarks.peers.tokenproxy import Ledger, Row, authority, environment
from benchmarks.processes import Server, free_port
from benchmarks.scenarios import SCENARIOS
from benchmarks.traffic_run import Upstream, build

EVERY_S = 0.001
SHOWN = 40
AROUND = 0.95
"""A function in whose calls more of the time passes is what all is called from."""
IMPORT = "importlib._bootstrap:_find_and_load"
PLACE = "BENCH_SAMPLES"
"""Environment variable: where the gateway's process writes what it has sampled."""


class Samples(msgspec.Struct):
    """Samples by function, ``module:function``."""

    own: dict[str, int]
    """It was running."""
    within: dict[str, int]
    """It, or what it called."""
    total: int
    others: int
    """Other threads were."""


class Sampler:
    """Notes the main thread's stack at each tick of the process' own clock."""

    def __init__(self) -> None:
        self._own: Counter[str] = Counter()
        self._within: Counter[str] = Counter()
        self._others = 0
        self._thread_s = time.thread_time()
        signal.signal(signal.SIGPROF, self._tick)

    def start(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, EVERY_S, EVERY_S)

    def _tick(self, _signal: int, frame: FrameType | None) -> None:
        now = time.thread_time()
        mine, self._thread_s = now - self._thread_s, now
        if mine < EVERY_S / 2:
            self._others += 1
            return
        stack = []
        while frame is not None:
            stack.append(f"{frame.f_globals.get('__name__')}:{frame.f_code.co_qualname}")
            frame = frame.f_back
        if IMPORT not in stack:
            self._own[stack[0]] += 1
            self._within.update(set(stack))

    def samples(self) -> Samples:
        signal.setitimer(signal.ITIMER_PROF, 0)
        return Samples(self._own, self._within, self._own.total(), self._others)


def main() -> None:
    if place := os.environ.get(PLACE):
        (_work if "--control-fd" in sys.argv else _serve)(Path(place))
        return
    words = sys.argv[1:]
    scenario = SCENARIOS[words[0] if words else "everyday"]
    streams = int(words[1]) if len(words) > 1 else scenario.quick_streams()[0]
    seconds = float(words[2]) if len(words) > 2 else 5.0  # noqa: PLR2004 - the third word
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        work = Path(directory).resolve()
        with Upstream(build(cache() / "bench"), work) as upstream:
            samples = _sampled(upstream, work, scenario.name, streams, seconds)
    _show(samples)


def _sampled(upstream: Upstream, work: Path, name: str, streams: int, seconds: float) -> Samples:
    scenario = SCENARIOS[name]
    port, place = free_port(), work / "samples.json"
    url = upstream.url(tls=scenario.tls)
    env = environment(upstream, work) | {PLACE: str(place), "SSL_CERT_FILE": str(upstream.ca)}
    env["PYTHONPATH"] = str(Path(__file__).parents[1])
    command = [
        sys.executable, "-m", "benchmarks.hotspots", "serve", "--listen", f"127.0.0.1:{port}",
        "--route", f"api.anthropic.com={url}", "--route", f"api.openai.com={url}",
    ]  # fmt: skip
    server = Server("tokenproxy", command, work=work, env=env).wait_for_port(port)
    try:
        way = Way(
            pids=(), addr=f"127.0.0.1:{port}", prefix="/openai" if scenario.socket else "/anthropic"
        )
        if scenario.tls:
            ca = authority(work / "state")
            way = Way(pids=(), addr="api.anthropic.com:443", proxy=way.addr, ca=ca)
        before = _spent_s(server.pid)
        load, _ = upstream.load(
            [
                *way.arguments(scenario),
                *scenario.load_arguments(streams, seconds=seconds, warmup_s=0.5),
            ]
        )
        row = Row(upstream.ports.input_tokens, upstream.ports.output_tokens, "complete", "final")
        Ledger(work / "ledger.jsonl").expect(load.all_calls, row)
        print(f"{scenario.title}: {load.all_calls} calls of {streams} streams")
        for where, past, now in zip(
            ("own code", "kernel"), before, _spent_s(server.pid), strict=True
        ):
            print(f"{(now - past) / load.all_calls * 1e6:7.0f} us of processor a call: {where}")
    finally:
        server.stop()
    return msgspec.json.decode(place.read_bytes(), type=Samples)


def _spent_s(pid: int) -> tuple[float, float]:
    """Processor seconds of a server in its own code and in the kernel."""
    spent = [process.cpu_times() for process in machine.family([pid])]
    return sum(times.user for times in spent), sum(times.system for times in spent)


def _serve(_place: Path) -> None:
    """Be ``tokenproxy serve``, whose worker samples itself."""
    from tokenproxy.cli.main import main as tokenproxy
    from tokenproxy.launch import serving
    from tokenproxy.launch.proxy_process import Proxy

    command = (sys.executable, "-m", "benchmarks.hotspots")
    vars(serving).update(Proxy=partial(Proxy, command=command))
    tokenproxy()


def _work(place: Path) -> None:
    """Be the worker, and sample oneself."""
    from tokenproxy.proxy.process import main as work

    sampler = Sampler()
    sampler.start()
    try:
        status = work()
    finally:
        place.write_bytes(msgspec.json.encode(sampler.samples()))
    os._exit(status)  # as the real one: an exporter's threads may wait for long


def _show(samples: Samples) -> None:
    everything = samples.total + samples.others
    print(f"{samples.total} samples of the main thread, {samples.others} of other threads")
    around = AROUND * samples.total
    within = {name: count for name, count in samples.within.items() if count < around}
    for title, counts in (("itself", samples.own), ("with what it called", within)):
        print(f"\n{title}:")
        for name, count in Counter(counts).most_common(SHOWN):
            print(f"{count / everything:7.1%}  {name}")


if __name__ == "__main__":
    main()
