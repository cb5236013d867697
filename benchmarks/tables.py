"""Results as Markdown tables: for the terminal and for docs/performance.md."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.appends import WRITERS
from benchmarks.bars import EVERYDAY, LEVEL, bars
from benchmarks.figures import Figure, Figures, Value, by_cpu, by_rate
from benchmarks.machine import FOREIGN_LIMIT
from benchmarks.measure import Sample
from benchmarks.results import Results
from benchmarks.scenarios import SCENARIOS

MET = {True: "met", False: "**not met**", None: "not measured"}
UNKNOWN = "-"
DIGITS = 3


def tables(results: Results) -> str:
    """Everything."""
    figures = Figures(results.samples)
    parts = [
        _about(results),
        _bars(results),
        _throughput(figures),
        _added("Added time to the first byte, ms", figures, "ttfb", "short"),
        _added("Added delay of a chunk, ms", figures, "delay", "everyday"),
        _cost(figures),
        _model(figures),
        _starts(results),
        _memory(results),
        _rss(figures),
        _records(results),
        _reads(results),
    ]
    return "\n\n".join(part for part in parts if part)


def number(value: float) -> str:
    """Three figures, never an exponent."""
    if abs(value) >= 10**DIGITS:
        return f"{value:,.0f}"
    return f"{float(f'{value:.{DIGITS}g}'):g}"


def shown(figure: Figure | None, unit: str = "") -> str:
    """The median and the spread."""
    if figure is None:
        return UNKNOWN
    if figure.low == figure.high:
        return number(figure.median) + unit
    return f"{number(figure.median)}{unit} ({number(figure.low)} to {number(figure.high)})"


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table that is one in a terminal too; nothing if it has no rows."""
    if not rows:
        return ""
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(map(str.ljust, cells, widths))} |"

    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([f"### {title}", "", line(head), rule, *map(line, rows)])


def _about(results: Results) -> str:
    machine, settings = results.machine, results.settings
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    lines = [
        f"{results.taken}, revision {results.revision}: {machine['cores']} cores of"
        f" {machine['processor']}, {machine['system']}, Python {machine['python']}"
        + (f"; {versions}" if versions else "")
        + f". Medians of {settings['rounds']} rounds, in brackets the least and the most."
    ]
    if machine["busy"]:
        lines.append(f"The machine was busy before the run: load {machine['load_before']}.")
    disturbed = [sample for sample in results.samples if sample.foreign_share > FOREIGN_LIMIT]
    if disturbed:
        most = max(sample.foreign_share for sample in disturbed)
        lines.append(
            f"{len(disturbed)} of {len(results.samples)} measurements were disturbed: other"
            f" processes took up to {most:.0%} of all cores."
        )
    lines += [f"**Failed:** {fault}." for fault in results.faults]
    return "\n\n".join([*lines, *results.notes])


def _bars(results: Results) -> str:
    rows = [
        [bar.text, f"{bar.way} {number(bar.bar)}{bar.unit}", shown(bar.measured, bar.unit),
         MET[bar.met]]
        for bar in bars(results)
    ]  # fmt: skip
    return table("Bars", ["what", "bar", "measured", ""], rows)


def _load(scenario: str, streams: int) -> list[str]:
    return [SCENARIOS[scenario].title, str(streams)]


def _throughput(figures: Figures) -> str:
    loads = [load for load in figures.loads if not SCENARIOS[load[0]].pace]
    others = [name for name in ("nginx", "mitmdump", "litellm") if name in figures.peers]
    ours = "tokenproxy" in figures.peers
    rows = [
        [
            *_load(*load),
            *(shown(figures.value(*load, peer, by_rate)) for peer in figures.peers),
            *(shown(figures.ratio(*load, "tokenproxy", to, by_rate)) for to in others if ours),
        ]
        for load in loads
    ]
    head = ["traffic", "streams", *figures.peers, *(f"ours ÷ {name}" for name in others if ours)]
    return table("Throughput, calls or streams a second", head, rows)


def _quantile(kind: str, quantile: str) -> Value:
    def value(sample: Sample) -> float | None:
        found: float | None = getattr(sample, f"{kind}_{quantile}_ms")
        return found

    return value


def _added(title: str, figures: Figures, kind: str, only: str) -> str:
    rows = [
        [
            *_load(*load),
            quantile,
            shown(figures.value(*load, "direct", _quantile(kind, quantile))),
            *(
                shown(figures.added(*load, peer, _quantile(kind, quantile)))
                for peer in figures.peers
                if peer != "direct"
            ),
        ]
        for load in figures.loads
        if load[0] == only
        for quantile in ("p50", "p99")
    ]
    others = [f"{peer} adds" for peer in figures.peers if peer != "direct"]
    return table(title, ["traffic", "streams", "", "direct", *others], rows)


