"""One measurement: a scenario through one peer, once."""

from __future__ import annotations

import os
import time

import msgspec

from benchmarks import machine
from benchmarks.histogram import quantile_ms
from benchmarks.peers.peer import Peer
from benchmarks.scenarios import Scenario
from benchmarks.traffic_run import TrafficError, Upstream


class Sample(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one measurement gave."""

    scenario: str
    streams: int
    peer: str
    round: int
    rate: float
    """Calls a second, or whole streams a second where the scenario's unit is the chunk."""
    calls: int
    """Made in all, and each was whole."""
    ttfb_p50_ms: float | None = None
    ttfb_p99_ms: float | None = None
    delay_p50_ms: float | None = None
    """Of a chunk, from the upstream's write to the client's read; only where it is paced."""
    delay_p99_ms: float | None = None
    cpu_s_per_1000: float | None = None
    """The peer's processor seconds for 1,000 chunks or calls, recording included."""
    core_share: float | None = None
    """Of one core, that the peer took during the load and its recording."""
    rss_mb: float | None = None
    """The peer's resident memory afterwards."""
    foreign_share: float = 0.0
    """Of all cores, that processes of others took."""


def measure(
    peer: Peer,
    scenario: Scenario,
    streams: int,
    upstream: Upstream,
    *,
    number: int,
    seconds: float,
    warmup_s: float,
) -> Sample | None:
    """Run the scenario through the peer; None if the peer has no way for it.

    Raises:
        TrafficError: A call was not whole or its row is not right.
    """
    way = peer.way(scenario)
    if way is None:
        return None
    arguments = way.arguments(scenario)
    arguments += scenario.load_arguments(streams, seconds=seconds, warmup_s=warmup_s)
    servers = (*way.pids, upstream.pid)
    began, busy, ours = time.monotonic(), machine.busy_s(), machine.cpu_s(servers)
    own, mine = machine.cpu_s(way.pids), time.process_time()
    try:
        load, clients_s = upstream.load(arguments)
        peer.settle(scenario, load)
    except TrafficError as error:
        raise TrafficError(
            f"{scenario.name} through {peer.name}, {streams} streams: {error}"
        ) from None
    took_s = time.monotonic() - began
    ours = machine.cpu_s(servers) - ours + clients_s + time.process_time() - mine
    foreign = max(0.0, machine.busy_s() - busy - ours) / took_s / (os.cpu_count() or 1)
    cpu_s = machine.cpu_s(way.pids) - own
    units = load.all_chunks if scenario.chunks else load.all_calls
    counted = load.chunks / scenario.chunks if scenario.chunks else load.calls
    return Sample(
        scenario=scenario.name,
        streams=streams,
        peer=peer.name,
        round=number,
        rate=counted / load.seconds,
        calls=load.all_calls,
        ttfb_p50_ms=quantile_ms(load.ttfb, 0.5),
        ttfb_p99_ms=quantile_ms(load.ttfb, 0.99),
        delay_p50_ms=quantile_ms(load.delay, 0.5),
        delay_p99_ms=quantile_ms(load.delay, 0.99),
        cpu_s_per_1000=cpu_s / units * 1000 if way.pids else None,
        core_share=cpu_s / took_s if way.pids else None,
        rss_mb=machine.rss_mb(way.pids) if way.pids else None,
        foreign_share=round(foreign, 3),
    )
