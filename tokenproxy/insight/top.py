"""Today as it goes on: totals by model, story and agent, and the latest calls."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

import msgspec
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.text import Text

from tokenproxy.insight.appended import Place, read_appended
from tokenproxy.insight.lately import Call, Sums, ended_before, read_call
from tokenproxy.insight.narrow import Column, NarrowTable
from tokenproxy.insight.statusline import sums_as_json
from tokenproxy.insight.terminal import plain, printable, shorten
from tokenproxy.units import duration, si, usd

TOP_SCHEMA = "tokenproxy.top/1"
FIRST_BYTES = 64 * 1024 * 1024
"""A first look reads no more of a ledger than its end."""
LATEST = 10
LINES = 5
"""Of each kind, on a terminal."""
_LATEST_TITLES = ("Latest", "Model", "Story", "Input", "Output", "Cost", "Time", "Outcome")
_NAMES = (1, 2)
"""Columns of it that may be cut."""
_LEAST = 5
_GAP = 2
_NAME = 24
_SUMS = (
    Column("Calls", 4),
    Column("Failed", 1),
    Column("Input", 2),
    Column("Output", 3),
    Column("Cost", 5),
)
_LATEST = (
    Column("Model", 6, words=True),
    Column("Story", 2, words=True),
    Column("Input", 3),
    Column("Output", 4),
    Column("Cost", 7),
    Column("Time", 1),
    Column("Outcome", 5, words=True),
)


class Top:
    """A ledger's calls of today. :meth:`look` reads only what was appended since the last one."""

    def __init__(self, ledger: Path, zone: tzinfo) -> None:
        self._ledger, self._zone = ledger, zone
        self._place: Place | None = None
        self._calls: dict[str, Call] = {}
        self.latest: deque[Call] = deque(maxlen=LATEST)
        """Of any day, the newest first."""
        self.total = Sums()
        self.groups: dict[str, dict[str, Sums]] = {}
        self._day_ms = 0

    def look(self, now: datetime) -> bool:
        """Read what is new.

        Returns:
            Whether anything was.

        Raises:
            OSError: The ledger cannot be read.
        """
        midnight = now.astimezone(self._zone).replace(hour=0, minute=0, second=0, microsecond=0)
        day_ms = int(midnight.timestamp() * 1000)
        turned = day_ms > self._day_ms
        if turned:
            self._begin(day_ms)
        try:
            appended = read_appended(self._ledger, self._place, FIRST_BYTES)
        except FileNotFoundError:
            return turned
        calls = [call for line in appended.lines if (call := read_call(line))]
        if not appended.continues:
            self._begin(day_ms)
            self.latest.clear()
            self.total.lacks = appended.skipped > 0 and not (
                calls and ended_before(calls[0], day_ms)
            )
        for call in calls:
            self._add(call)
        self._place = appended.place
        return turned or bool(calls) or not appended.continues

    def _begin(self, day_ms: int) -> None:
        self._day_ms = day_ms
        self._calls.clear()
        self.total = Sums()
        self.groups = {"model": {}, "story": {}, "agent": {}}

    def _add(self, call: Call) -> None:
        known = self._calls.get(call.call_id or "")
        if known is not None and call.rank >= known.rank:
            return
        self.latest.appendleft(call)
        if known is not None:
            self.latest = deque((one for one in self.latest if one is not known), LATEST)
        if (call.started_ms or 0) < self._day_ms:
            return
        if known is not None:
            self._count(known, -1)
        if call.call_id:
            self._calls[call.call_id] = call
        self._count(call, 1)

    def _count(self, call: Call, sign: Any) -> None:
        self.total.add(call, sign)
        keys = {"model": call.model, "story": call.story_id, "agent": call.agent}
        for kind, key in keys.items():
            sums = self.groups[kind].setdefault(key or "", Sums(lacks=self.total.lacks))
            sums.add(call, sign)

    def as_json(self) -> dict[str, Any]:
        """The stable form."""
        return {
            "schema": TOP_SCHEMA,
            "total": sums_as_json(self.total),
            **{
                kind: {key: sums_as_json(sums) for key, sums in _dearest(of)}
                for kind, of in self.groups.items()
            },
            "latest": [
                {
                    name: value
                    for name, value in msgspec.structs.asdict(call).items()
                    if value is not None
                }
                for call in self.latest
            ],
        }

    def render(self, encoding: str | None, width: int) -> RenderableType:
        """For a terminal of ``width`` cells."""
        tables: list[RenderableType] = []
        for kind, of in self.groups.items():
            rows = [
                _cells(plain(printable(key or "—"), encoding), sums, encoding)
                for key, sums in _dearest(of)[:LINES]
            ]
            styles = {}
            if kind == "model":
                styles[len(rows)] = "bold"
                rows.append(_cells("Total", self.total, encoding))
            tables.append(NarrowTable(f"Today by {kind}", _SUMS, rows, _NAME, styles))
            tables.append(Text())
        latest = [[plain(cell, encoding) for cell in self._latest_cells(c)] for c in self.latest]
        latest = _fitted(latest, width, plain("…", encoding))
        return Group(*tables, NarrowTable("Latest", _LATEST, latest, 0))

    def _latest_cells(self, call: Call) -> list[str]:
        started = call.started_ms
        clock = "—"
        if started is not None:
            moment = datetime.fromtimestamp(started / 1000, UTC).astimezone(self._zone)
            clock = f"{moment:%H:%M:%S}"
        return [
            clock,
            printable(call.model or "—"),
            printable(call.story_id or "—"),
            "" if call.input_tokens is None else si(call.input_tokens),
            "" if call.output_tokens is None else si(call.output_tokens),
            "" if call.spent_usd is None else usd(call.spent_usd),
            "" if call.latency_ms is None else duration(call.latency_ms),
            printable(call.outcome or ""),
        ]


def _dearest(of: dict[str, Sums]) -> list[tuple[str, Sums]]:
    found = [(key, sums) for key, sums in of.items() if sums.calls]
    return sorted(found, key=lambda one: (-one[1].cost_usd, -one[1].calls, one[0]))


def _fitted(rows: list[list[str]], width: int, cut: str) -> list[list[str]]:
    """Model and story give way where not all of a row has room: numbers cannot be cut."""
    needs = [max(map(cell_len, column)) for column in zip(_LATEST_TITLES, *rows, strict=True)]
    while sum(needs) + _GAP * (len(needs) - 1) > width:
        widest = max(_NAMES, key=lambda number: needs[number])
        if needs[widest] <= _LEAST:
            break
        needs[widest] -= 1
    return [
        [
            shorten(cell, needs[number], cut) if number in _NAMES else cell
            for number, cell in enumerate(row)
        ]
        for row in rows
    ]


def _cells(name: str, sums: Sums, encoding: str | None) -> list[str]:
    cells = [
        name,
        f"{sums.count_sign}{si(sums.calls)}",
        f"{sums.count_sign}{si(sums.failed)}" if sums.failed else "",
        f"{sums.sign}{si(sums.input_tokens)}",
        f"{sums.sign}{si(sums.output_tokens)}",
        f"{sums.cost_sign}{usd(sums.cost_usd)}",
    ]
    return [plain(cell, encoding) for cell in cells]
