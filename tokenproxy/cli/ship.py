"""``tokenproxy ledger ship``: a ledger sent to a collector, or written as Parquet."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from tokenproxy.cli.failure import Failure
from tokenproxy.cli.ledgers import chosen_zone, default_ledger, keep_log_quiet, say
from tokenproxy.cli.shared import DEFAULT_LEDGER

if TYPE_CHECKING:
    from tokenproxy.insight.rows import Rows, Wanted
    from tokenproxy.telemetry.outlet import Outlet
    from tokenproxy.telemetry.ship import Entry, Shipped
    from tokenproxy.telemetry.switch import Signal

_NOT_DELIVERED = 1
_INTERRUPTED = 130


class To(StrEnum):
    """What a ledger is shipped as."""

    OTLP = "otlp"
    PARQUET = "parquet"


class Signals(StrEnum):
    """What of a row is sent."""

    TRACES = "traces"
    METRICS = "metrics"
    BOTH = "both"


class _Outcome(msgspec.Struct, kw_only=True):
    """What ``--json`` prints."""

    schema: str = "tokenproxy.ship/1"
    to: str
    destination: str
    dry_run: bool
    rows: int
    """Rows that were chosen, each once."""
    left_out: int = 0
    """Of these, rows that cannot be sent: an older tool's, without ids."""
    shipped: int = 0
    spans: int = 0
    points: int = 0
    rejected: dict[str, int] | None = None
    """``spans`` or ``metrics`` that a collector did not take of requests that it took."""
    complaint: str | None = None
    """Its word on them."""
    problem: str | None = None
    resume_since: str | None = None
    """What ``--since`` takes to continue."""


def ship(
    *,
    ledger: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Ledger to read; repeat. Default: that of TOKENPROXY_LEDGER, else "
            f"{DEFAULT_LEDGER}.",
            allow_from_autoenv=False,
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="From: 2026-11-01, 7d, 24h, today, yesterday or a time."),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="To; a date includes that day.")
    ] = None,
    run: Annotated[
        list[str] | None,
        typer.Option(metavar="RUN_ID", help="Only this run, by its id or how it begins; repeat."),
    ] = None,
    story: Annotated[str | None, typer.Option(metavar="ID", help="Only this story.")] = None,
    to: Annotated[
        To, typer.Option(help="otlp: to the collector of the OTEL_* variables. parquet: a file.")
    ] = To.OTLP,
    output: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Parquet file; with / at its end a directory of day=YYYY-MM-DD (UTC).",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a Parquet file that is there.")
    ] = False,
    signals: Annotated[
        Signals,
        typer.Option(
            help="What to send as OTLP. metrics are deltas at the times of the calls: where the "
            "live ones of these calls have arrived everything counts twice, and a Prometheus "
            "takes only what its out_of_order_time_window still lets in."
        ),
    ] = Signals.TRACES,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be shipped, and ship nothing.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", envvar="TOKENPROXY_LEDGER_SHIP_JSON", help="Print JSON.")
    ] = False,
) -> None:
    """Send the calls to a collector as OTLP, or write them as Parquet."""
    from tokenproxy.insight.query import LedgerError

    wanted = _wanted(since, until, run or (), story)
    files = ledger or default_ledger()
    if not files and not as_json:
        return  # there is nothing yet, which has been said
    try:
        if to is To.PARQUET:
            outcome = _to_parquet(files, wanted, output, force=force, dry_run=dry_run)
        else:
            if output is not None or force:
                raise Failure("--output and --force are of Parquet files: add --to parquet")
            outcome = _to_collector(files, wanted, signals, dry_run=dry_run)
    except LedgerError as error:
        raise Failure(str(error).rstrip(".")) from None
    if as_json:
        print(
            json.dumps({k: v for k, v in msgspec.structs.asdict(outcome).items() if v is not None})
        )
    else:
        _tell(outcome)
    if outcome.problem == "interrupted":
        raise typer.Exit(_INTERRUPTED)
    if outcome.problem is not None or outcome.rejected is not None:
        raise typer.Exit(_NOT_DELIVERED)


def _wanted(since: str | None, until: str | None, runs: Sequence[str], story: str | None) -> Wanted:
    from tokenproxy.insight.period import parse_moment
    from tokenproxy.insight.rows import Wanted

    zone, now = chosen_zone(utc=False), datetime.now(UTC)
    try:
        start = None if since is None else parse_moment(since, zone, now)
        end = None if until is None else parse_moment(until, zone, now, end=True)
    except ValueError as error:
        raise Failure(str(error)) from None
    if start is not None and end is not None and end <= start:
        raise Failure(f"--until {until} is not after --since {since}")
    if not all(one.strip() for one in runs):
        raise Failure("the run's id is empty")
    return Wanted(since=start, until=end, runs=tuple(one.strip() for one in runs), story=story)


