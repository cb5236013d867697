"""Results as a picture: an SVG written by hand, that needs nothing to be made or seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from benchmarks.bars import EVERYDAY, LEVEL
from benchmarks.figures import Figure, Figures, by_rate
from benchmarks.measure import Sample
from benchmarks.results import Results
from benchmarks.scenarios import CHUNKS, SCENARIOS
from benchmarks.tables import number

WIDTH, LABELS, ROW, GAP, HEAD = 800, 230, 14, 10, 46
BARS = WIDTH - LABELS - 90
COLOURS = {
    "direct": "#9aa5b1",
    "nginx": "#2f9e6e",
    "mitmdump": "#d08a2e",
    "litellm": "#a05bb5",
    "tokenproxy": "#2f6fd0",
    "workers": "#17375e",
}
STYLE = """\
text { font: 12px system-ui, sans-serif; fill: #1f2933; }
.title { font-weight: 600; font-size: 14px; } .value { font-size: 11px; }
@media (prefers-color-scheme: dark) { text { fill: #e4e7eb; } }
"""

type Group = tuple[str, list[tuple[str, float]]]
"""A label, and the peers' values."""


def plot(results: Results) -> str:
    """Throughput beside the direct way's, and what a unit costs."""
    figures = Figures(results.samples)
    panels = [
        ("Throughput, as a part of the direct way's", _throughput(figures)),
        ("Processor time of the proxy, µs a chunk", _cost(figures)),
    ]
    drawn, height = [_legend(figures.peers)], 34
    for title, groups in panels:
        if groups:
            picture, taken = _panel(title, groups, height)
            drawn.append(picture)
            height += taken
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
        f' width="{WIDTH}" height="{height}" role="img">\n'
        f"<title>tokenproxy beside its peers, {escape(results.taken)}</title>\n"
        f"<style>{STYLE}</style>\n" + "\n".join(drawn) + "\n</svg>\n"
    )


def _name(scenario: str, streams: int) -> str:
    return f"{SCENARIOS[scenario].title}, x{streams}"


def _throughput(figures: Figures) -> list[Group]:
    return [
        (
            _name(*load),
            _known((peer, figures.ratio(*load, peer, "direct", by_rate)) for peer in figures.peers),
        )
        for load in figures.loads
        if not SCENARIOS[load[0]].pace and (load[1] == LEVEL or load[0] == "sse")
    ]


def _cost(figures: Figures) -> list[Group]:
    def microseconds(sample: Sample) -> float | None:
        return None if sample.cpu_s_per_1000 is None else sample.cpu_s_per_1000 * 1000

    return [
        (
            _name(*load),
            _known((peer, figures.value(*load, peer, microseconds)) for peer in figures.peers),
        )
        for load in figures.loads
        if SCENARIOS[load[0]].chunks == CHUNKS and load[1] in (LEVEL, EVERYDAY)
    ]


def _known(values: Iterable[tuple[str, Figure | None]]) -> list[tuple[str, float]]:
    return [(peer, figure.median) for peer, figure in values if figure is not None]


def _legend(peers: Sequence[str]) -> str:
    parts, x = [], 8
    for peer in peers:
        parts.append(f'<rect x="{x}" y="10" width="12" height="12" fill="{COLOURS[peer]}"/>')
        parts.append(f'<text x="{x + 17}" y="21">{escape(peer)}</text>')
        x += 110
    return "\n".join(parts)


def _panel(title: str, groups: Sequence[Group], top: int) -> tuple[str, int]:
    """A panel of horizontal bars, and its height."""
    longest = max((value for _, values in groups for _, value in values), default=1.0) or 1.0
    y = top + HEAD
    parts = [f'<text class="title" x="8" y="{top + 28}">{escape(title)}</text>']
    for label, values in groups:
        middle = y + ROW * len(values) / 2 + 4
        parts.append(
            f'<text x="{LABELS - 8}" y="{middle:g}" text-anchor="end">{escape(label)}</text>'
        )
        for peer, value in values:
            width = max(1.0, BARS * value / longest)
            parts.append(
                f'<rect x="{LABELS}" y="{y}" width="{width:.1f}" height="{ROW - 2}"'
                f' fill="{COLOURS[peer]}"/>'
            )
            parts.append(
                f'<text class="value" x="{LABELS + width + 5:.1f}" y="{y + ROW - 4}">'
                f"{number(value)}</text>"
            )
            y += ROW
        y += GAP
    return "\n".join(parts), y - top
