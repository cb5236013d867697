"""Measure tokenproxy beside its peers, in turns, and print medians, spreads and ratios.

    python -m benchmarks --quick
    python -m benchmarks --only sse,everyday --peers direct,nginx,tokenproxy --rounds 9
    python -m benchmarks --from benchmarks/results/last.json --plot docs/performance.svg

A full run takes half an hour, a quick one two minutes. Let nothing else run beside it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks import machine
from benchmarks.cache import cache
from benchmarks.measure import Sample, measure
from benchmarks.memory import memory
from benchmarks.peers.direct import Direct
from benchmarks.peers.litellm import Litellm
from benchmarks.peers.mitmdump import Mitmdump
from benchmarks.peers.nginx import Nginx
from benchmarks.peers.peer import Peer
from benchmarks.peers.tokenproxy import Tokenproxy, Workers
from benchmarks.plot import plot
from benchmarks.processes import Unavailable
from benchmarks.reading import reports
from benchmarks.recording import record
from benchmarks.results import Results
from benchmarks.scenarios import SCENARIOS, Scenario
from benchmarks.startup import start_ups
from benchmarks.tables import tables
from benchmarks.traffic_run import TrafficError, Upstream, build

HERE = Path(__file__).parent
PEERS = {peer.name: peer for peer in (Direct, Nginx, Mitmdump, Litellm, Tokenproxy, Workers)}
USUAL = ("direct", "nginx", "mitmdump", "tokenproxy")
FIRST = (SCENARIOS["json"], SCENARIOS["tls"])
APART = ("memory", "start", "record", "report")
"""What is measured of tokenproxy alone."""

ROUNDS, SECONDS, WARMUP_S, STARTS, MEMORY_TIMES = 5, 2.0, 0.5, 15, 3
QUICK_ROUNDS, QUICK_SECONDS, QUICK_WARMUP_S, QUICK_STARTS, QUICK_MEMORY_TIMES = 2, 1.0, 0.2, 5, 2


def main() -> int:
    options = _options()
    try:
        results = Results.read(options.source) if options.source else _run(options)
    except (TrafficError, Unavailable) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if not options.source:
        results.write(options.json)
        _say(f"written to {options.json}")
    if options.plot:
        options.plot.write_text(plot(results), encoding="utf-8")
        _say(f"drawn in {options.plot}")
    print(tables(results))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    names = (*SCENARIOS, *APART)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and 16 streams only")
    parser.add_argument(
        "--only",
        type=_names(names),
        help=f"of {','.join(names)}; default all, quick without report",
    )
    parser.add_argument(
        "--peers", type=_names(tuple(PEERS)), default=USUAL,
        help=f"of {','.join(PEERS)}; default {','.join(USUAL)}",
    )  # fmt: skip
    parser.add_argument("--rounds", type=int, help=f"default {ROUNDS}, quick {QUICK_ROUNDS}")
    parser.add_argument("--seconds", type=float, help="of each measurement")
    parser.add_argument("--streams", type=int, help="clients at once, in place of a scenario's own")
    parser.add_argument(
        "--json", type=Path, default=HERE / "results" / "last.json", help="where results are put"
    )
    parser.add_argument("--plot", type=Path, help="draw them as SVG in this file")
    parser.add_argument(
        "--from", dest="source", type=Path, help="show the results in this file, measure nothing"
    )
    options = parser.parse_args()
    if options.only is None:
        options.only = tuple(name for name in names if name != "report" or not options.quick)
    return options


def _names(known: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    def names(text: str) -> tuple[str, ...]:
        wanted = tuple(text.split(","))
        for name in wanted:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
        return wanted

    return names


def _run(options: argparse.Namespace) -> Results:
    quick = options.quick
    rounds = options.rounds or (QUICK_ROUNDS if quick else ROUNDS)
    seconds = options.seconds or (QUICK_SECONDS if quick else SECONDS)
    results = Results(
        taken=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        revision=_revision(),
        machine=machine.describe(),
        settings={"quick": quick, "rounds": rounds, "seconds": seconds},
        versions={},
        samples=[],
        starts=[],
        memory=[],
        notes=[],
    )
    if results.machine["busy"]:
        _say(f"this machine is busy (load {results.machine['load_before']}): figures will lie")
    with ExitStack() as stack:
        # A resolved path: nginx and clients compare names of files.
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))).resolve()
        upstream = stack.enter_context(Upstream(build(cache() / "bench"), work))
        if any(name in SCENARIOS for name in options.only):
            with ExitStack() as peers:
                started = _start(options.peers, upstream, work, peers, results)
                for sample in _samples(options, started, upstream, rounds, seconds):
                    results.samples.append(sample)
        if "memory" in options.only and "tokenproxy" in options.peers:
            _say("memory")
            times = QUICK_MEMORY_TIMES if quick else MEMORY_TIMES
            results.memory = memory(upstream, work / "memory", times=times)
        if "start" in options.only and "tokenproxy" in options.peers:
            _say("start")
            count = options.rounds or (QUICK_STARTS if quick else STARTS)
            results.starts = start_ups(upstream, work / "start", count)
        if "record" in options.only:
            _say("record")
            results.records = [record(work / f"record-{number}") for number in range(rounds)]
        if "report" in options.only:
            _say("report")
            results.reads = reports(work / "report", rounds)
        told = any(sample.peer == "tokenproxy" for sample in results.samples)
        if (told or results.starts or results.memory) and not upstream.stats().exports:
            raise TrafficError("tokenproxy sent no telemetry, so its figures are not those of use")
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
            _say(results.notes[-1])
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


def _samples(
    options: argparse.Namespace,
    peers: list[Peer],
    upstream: Upstream,
    rounds: int,
    seconds: float,
) -> list[Sample]:
    """Each load through all peers, one after the other; who begins changes by round."""
    warmup_s = QUICK_WARMUP_S if options.quick else WARMUP_S
    samples = []
    for number in range(rounds):
        first = number % len(peers) if peers else 0
        for scenario in (SCENARIOS[name] for name in options.only if name in SCENARIOS):
            levels = scenario.quick_streams() if options.quick else scenario.streams
            for streams in (options.streams,) if options.streams else levels:
                _say(f"round {number + 1} of {rounds}: {scenario.title}, {streams} streams")
                for peer in (*peers[first:], *peers[:first]):
                    sample = measure(
                        peer, scenario, streams, upstream,
                        number=number, seconds=seconds, warmup_s=warmup_s,
                    )  # fmt: skip
                    if sample is not None:
                        samples.append(sample)
    return samples


def _revision() -> str:
    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=HERE, capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    commit = git("rev-parse", "--short", "HEAD")
    changed = git("status", "--porcelain", "--untracked-files=no", "--", "../tokenproxy", ".")
    return (commit or version("tokenproxy")) + ("+" if changed else "")


def _say(sentence: str) -> None:
    print(f"benchmarks: {sentence}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
