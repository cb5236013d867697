"""``tokenproxy report``: the ledger added up."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from tokenproxy.cli.failure import Failure
from tokenproxy.cli.ledgers import UTC_HELP, chosen_zone, default_ledger, say
from tokenproxy.cli.shared import DEFAULT_LEDGER
from tokenproxy.insight.column_cache import clear
from tokenproxy.insight.ledger_engine import needed
from tokenproxy.insight.period import parse_moment
from tokenproxy.insight.query import LedgerError, open_ledger
from tokenproxy.insight.question import DIMENSIONS, Choice, Dimension, dimension, is_dimension
from tokenproxy.insight.report import Report, ask_report, make_report
from tokenproxy.paths import cache_dir

SOURCE_VARIABLE = "TOKENPROXY_REPORT_SOURCE"


class Caching(StrEnum):
    """What to do with the columns that are kept of large ledgers."""

    ON = "on"
    OFF = "off"
    CLEAR = "clear"


def report(
    *,
    by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DIMENSION",
            help=f"Group by this; repeat or separate by commas. {', '.join(DIMENSIONS)}. "
            "Default: day.",
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="From: 2026-11-01, 7d, 24h, today, yesterday or a time."),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="To; a date includes that day.")
    ] = None,
    story: Annotated[str | None, typer.Option(metavar="ID", help="Only this story.")] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="Only this model.")] = None,
    project: Annotated[str | None, typer.Option(metavar="NAME", help="Only this project.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="DIMENSION=VALUE", help="Only calls of which this holds; repeat."),
    ] = None,
    ledger: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Ledger to read; repeat, several are added up. Default: that of "
            f"TOKENPROXY_LEDGER, else {DEFAULT_LEDGER}.",
            allow_from_autoenv=False,
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Read a ClickHouse instead of a ledger: "
            "clickhouse://user:password@host:8123/database. Also TOKENPROXY_REPORT_SOURCE, "
            "with the password in TOKENPROXY_CLICKHOUSE_PASSWORD.",
            allow_from_autoenv=False,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", envvar="TOKENPROXY_REPORT_JSON", help="Print JSON.")
    ] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", envvar="TOKENPROXY_REPORT_CSV", help="Print CSV.")
    ] = False,
    utc: Annotated[bool, typer.Option("--utc", help=UTC_HELP)] = False,
    cache: Annotated[
        Caching,
        typer.Option(
            help="Keep columns of large ledgers, so that the next report need not read all of it; "
            "off: neither use nor make them; clear: remove those of all ledgers first."
        ),
    ] = Caching.ON,
) -> None:
    """Add up the ledger: calls, tokens, money and time by any dimension."""
    if as_json and as_csv:
        raise Failure("--json and --csv exclude each other")
    if source is not None and ledger:
        raise Failure("--source and --ledger exclude each other")
    zone = chosen_zone(utc=utc)
    short = {"story": story, "model": model, "project": project}
    try:
        dimensions = _dimensions(by or ["day"])
        conditions = [
            *((dimension(name), value) for name, value in short.items() if value is not None),
            *map(_condition, where or []),
        ]
        choice = _choice(since, until, zone, conditions)
    except ValueError as error:
        raise Failure(str(error)) from None
    # A ledger that is named goes before the variable.
    place = None if ledger else os.environ.get(SOURCE_VARIABLE) or None
    if source is not None:
        place = source
    if place is not None:
        made, nothing = _of_source(place, dimensions, choice, zone), "no calls match"
    else:
        files = ledger or default_ledger()
        made, nothing = _of_ledger(files, dimensions, choice, zone, _kept(cache))
    _print(made, as_json=as_json, as_csv=as_csv)
    if not made.total.calls and nothing:
        say(nothing)


def _of_ledger(
    files: Sequence[Path],
    dimensions: Sequence[Dimension],
    choice: Choice,
    zone: ZoneInfo,
    kept: Path | None,
) -> tuple[Report, str]:
    """The report, and what to say if it is empty."""
    try:
        with open_ledger(files, needed(dimensions, choice), kept) as opened:
            for skipped in opened.skipped:
                say(str(skipped))
            made = make_report(opened, dimensions, choice, zone.key)
    except LedgerError as error:
        raise Failure(str(error)) from None
    if not files:
        return made, ""
    return made, "no calls match" if opened.rows else f"no calls in {', '.join(opened.files)} yet"


def _kept(cache: Caching) -> Path | None:
    """Where columns are kept, if any are."""
    try:
        directory = cache_dir()
        if cache is Caching.CLEAR:
            clear(directory)
    except OSError as error:
        if cache is Caching.CLEAR:
            raise Failure(f"the cache cannot be removed: {error}") from None
        return None
    return directory if cache is Caching.ON else None


def _of_source(url: str, dimensions: Sequence[Dimension], choice: Choice, zone: ZoneInfo) -> Report:
    from tokenproxy.insight.clickhouse import open_clickhouse
    from tokenproxy.insight.source import SourceError, parse_source

    try:
        with open_clickhouse(parse_source(url, os.environ)) as engine:
            return ask_report(engine, dimensions, choice, zone.key)
    except SourceError as error:
        raise Failure(str(error)) from None


def _dimensions(names: Sequence[str]) -> list[Dimension]:
    """Each once, in the order given."""
    split = [part for name in names for part in _split(name)]
    return [dimension(name) for name in dict.fromkeys(split)]


def _split(names: str) -> list[str]:
    """At commas; but what comes behind a label and is no dimension is of its key."""
    parts: list[str] = []
    for piece in names.split(","):
        if parts and parts[-1].startswith("label:") and not is_dimension(piece.strip()):
            parts[-1] += f",{piece}"
        else:
            parts.append(piece.strip())
    return parts


def _condition(text: str) -> tuple[Dimension, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--where takes DIMENSION=VALUE, not {text!r}")
    return dimension(name), value


def _choice(
    since: str | None, until: str | None, zone: ZoneInfo, where: list[tuple[Dimension, str]]
) -> Choice:
    now = datetime.now(UTC)
    start = None if since is None else parse_moment(since, zone, now)
    end = None if until is None else parse_moment(until, zone, now, end=True)
    if start is not None and end is not None and end <= start:
        raise ValueError(f"--until {until} is not after --since {since}")
    return Choice(since=start, until=end, where=tuple(where))


def _print(made: Report, *, as_json: bool, as_csv: bool) -> None:
    from tokenproxy.insight import table
    from tokenproxy.insight.terminal import open_console

    if as_json:
        print(json.dumps(made.as_json(), indent=2))
    elif as_csv:
        table.write_csv(made, sys.stdout)
    elif made.total.calls:
        table.print_table(made, open_console())
