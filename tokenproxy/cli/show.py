"""``tokenproxy show``: one run as a tree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tokenproxy.cli.failure import Failure
from tokenproxy.cli.ledgers import UTC_HELP, chosen_zone, plain_ledger
from tokenproxy.cli.shared import DEFAULT_LEDGER
from tokenproxy.insight.query import LedgerError
from tokenproxy.insight.trace import find_run, last_run, make_trace


def show(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]", help="The run's id or how it begins. Default: the last run."
        ),
    ] = None,
    last: Annotated[bool, typer.Option("--last", help="The run that wrote last.")] = False,
    ledger: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=f"Ledger to read; default {DEFAULT_LEDGER}.",
            envvar="TOKENPROXY_LEDGER",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    utc: Annotated[bool, typer.Option("--utc", help=UTC_HELP)] = False,
) -> None:
    """Show one run as a tree: turns, agents and calls with their times, tokens and cost."""
    if run is not None and last:
        raise Failure("name a run or --last, not both")
    if run is not None and not run.strip():
        raise Failure("the run's id is empty")
    path = plain_ledger(ledger)
    try:
        rows = last_run(path) if run is None else find_run(path, run.strip())
    except LedgerError as error:
        raise Failure(str(error)) from None
    trace = make_trace(rows)
    if as_json:
        print(json.dumps(trace.as_json(), indent=2))
        return
    from tokenproxy.insight.terminal import open_console
    from tokenproxy.insight.tree import print_trace

    print_trace(trace, open_console(), chosen_zone(utc=utc))
