"""``tokenproxy top``: calls as they come."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from tokenproxy.cli.failure import Failure
from tokenproxy.cli.ledgers import UTC_HELP, chosen_zone, default_ledger, plain_ledger
from tokenproxy.cli.shared import DEFAULT_LEDGER


def top(
    *,
    once: Annotated[bool, typer.Option("--once", help="Print it once and end.")] = False,
    ledger: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=f"Ledger to watch; default {DEFAULT_LEDGER}.",
            envvar="TOKENPROXY_LEDGER",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, once.")] = False,
    utc: Annotated[bool, typer.Option("--utc", help=UTC_HELP)] = False,
) -> None:
    """Watch calls as they come: today by model, story and agent, and the latest.

    Renews itself each second on a terminal, until q or Ctrl-C. Reads only what was appended.
    """
    from tokenproxy.insight.terminal import open_console
    from tokenproxy.insight.top import Top

    path = plain_ledger(ledger)
    watched = Top(path, chosen_zone(utc=utc))
    if not path.exists() and (once or as_json or not sys.stdout.isatty()):  # else it may come
        if ledger is not None:
            raise Failure(f"there is no ledger at {path}: name another file with --ledger")
        default_ledger()

    try:
        watched.look(datetime.now(UTC))
        if as_json:
            print(json.dumps(watched.as_json(), indent=2))
            return
        console = open_console()
        if once or not sys.stdout.isatty():
            console.print(watched.render(console.encoding, console.width))
            return
        from tokenproxy.insight.live import show_live

        show_live(watched, console)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Failure(f"the ledger {path} cannot be read: {error.strerror or error}") from None
