"""A table that leaves out columns where a terminal is too narrow, the least wanted first.

A number is never cut: half of one says something else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table

_GAP = 2
_LEAST_NAME = 12
"""Cells of the first column that are worth more than any other column but one."""


class Column(msgspec.Struct, frozen=True):
    """One beside the first, which names what a line is about."""

    title: str
    worth: int
    """Those of the least are left out first; the last is never."""
    words: bool = False
    """At the left, as text is read; numbers are at the right."""


class NarrowTable(msgspec.Struct, frozen=True):
    """What rich can print at any width."""

    title: str
    columns: tuple[Column, ...]
    rows: Sequence[Sequence[str]]
    """Each with its name first."""
    name_width: int
    """Of the first column, where there is room: tables below each other are in line."""
    styles: Mapping[int, str] = {}
    """Of rows, by their number."""

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """As wide as there is room."""
        kept = self._kept(options.max_width)
        room = options.max_width - sum(self._width(number) + _GAP for number in kept)
        table = Table(box=None, padding=(0, _GAP, 0, 0), show_edge=False, pad_edge=False)
        width = max(1, min(max(self.name_width, self._name_width), room))
        table.add_column(self.title, header_style="bold", no_wrap=True, width=width)
        for number in kept:
            column = self.columns[number]
            table.add_column(
                column.title,
                header_style="bold",
                no_wrap=True,
                justify="left" if column.words else "right",
            )
        for index, row in enumerate(self.rows):
            cells = [row[number + 1] for number in kept]
            table.add_row(row[0], *cells, style=self.styles.get(index))
        yield table

    def _kept(self, width: int) -> list[int]:
        kept = list(range(len(self.columns)))
        name = min(_LEAST_NAME, self._name_width)
        while len(kept) > 1:
            if sum(self._width(number) + _GAP for number in kept) + name <= width:
                break
            kept.remove(min(kept, key=lambda number: self.columns[number].worth))
        return kept

    @property
    def _name_width(self) -> int:
        return max(map(cell_len, [self.title, *(row[0] for row in self.rows)]))

    def _width(self, number: int) -> int:
        cells = [row[number + 1] for row in self.rows]
        return max(map(cell_len, [self.columns[number].title, *cells]))
