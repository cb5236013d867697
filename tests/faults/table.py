"""Outcomes as a Markdown table: for the terminal and for docs/reliability.md."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from tests.faults.reckoning import Outcome

HEADS = (
    *("fault", "runs", "kills", "stops"),
    *("rows expected", "found", "duplicated", "torn", "unsent"),
)


def table(outcomes: Sequence[Outcome]) -> str:
    """A line a fault, and the sums."""
    lines = [HEADS, ("---", *["--:"] * (len(HEADS) - 1))]
    lines += [_cells(one) for one in outcomes]
    total = Outcome(fault="**all**")
    for one in outcomes:
        for name in ("runs", "kills", "stops", "expected", "found", "duplicated", "torn", "unsent"):
            setattr(total, name, getattr(total, name) + getattr(one, name))
    lines.append(_cells(total))
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def back(outcomes: Iterable[Outcome]) -> str:
    """How soon a killed proxy's successor answers."""
    times = sorted(ms for one in outcomes for ms in one.back_ms)
    if not times:
        return ""
    late = times[int(len(times) * 0.99)]
    return (
        f"From a proxy's death to the whole answer of the command's next call:"
        f" {statistics.median(times):.0f} ms (median of {len(times)}),"
        f" {late:.0f} ms (99 of 100), {times[-1]:.0f} ms (the longest)."
    )


def _cells(one: Outcome) -> tuple[str, ...]:
    counts = (
        *(one.runs, one.kills, one.stops),
        *(one.expected, one.found, one.duplicated, one.torn, one.unsent),
    )
    return (one.fault, *(f"{count:,}" for count in counts))
