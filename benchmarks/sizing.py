"""What many agents leave a day: calls, spans, rows, bytes. The tables of docs/scale.md.

    python -m benchmarks.sizing             # the tables, from the figures below
    python -m benchmarks.sizing --measure   # the figures themselves, on a real ClickHouse

Calculated from a stated day of an agent and from bytes that were measured: spans as
tokenproxy makes them (``benchmarks/loop_spans.py``), encoded as OTLP, and stored in the
tables of docker/scale/clickhouse by chdb (``scripts/install-clients stack``).
"""

from __future__ import annotations

import sys
import tempfile
from itertools import batched, chain
from pathlib import Path

import msgspec

CALLS_A_DAY = 2_000
"""Of an agent that works day and night: a call every 43 seconds, its tools' time included."""
CALLS_AN_ITERATION = 40
TOOLS_A_CALL = 0.975
"""All but the last call of an iteration ask for a tool."""
GROUPS_AN_ITERATION = 2
"""The iteration and one turn."""
PEAK = 4
"""The busiest hour over the mean."""
AGENTS = (10, 1_000, 100_000)
SPAN_DAYS = 30
CALL_MONTHS = 25
"""As the tables' TTL says."""


class Measured(msgspec.Struct, frozen=True):
    """Bytes of a span or row, on average over all kinds."""

    otlp: float
    """A span in OTLP/protobuf, as tokenproxy sends it."""
    wire: float
    """A span from edge to gateway: zstd, in batches of two million bytes."""
    span: float
    """A row of ``otel_traces`` on disk, merged."""
    row: float
    """A row of ``calls`` on disk, merged."""


MEASURED = Measured(otlp=1719, wire=128, span=122, row=70)


def spans_a_call() -> float:
    """All spans of an iteration over its calls."""
    return 1 + TOOLS_A_CALL + GROUPS_AN_ITERATION / CALLS_AN_ITERATION


def tables(measured: Measured) -> str:
    """Both tables, in Markdown."""
    spans = spans_a_call()
    lines = [
        "| bytes | measured |",
        "|---|---|",
        f"| a span in OTLP | {measured.otlp:.0f} |",
        f"| a span from edge to gateway, zstd | {measured.wire:.0f} |",
        f"| a span stored | {measured.span:.0f} |",
        f"| a call stored | {measured.row:.0f} |",
        "",
        "| agents | " + " | ".join(f"{agents:,}" for agents in AGENTS) + " |",
        "|---|" + "---|" * len(AGENTS),
    ]
    days = [agents * CALLS_A_DAY for agents in AGENTS]
    rows = {
        "calls a day": [number(calls) for calls in days],
        "spans a day": [number(calls * spans) for calls in days],
        "spans a second, mean and peak": [
            f"{number(calls * spans / 86_400)}, {number(calls * spans / 86_400 * PEAK)}"
            for calls in days
        ],
        "agents to edges a day": [size(calls * spans * measured.otlp) for calls in days],
        "edges to gateways a day": [size(calls * spans * measured.wire) for calls in days],
        "edges to gateways at the peak": [
            size(calls * spans * measured.wire / 86_400 * PEAK) + "/s" for calls in days
        ],
        "spans stored a day": [size(calls * spans * measured.span) for calls in days],
        "calls stored a day": [size(calls * measured.row) for calls in days],
        f"spans held, {SPAN_DAYS} days": [
            size(calls * spans * measured.span * SPAN_DAYS) for calls in days
        ],
        f"calls held, {CALL_MONTHS} months": [
            size(calls * measured.row * CALL_MONTHS * 365.25 / 12) for calls in days
        ],
    }
    lines += [f"| {name} | " + " | ".join(values) + " |" for name, values in rows.items()]
    return "\n".join(lines)


def number(value: float) -> str:
    """Two digits and a word."""
    for unit, word in ((1e9, " billion"), (1e6, " million"), (1e3, " thousand")):
        if value >= unit:
            return f"{_digits(value / unit)}{word}"
    return _digits(value)


def size(value: float) -> str:
    """Two digits and a decimal unit of bytes."""
    for unit, word in ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= unit:
            return f"{_digits(value / unit)} {word}"
    return f"{_digits(value)} B"


_TEN = 10


def _digits(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0") if value < _TEN else f"{float(f'{value:.2g}'):.0f}"


def measure(iterations: int = 400) -> Measured:
    """Make spans, encode and store them."""
    import zstandard
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

    from benchmarks import loop_spans
    from tests.real.stack import exported
    from tests.real.stack.clickhouse import ClickHouse

    with tempfile.TemporaryDirectory() as directory, ClickHouse(Path(directory)) as clickhouse:
        clickhouse.create_tables()
        clickhouse.keep_all()
        otlp = wire = spans = 0
        made = loop_spans.iterations(iterations, 1_793_491_200_000_000_000)
        for some in batched(made, 20):
            batch = list(chain.from_iterable(some))  # two million bytes, as an edge sends them
            encoded = encode_spans(batch).SerializeToString()
            otlp += len(encoded)
            wire += len(zstandard.compress(encoded, 3))
            spans += len(batch)
            exported.insert(clickhouse, batch)
        sizes = {}
        for table in ("otel_traces", "calls"):
            clickhouse.ask(f"OPTIMIZE TABLE {table} FINAL")
            (found,) = clickhouse.ask(
                "SELECT sum(bytes_on_disk) AS bytes, sum(rows) AS rows FROM system.parts"
                " WHERE active AND database = currentDatabase() AND table = {t:String}",
                t=table,
            )
            sizes[table] = int(found["bytes"]) / int(found["rows"])
            print(f"{table}: {int(found['rows']):,} rows", file=sys.stderr)
    print(f"{spans / iterations / loop_spans.CALLS:.3f} spans a call", file=sys.stderr)
    return Measured(otlp / spans, wire / spans, sizes["otel_traces"], sizes["calls"])


if __name__ == "__main__":
    found = measure() if sys.argv[1:] == ["--measure"] else MEASURED
    if found is not MEASURED:
        print(found)
    print(tables(found))
