"""A report as a table on a terminal, or as CSV.

On a terminal that is too narrow, columns are left out in a fixed order, the
least asked for first, then names are cut in the middle; a number is never cut.
``--json``, ``--csv`` and a pipe get all.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from typing import TextIO

import msgspec
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tokenproxy.insight.report import Report, Totals
from tokenproxy.insight.terminal import plain, printable, shorten
from tokenproxy.units import duration, si, usd

_GAP = 2
_LEAST_KEY_WIDTH = 14


class _Column(msgspec.Struct, frozen=True):
    title: str
    show: Callable[[Totals], str]
    worth: int
    """Columns of the least worth are left out first where there is no room."""
    optional: bool = False
    """Left out where no line has anything to say in it."""
    money: bool = False


def _count(value: int | None) -> str:
    return "" if value is None else si(value)


def _time(value: float | None) -> str:
    return "" if value is None else duration(value)


_COLUMNS = (
    _Column("Calls", lambda of: si(of.calls), 9),
    _Column("Failed", lambda of: si(of.failed) if of.failed else "", 6, optional=True),
    _Column("Input", lambda of: _count(of.input_tokens), 8),
    _Column("Uncached", lambda of: _count(of.uncached_input_tokens), 3, optional=True),
    _Column("Cached", lambda of: _count(of.cache_read_input_tokens), 5, optional=True),
    _Column("Written", lambda of: _count(of.cache_creation_input_tokens), 5, optional=True),
    _Column("Output", lambda of: _count(of.output_tokens), 8),
    _Column("Reasoning", lambda of: _count(of.reasoning_output_tokens), 1, optional=True),
    _Column("Cost", lambda of: "" if of.cost_usd is None else usd(of.cost_usd), 9, money=True),
    _Column("Unpriced", lambda of: si(of.unpriced) if of.unpriced else "", 7, optional=True),
    _Column("Mean", lambda of: _time(of.latency_ms_mean), 0),
    _Column("p50", lambda of: _time(of.latency_ms_p50), 2),
    _Column("p95", lambda of: _time(of.latency_ms_p95), 4),
)


def print_table(report: Report, console: Console) -> None:
    """Print the report's lines, its total and what the total leaves out."""
    cut = plain("…", console.encoding)
    everything = [*(line.totals for line in report.lines), report.total]
    keys = [[_key(line.keys[i]) for line in report.lines] for i in range(len(report.by))]
    columns = _fitting(report, keys, everything, console.width)
    shown = [_shown(column, everything) for column in columns]
    table = Table(box=None, padding=(0, _GAP, 0, 0), show_edge=False, pad_edge=False)
    room = console.width - sum(_GAP + _shown(column, everything)[0] for column in columns)
    widths = [share - _GAP for share in _shares(report.by, keys, room)]
    for name, width in zip(report.by, widths, strict=True):
        table.add_column(
            shorten(name.capitalize(), width, cut),
            overflow="crop",
            no_wrap=True,
            header_style="bold",
            max_width=width,
        )
    for column, (width, _) in zip(columns, shown, strict=True):
        table.add_column(column.title.rjust(width), no_wrap=True, header_style="bold")
    for number in range(len(report.lines)):
        table.add_row(
            *(
                Text(shorten(plain(key[number], console.encoding), width, cut))
                for key, width in zip(keys, widths, strict=True)
            ),
            *(values[number] for _, values in shown),
        )
    labels = ["Total", *[""] * (len(report.by) - 1)] if report.by else []
    if len(report.lines) != 1:
        table.add_row(*labels, *(values[-1] for _, values in shown), style="bold")
    console.print(table)
    for sentence in _caveats(report.total):
        console.print(sentence, style="yellow", soft_wrap=True)


def write_csv(report: Report, file: TextIO) -> None:
    """Write the lines, numbers in full, unknown ones empty; the total is the reader's."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*report.by, *Totals.__struct_fields__])
    for line in report.lines:
        writer.writerow([*line.keys, *msgspec.structs.astuple(line.totals)])


def _key(value: str | int | None) -> str:
    return printable(value) if value not in {None, ""} else "—"


def _fitting(
    report: Report, keys: list[list[str]], totals: list[Totals], width: int
) -> list[_Column]:
    """The columns that say something and leave room for the keys."""
    columns = [
        column
        for column in _COLUMNS
        if not column.optional or any(column.show(each) not in {"", "0"} for each in totals)
    ]
    room = width - sum(min(each, _LEAST_KEY_WIDTH) for each in _needs(report.by, keys))
    for column in sorted(columns, key=lambda column: column.worth):
        if sum(_GAP + _shown(one, totals)[0] for one in columns) <= room:
            break
        columns.remove(column)
    return columns or [_COLUMNS[0]]


def _needs(by: tuple[str, ...], keys: list[list[str]]) -> list[int]:
    """The width that each key column would like."""
    return [
        _GAP + max(map(cell_len, [name, *values])) for name, values in zip(by, keys, strict=True)
    ]


def _shares(by: tuple[str, ...], keys: list[list[str]], room: int) -> list[int]:
    """The width that each key column gets: the widest give way first."""
    shares = _needs(by, keys)
    while sum(shares) > room and max(shares, default=0) > _GAP + 1:
        shares[shares.index(max(shares))] -= 1
    return shares


def _shown(column: _Column, totals: list[Totals]) -> tuple[int, list[str]]:
    """A column's width, and its values at its right; sums of money with their points in line."""
    values = [column.show(each) for each in totals]
    if column.money:
        behind = [len(value.partition(".")[2]) for value in values]
        values = [value + " " * (max(behind) - n) for value, n in zip(values, behind, strict=True)]
    width = max(len(column.title), *map(len, values))
    return width, [value.rjust(width) for value in values]


def _caveats(total: Totals) -> list[str]:
    sentences = []
    if total.unpriced:
        sentences.append(f"Without a known price and not in the cost: {_calls(total.unpriced)}.")
    if total.incomplete:
        sentences.append(
            f"Told no usage, or not all of it: {_calls(total.incomplete)};"
            " the sums are lower bounds."
        )
    return sentences


def _calls(number: int) -> str:
    return "1 call" if number == 1 else f"{number} calls"
