"""What a soak found, as a table, and what of it is a fault."""

from __future__ import annotations

from statistics import median

import msgspec

MOST_GROWTH_MB = 5.0
"""From the second quarter to the last."""
MOST_DESCRIPTORS = 8
"""More at the end, with no stream open, than at the start: files that are opened late."""


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """The gateway at one moment."""

    done: float
    """Part of the calls that are over."""
    rss_mb: float
    descriptors: int
    threads: int


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of one kind of call."""

    fault: str
    calls: int
    rows: int
    lost: int
    doubled: int
    wrong: int
    """Another outcome than such a call can have, or tokens that were not billed."""


class Soak(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run."""

    hours: float
    calls: int
    seconds: float
    counts: list[Count]
    looks: list[Look]
    journals_left: list[str]


def quarters(result: Soak) -> list[tuple[float, int, int]]:
    """Of each quarter the median memory, descriptors and threads."""
    found = []
    for quarter in range(4):
        busy = result.looks[1:-1] or result.looks
        looks = [one for one in busy if quarter / 4 <= one.done < (quarter + 1) / 4] or busy
        found.append((
            median(one.rss_mb for one in looks),
            round(median(one.descriptors for one in looks)),
            round(median(one.threads for one in looks)),
        ))  # fmt: skip
    return found


def table(result: Soak) -> str:
    """As Markdown."""
    lines = [
        (
            f"{result.calls:,} calls of 50 streams in {result.seconds:,.0f} s, which 50 streams"
            f" at 50 chunks/s would make in {result.hours:g} h."
        ),
        "",
        "| kind of call | calls | rows | lost | doubled | wrong |",
        "|---|---|---|---|---|---|",
        *(
            f"| {one.fault} | {one.calls:,} | {one.rows:,} | {one.lost} | {one.doubled}"
            f" | {one.wrong} |"
            for one in result.counts
        ),
        "",
        "| part of the run | resident MB | descriptors | threads |",
        "|---|---|---|---|",
        _line("warm, idle", result.looks[0]),
        *(
            f"| {name} quarter | {rss:.1f} | {descriptors} | {threads} |"
            for name, (rss, descriptors, threads) in zip(
                ("first", "second", "third", "last"), quarters(result), strict=True
            )
        ),
        _line("at the end, idle", result.looks[-1]),
    ]
    return "\n".join(lines)


def _line(name: str, one: Look) -> str:
    return f"| {name} | {one.rss_mb:.1f} | {one.descriptors} | {one.threads} |"


def faults_of(result: Soak) -> list[str]:
    """Sentences: what is not as promised."""
    found = [
        f"{one.fault}: {one.lost} lost, {one.doubled} doubled, {one.wrong} wrong"
        for one in result.counts
        if one.lost or one.doubled or one.wrong
    ]
    told = quarters(result)
    growth = told[3][0] - told[1][0]
    if growth > MOST_GROWTH_MB:
        found.append(f"memory grew by {growth:.1f} MB from the second quarter to the last")
    more = result.looks[-1].descriptors - result.looks[0].descriptors
    if more > MOST_DESCRIPTORS:
        found.append(f"{more} descriptors more than at the start are open when no stream is")
    if result.journals_left:
        found.append(f"journals are left: {', '.join(result.journals_left)}")
    return found
