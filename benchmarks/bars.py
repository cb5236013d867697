"""What must hold: each bar, what was measured, and whether it is met."""

from __future__ import annotations

from typing import Literal

import msgspec

from benchmarks.appends import WRITERS
from benchmarks.figures import Figure, Figures, by_cpu, by_rate
from benchmarks.memory import CALLS
from benchmarks.results import Results

OURS = "tokenproxy"
LEVEL = 16
"""Streams at which throughput is compared."""
EVERYDAY = 64

MOST_FLAT = 1.05
"""Memory after further calls, as a part of that after the first: more would be a leak."""


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that must hold of a median."""

    text: str
    way: Literal["at least", "at most"]
    bar: float
    unit: str
    """Appended to the number: `` ms``, `` MB``, `` x``."""
    measured: Figure | None

    @property
    def met(self) -> bool | None:
        """None: not measured."""
        if self.measured is None:
            return None
        if self.way == "at least":
            return self.measured.median >= self.bar
        return self.measured.median <= self.bar


def bars(results: Results) -> list[Bar]:
    """All of them, whether measured or not."""
    figures = Figures(results.samples)
    return [
        *_throughput(figures),
        *_costs(figures),
        *_memory(results),
        *_starts(results),
        *_files(results),
    ]


def _throughput(figures: Figures) -> list[Bar]:
    return [
        Bar(
            text="SSE, 16 streams, as a part of nginx' throughput", way="at least",
            bar=0.9, unit=" x", measured=figures.ratio("sse", LEVEL, OURS, "nginx", by_rate),
        ),
        Bar(
            text="SSE, 16 streams, of stock mitmdump's", way="at least",
            bar=4, unit=" x", measured=figures.ratio("sse", LEVEL, OURS, "mitmdump", by_rate),
        ),
        Bar(
            text="JSON, 16 streams, of stock mitmdump's", way="at least",
            bar=4, unit=" x", measured=figures.ratio("json", LEVEL, OURS, "mitmdump", by_rate),
        ),
        Bar(
            text="SSE, 16 streams: plain's throughput, of that with TLS opened", way="at most",
            bar=1.3, unit=" x",
            measured=figures.scenario_ratio(OURS, ("sse", LEVEL), ("tls", LEVEL), by_rate),
        ),
    ]  # fmt: skip


def _costs(figures: Figures) -> list[Bar]:
    def added(scenario: str, streams: int, name: str) -> Figure | None:
        return figures.added(scenario, streams, OURS, lambda sample: getattr(sample, name))

    return [
        Bar(
            text="64 streams at 50 chunks/s: processor time a chunk, of nginx'", way="at most",
            bar=3, unit=" x", measured=figures.ratio("everyday", EVERYDAY, OURS, "nginx", by_cpu),
        ),
        Bar(
            text="added time to the first byte, 16 streams, p50", way="at most",
            bar=1, unit=" ms", measured=added("short", LEVEL, "ttfb_p50_ms"),
        ),
        Bar(
            text="added time to the first byte, 16 streams, p99", way="at most",
            bar=5, unit=" ms", measured=added("short", LEVEL, "ttfb_p99_ms"),
        ),
        Bar(
            text="added delay of a chunk, 64 streams at 50 chunks/s, p50", way="at most",
            bar=0.3, unit=" ms", measured=added("everyday", EVERYDAY, "delay_p50_ms"),
        ),
    ]  # fmt: skip


def _memory(results: Results) -> list[Bar]:
    first = [look.rss_mb for look in results.memory if look.calls == CALLS]
    later = [look.rss_mb for look in results.memory if look.calls > CALLS]
    growth = [later[-1] / first[0]] if first and later else []
    return [
        Bar(
            text=f"memory after {CALLS:,} calls", way="at most",
            bar=110, unit=" MB", measured=Figure.of(first),
        ),
        Bar(
            text="memory after further calls, of that", way="at most",
            bar=MOST_FLAT, unit=" x", measured=Figure.of(growth),
        ),
    ]  # fmt: skip


def _starts(results: Results) -> list[Bar]:
    starts = [start for start in results.starts if start.telemetry]
    return [
        Bar(
            text="from the prefix' start to the command's", way="at most",
            bar=100, unit=" ms", measured=Figure.of(start.exec_ms for start in starts),
        ),
        Bar(
            text="`tokenproxy run -- true` more than `true`", way="at most",
            bar=350, unit=" ms",
            measured=Figure.of(start.run_true_ms - start.true_ms for start in starts),
        ),
    ]  # fmt: skip


def _files(results: Results) -> list[Bar]:
    return [
        Bar(
            text="rows recorded by one process", way="at least",
            bar=20_000, unit=" rows/s",
            measured=Figure.of(record.rows_per_s for record in results.records),
        ),
        Bar(
            text=f"append of a row with {WRITERS} writers, p99", way="at most",
            bar=5, unit=" ms",
            measured=Figure.of(record.append_p99_ms for record in results.records),
        ),
        Bar(
            text="report over a million rows, all of them read", way="at most",
            bar=2, unit=" s", measured=Figure.of(read.cold.seconds for read in results.reads),
        ),
        Bar(
            text="the third one, of columns that the second kept", way="at most",
            bar=2, unit=" s", measured=Figure.of(read.warm.seconds for read in results.reads),
        ),
        Bar(
            text="their memory", way="at most", bar=300, unit=" MB",
            measured=Figure.of(
                max(one.peak_mb for one in (read.cold, read.keeping, read.warm))
                for read in results.reads
            ),
        ),
    ]  # fmt: skip