def _to_parquet(
    files: Sequence[Path], wanted: Wanted, output: str | None, *, force: bool, dry_run: bool
) -> _Outcome:
    from tokenproxy.insight.parquet import CannotWriteError, check_output, write_parquet
    from tokenproxy.insight.rows import open_rows

    if not output:
        raise Failure("name the Parquet file: --output FILE, or --output DIRECTORY/")
    path, by_day = Path(output), output.endswith("/")
    try:
        check_output(path, by_day=by_day, force=force)
        with open_rows(files, wanted, usage=True) as rows:
            for skipped in rows.skipped:
                say(str(skipped))
            if rows.wanted and not dry_run:
                write_parquet(rows, path, by_day=by_day, force=force)
    except CannotWriteError as error:
        raise Failure(str(error)) from None
    return _Outcome(
        to="parquet",
        destination=output,
        dry_run=dry_run,
        rows=rows.wanted,
        shipped=0 if dry_run else rows.wanted,
    )


def _to_collector(
    files: Sequence[Path], wanted: Wanted, signals: Signals, *, dry_run: bool
) -> _Outcome:
    from tokenproxy.insight.rows import open_rows
    from tokenproxy.telemetry.outlet import CannotShipError, address, open_outlet, sender_id

    keep_log_quiet()
    chosen: list[Signal] = []
    if signals is not Signals.METRICS:
        chosen.append("traces")
    if signals is not Signals.TRACES:
        chosen.append("metrics")
        if len(files) > 1:
            raise Failure("measurements are of one ledger at a time: name one --ledger")
    try:
        outlet = open_outlet(os.environ, chosen, sender_id(files[0] if files else None))
    except CannotShipError as error:
        raise Failure(str(error)) from None
    try:
        with open_rows(files, wanted) as rows:
            for skipped in rows.skipped:
                say(str(skipped))
            outcome = _Outcome(
                to="otlp",
                destination=address(outlet),
                dry_run=dry_run,
                rows=rows.wanted,
                left_out=rows.nameless,
            )
            if not dry_run:
                _send(rows, outcome, outlet)
    finally:
        outlet.close()
    return outcome


def _send(rows: Rows, outcome: _Outcome, to: Outlet) -> None:
    from tokenproxy.telemetry.outlet import NotDeliveredError
    from tokenproxy.telemetry.ship import Shipment

    total = rows.wanted - rows.nameless
    shipment = Shipment(os.environ, to, _progress(total))
    try:
        shipment.send(_entries(rows, outcome))
    except NotDeliveredError as error:
        outcome.problem = str(error)
    except KeyboardInterrupt:
        outcome.problem = "interrupted"
    finally:
        _progress_over()
    shipped = shipment.shipped
    outcome.shipped, outcome.spans, outcome.points = shipped.rows, shipped.spans, shipped.points
    outcome.resume_since = shipped.resume_at
    outcome.rejected = {one.what: one.rejected for one in to.deliveries if one.rejected} or None
    said = dict.fromkeys(one.complaint for one in to.deliveries if one.complaint)
    outcome.complaint = "; ".join(said) or None


def _entries(rows: Rows, outcome: _Outcome) -> Iterator[Entry]:
    from tokenproxy.telemetry.restored import restored_row
    from tokenproxy.telemetry.ship import Entry

    for stored in rows:
        row = restored_row(stored.row)
        if row is None:
            outcome.left_out += stored.wanted
        else:
            yield Entry(row, stored.wanted, stored.last)


def _progress(total: int) -> Callable[[Shipped], None]:
    """Says how far it has come, to a person who looks on."""

    def told(shipped: Shipped) -> None:
        if sys.stderr.isatty():
            print(f"\r{shipped.rows} of {_counted(total)}", end="", file=sys.stderr, flush=True)

    return told


def _progress_over() -> None:
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _tell(outcome: _Outcome) -> None:
    if not outcome.rows:
        say("no calls match")
        return
    if outcome.left_out:
        say(f"{_counted(outcome.left_out)} left out: they have no call, trace and span id")
    sendable = outcome.rows - outcome.left_out
    if outcome.dry_run:
        print(f"{_counted(sendable)} would go to {outcome.destination}")
        return
    if outcome.rejected is not None:
        parts = " and ".join(f"{count} of the {what}" for what, count in outcome.rejected.items())
        why = f": {outcome.complaint}" if outcome.complaint else ""
        say(f"{outcome.destination} did not take {parts} that arrived{why}")
    if outcome.problem is None:
        print(f"{_counted(outcome.shipped)} shipped to {outcome.destination}")
        return
    say(
        f"{outcome.problem}; {outcome.shipped} of {_counted(sendable)} arrived, continue with "
        f"--since {outcome.resume_since}"
    )


def _counted(rows: int) -> str:
    return "1 row" if rows == 1 else f"{rows} rows"


SETTINGS: dict[str, Any] = {"auto_envvar_prefix": "TOKENPROXY_LEDGER_SHIP"}
"""Each option's environment name begins with this."""
