"""One run: the peers started, each scenario through all of them in turns, several rounds."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec

from benchmarks import machine
from benchmarks.cache import cache
from benchmarks.measure import measure
from benchmarks.memory import memory
from benchmarks.peers.direct import Direct
from benchmarks.peers.litellm import Litellm
from benchmarks.peers.mitmdump import Mitmdump
from benchmarks.peers.nginx import Nginx
from benchmarks.peers.peer import Peer
from benchmarks.peers.tokenproxy import Tokenproxy, Workers
from benchmarks.processes import Unavailable
from benchmarks.reading import reports
from benchmarks.record import record
from benchmarks.results import Results
from benchmarks.scenarios import SCENARIOS, Scenario
from benchmarks.startup import start_ups
from benchmarks.traffic_run import TrafficError, Upstream, build

HERE = Path(__file__).parent
PEERS = {peer.name: peer for peer in (Direct, Nginx, Mitmdump, Litellm, Tokenproxy, Workers)}
USUAL = ("direct", "nginx", "mitmdump", "tokenproxy")
APART = ("memory", "start", "record", "report")
"""What is measured of tokenproxy alone."""
FIRST = (SCENARIOS["json"], SCENARIOS["tls"])


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be measured, and for how long."""

    only: tuple[str, ...]
    """Names of scenarios and of what is measured apart."""
    peers: tuple[str, ...]
    quick: bool
    """16 streams alone where a scenario has several numbers of them."""
    rounds: int
    seconds: float
    """Of a measurement."""
    warmup_s: float
    starts: int
    memory_times: int
    """How many times 10,000 calls."""
    streams: int | None = None
    """In place of a scenario's own."""

    def loads(self) -> Iterator[tuple[Scenario, int]]:
        """Scenarios and numbers of streams."""
        for scenario in (SCENARIOS[name] for name in self.only if name in SCENARIOS):
            levels = scenario.quick_streams() if self.quick else scenario.streams
            for streams in (self.streams,) if self.streams else levels:
                yield scenario, streams


def run(plan: Plan) -> Results:
    """Measure all of it.

    Raises:
        TrafficError: The load generator cannot be built.
        Unavailable: In CI, where a peer that is missing is a fault.
    """
    results = Results(
        taken=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        revision=_revision(),
        machine=machine.describe(),
        settings={"quick": plan.quick, "rounds": plan.rounds, "seconds": plan.seconds},
        versions={},
        samples=[],
        starts=[],
        memory=[],
        notes=[],
    )
    if results.machine["busy"]:
        say(f"this machine is busy (load {results.machine['load_before']}): figures will lie")
    ours = "tokenproxy" in plan.peers
    with ExitStack() as stack:
        # A resolved path: nginx and clients compare names of files.
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))).resolve()
        upstream = stack.enter_context(Upstream(build(cache() / "bench"), work))
        if any(True for _ in plan.loads()):
            with ExitStack() as peers:
                _rounds(plan, _start(plan.peers, upstream, work, peers, results), upstream, results)
        if ours and "memory" in plan.only:
            say("memory")
            results.memory = memory(upstream, work / "memory", times=plan.memory_times)
        if ours and "start" in plan.only:
            say("start")
            results.starts = start_ups(upstream, work / "start", plan.starts)
        if "record" in plan.only:
            say("record")
            results.records = [record(work / f"record-{number}") for number in range(plan.rounds)]
        if "report" in plan.only:
            say("report")
            results.reads = reports(work / "report", plan.rounds)
        used = any(sample.peer == "tokenproxy" for sample in results.samples)
        if (used or results.starts or results.memory) and not upstream.stats().exports:
            results.faults.append("tokenproxy sent no telemetry: its figures are not those of use")
    return results


def _start(
    names: tuple[str, ...], upstream: Upstream, work: Path, stack: ExitStack, results: Results
) -> list[Peer]:
    started: list[Peer] = []
    for name in names:
        peer: Peer = PEERS[name]()
        stack.callback(peer.stop)
        try:
            peer.start(upstream, work)
            for scenario in FIRST:
                _warm(peer, scenario, upstream)
        except Unavailable as error:
            if os.environ.get("CI") == "true":
                raise
            results.notes.append(f"Without {name}: {error}.")
            say(results.notes[-1])
            continue
        started.append(peer)
        results.versions |= peer.version()
    return started


def _warm(peer: Peer, scenario: Scenario, upstream: Upstream) -> None:
    """One call: a server may listen before it is ready, and its first call costs more."""
    way = peer.way(scenario)
    if way is not None:
        arguments = scenario.load_arguments(1, seconds=0, warmup_s=0)
        load, _ = upstream.load([*way.arguments(scenario), *arguments, "-calls=1"])
        peer.settle(scenario, load)


def _rounds(plan: Plan, peers: list[Peer], upstream: Upstream, results: Results) -> None:
    """Each load through all peers, one after the other; who begins changes by round."""
    for number in range(plan.rounds):
        first = number % len(peers) if peers else 0
        for scenario, streams in plan.loads():
            say(f"round {number + 1} of {plan.rounds}: {scenario.title}, {streams} streams")
            for peer in (*peers[first:], *peers[:first]):
                try:
                    sample = measure(
                        peer, scenario, streams, upstream,
                        number=number, seconds=plan.seconds, warmup_s=plan.warmup_s,
                    )  # fmt: skip
                except TrafficError as error:
                    # A peer that fails has no figure here; the others do.
                    results.faults.append(str(error))
                    say(str(error))
                    continue
                if sample is not None:
                    results.samples.append(sample)


def _revision() -> str:
    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=HERE, capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    commit = git("rev-parse", "--short", "HEAD")
    changed = git("status", "--porcelain", "--untracked-files=no", "--", "../tokenproxy", ".")
    return (commit or version("tokenproxy")) + ("+" if changed else "")


def say(sentence: str) -> None:
    """Tell on standard error how far it is."""
    print(f"benchmarks: {sentence}", file=sys.stderr, flush=True)