def _cost(figures: Figures) -> str:
    proxies = [peer for peer in figures.peers if peer != "direct"]
    rows = [
        [
            *_load(*load),
            SCENARIOS[load[0]].unit,
            *(shown(_microseconds(figures.value(*load, peer, by_cpu))) for peer in proxies),
        ]
        for load in figures.loads
    ]
    # A second for 1,000 is a millisecond for one.
    return table(
        "Processor time, µs a unit (= CPU seconds per million)",
        ["traffic", "streams", "unit", *proxies],
        rows if proxies else [],
    )


def _microseconds(figure: Figure | None) -> Figure | None:
    """Of one, from seconds for a thousand."""
    if figure is None:
        return None
    return Figure(figure.median * 1000, figure.low * 1000, figure.high * 1000)


def _model(figures: Figures) -> str:
    """What the costs are made of: a call's is a sum of these."""
    rows = []
    for peer in figures.peers:
        call = figures.value("json", LEVEL, peer, by_cpu)
        stream = figures.value("everyday", EVERYDAY, peer, by_cpu)
        body = figures.value("body", LEVEL, peer, by_cpu)
        if call is not None:
            chunk = stream.median - call.median / SCENARIOS["everyday"].chunks if stream else None
            megabyte = body.median - call.median if body else None
            rows.append(
                [
                    peer,
                    number(call.median * 1000),
                    UNKNOWN if chunk is None else number(chunk * 1000),
                    UNKNOWN if megabyte is None else number(megabyte * 1000),
                ]
            )
    head = ["peer", "a call", "+ a chunk that comes alone", "+ a megabyte of request"]
    return table("What a call costs, µs of a core", head, rows)


def _starts(results: Results) -> str:
    rows = []
    for telemetry in (True, False):
        starts = [start for start in results.starts if start.telemetry is telemetry]
        if starts:
            rows.append(
                [
                    "on" if telemetry else "off",
                    shown(Figure.of(start.plain_exec_ms for start in starts)),
                    shown(Figure.of(start.exec_ms for start in starts)),
                    shown(Figure.of(start.exit_ms for start in starts)),
                    shown(Figure.of(start.true_ms for start in starts)),
                    shown(Figure.of(start.run_true_ms for start in starts)),
                ]
            )
    head = ["telemetry", "to exec, without", "to exec", "exec to exit", "true", "run -- true"]
    return table("The prefix, ms", head, rows)


def _memory(results: Results) -> str:
    rows = [[f"{look.calls:,}", number(look.rss_mb)] for look in results.memory]
    return table("Memory of a gateway", ["calls", "resident MB"], rows)


def _rss(figures: Figures) -> str:
    rows = []
    for peer in figures.peers:
        seen = [figures.value(*load, peer, _resident) for load in figures.loads]
        known = [figure.high for figure in seen if figure is not None]
        if known:
            rows.append([peer, number(max(known))])
    return table("Memory of the peers", ["peer", "most resident after a measurement, MB"], rows)


def _resident(sample: Sample) -> float | None:
    return sample.rss_mb


def _records(results: Results) -> str:
    records = results.records
    values = [
        ("rows/s of one recorder", [record.rows_per_s for record in records]),
        (
            "rows/s of one recorder that sends telemetry",
            [record.telemetry_rows_per_s for record in records if record.telemetry_rows_per_s],
        ),
        (f"appends/s of {WRITERS} writers", [record.appends_per_s for record in records]),
        ("an append, p50, ms", [record.append_p50_ms for record in records]),
        ("an append, p99, ms", [record.append_p99_ms for record in records]),
    ]
    rows = [[name, shown(Figure.of(known))] for name, known in values if known]
    return table("The ledger", ["what", "measured"], rows if records else [])


def _reads(results: Results) -> str:
    reads = results.reads
    looks = {
        "the first: reads all": [read.cold for read in reads],
        "the second: keeps columns": [read.keeping for read in reads],
        "the third: reads these": [read.warm for read in reads],
    }
    rows = [
        [
            name,
            shown(Figure.of(one.seconds for one in took)),
            shown(Figure.of(one.cpu_s for one in took)),
            shown(Figure.of(one.peak_mb for one in took)),
        ]
        for name, took in looks.items()
    ]
    if any(read.jq_s is not None for read in reads):
        rows.append(["jq, one sum", shown(Figure.of(read.jq_s for read in reads)), "", ""])
    of = f"{reads[0].rows:,} rows, {number(reads[0].megabytes)} MB" if reads else ""
    head = ["report", "s", "s of CPU", "memory, MB"]
    return table(f"Reports over {of}", head, rows if reads else [])
