"""``tokenproxy otel``: telemetry that is kept on a disk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from tokenproxy.cli.failure import Failure
from tokenproxy.cli.ledgers import say
from tokenproxy.cli.shared import SPOOL_VARIABLE

otel = typer.Typer(no_args_is_help=False, rich_markup_mode=None)

_KEPT = 1


@otel.callback()
def _group() -> None:
    """Telemetry that could not be delivered."""


@otel.command()
def replay(
    directory: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help=f"Of --otel-spool; default ${SPOOL_VARIABLE}."),
    ] = None,
    *,
    endpoint: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="The collector's, over HTTP; default that of OTEL_EXPORTER_OTLP_ENDPOINT.",
            allow_from_autoenv=False,
        ),
    ] = None,
) -> None:
    """Send what --otel-spool kept, the oldest first. What was taken is removed.

    Status 1: something was not taken and is kept.
    """
    from tokenproxy.telemetry.replay import CannotReplayError
    from tokenproxy.telemetry.replay import replay as send

    named = directory or (Path(found) if (found := os.environ.get(SPOOL_VARIABLE)) else None)
    if named is None:
        raise Failure(f"no directory: tokenproxy otel replay DIR, or set {SPOOL_VARIABLE}")
    try:
        outcome = send(named, os.environ, endpoint)
    except CannotReplayError as error:
        raise Failure(str(error)) from None
    told = f"{_counted(outcome.sent)} sent to {outcome.address}"
    if outcome.again:
        told += f", {outcome.again} of them perhaps for the second time: a replay was killed"
    if not outcome.kept:
        print(told if outcome.sent else f"nothing waits in {named}")
        return
    say(f"{outcome.why}; {told}, {outcome.kept} kept in {named}")
    raise typer.Exit(_KEPT)


def _counted(requests: int) -> str:
    return "1 request" if requests == 1 else f"{requests} requests"
