"""What tokenproxy's memory does over many calls."""

from __future__ import annotations

from pathlib import Path

import msgspec

from benchmarks import machine
from benchmarks.peers.tokenproxy import Tokenproxy
from benchmarks.scenarios import Scenario
from benchmarks.traffic_run import Upstream

STREAMS = 16
CALLS = 10_000
KINDS = (
    Scenario(name="memory", title="JSON calls"),
    Scenario(name="memory", title="short streams", chunks=20),
)
"""Half of the calls are of each."""


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """Resident memory of a gateway after so many calls."""

    calls: int
    rss_mb: float


def memory(upstream: Upstream, work: Path, *, times: int) -> list[Memory]:
    """A gateway's memory at its start and after each ``CALLS`` calls."""
    work.mkdir()
    peer = Tokenproxy()
    try:
        peer.start(upstream, work)
        _calls(peer, upstream, KINDS[0], 1)  # it listens before it has loaded all
        seen = [_look(peer, 0)]
        for number in range(1, times + 1):
            for kind in KINDS:
                _calls(peer, upstream, kind, CALLS // len(KINDS) // STREAMS)
            seen.append(_look(peer, number * CALLS))
    finally:
        peer.stop()
    return seen


def _calls(peer: Tokenproxy, upstream: Upstream, kind: Scenario, each: int) -> None:
    """So many calls of each stream."""
    way = peer.way(kind)
    assert way is not None  # noqa: S101 - it has all ways
    arguments = kind.load_arguments(STREAMS, seconds=0, warmup_s=0)
    load, _ = upstream.load([*way.arguments(kind), *arguments, f"-calls={each}"])
    peer.settle(kind, load)


def _look(peer: Tokenproxy, calls: int) -> Memory:
    way = peer.way(KINDS[0])
    assert way is not None  # noqa: S101 - it has all ways
    return Memory(calls=calls, rss_mb=round(machine.rss_mb(way.pids), 1))
