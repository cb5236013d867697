"""``tokenproxy statusline``: one line for a prompt or for Claude Code's status line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tokenproxy.cli.failure import Failure
from tokenproxy.cli.ledgers import UTC_HELP, plain_ledger
from tokenproxy.cli.prompt import answer
from tokenproxy.cli.shared import DEFAULT_LEDGER


def statusline(
    *,
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
    """Print one line: tokens and cost of the session, or of the last run, and of today.

    Reads only what was appended since it was last called. Claude Code passes its session as
    JSON on stdin if its settings say
    {"statusLine": {"type": "command", "command": "tokenproxy statusline"}}.
    """
    path = plain_ledger(ledger)
    try:
        answer(path, as_json=as_json, utc=utc)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Failure(f"the ledger {path} cannot be read: {error.strerror or error}") from None
