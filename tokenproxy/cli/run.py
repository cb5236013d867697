"""``tokenproxy run``: the options, joined with the environment."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from tokenproxy.cli.prefix import LARGEST, start
from tokenproxy.cli.shared import (
    CAPTURED_DAYS,
    CaptureDaysOption,
    CaptureOption,
    InjectOption,
    LabelOption,
    LedgerOption,
    RouteOption,
    SpoolOption,
)


class Mode(enum.StrEnum):
    """``--mode``."""

    AUTO = "auto"
    FORWARD = "forward"
    REVERSE = "reverse"


def run(
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- COMMAND...", help="What to run; all after it is its own."),
    ] = None,
    *,
    story: Annotated[
        str, typer.Option(metavar="ID", envvar="TOKENPROXY_STORY_ID", help="Story it works on.")
    ] = "",
    iteration: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            max=LARGEST,
            envvar="TOKENPROXY_ITERATION",
            help="Its number; default the next.",
        ),
    ] = None,
    complexity: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            max=LARGEST,
            envvar="TOKENPROXY_COMPLEXITY",
            help="Kept on each row.",
        ),
    ] = 0,
    mode: Annotated[
        Mode,
        typer.Option(
            envvar="TOKENPROXY_MODE",
            help="How calls come to us; auto: forward, reverse where a base URL names a gateway.",
        ),
    ] = Mode.AUTO,
    ledger: LedgerOption = None,
    route: RouteOption = None,
    label: LabelOption = None,
    inject_include_usage: InjectOption = False,
    capture: CaptureOption = False,
    capture_days: CaptureDaysOption = CAPTURED_DAYS,
    client_telemetry: Annotated[
        bool,
        typer.Option(
            "--client-telemetry",
            envvar="TOKENPROXY_CLIENT_TELEMETRY",
            help="Turn on the command's own telemetry too, to the collector that ours goes to.",
        ),
    ] = False,
    otel_spool: SpoolOption = None,
    no_summary: Annotated[
        bool,
        typer.Option(
            "--no-summary",
            envvar="TOKENPROXY_NO_SUMMARY",
            help="No sums on stderr at the end; warnings stay.",
        ),
    ] = False,
    fail_open: Annotated[
        bool,
        typer.Option(
            "--fail-open",
            envvar="TOKENPROXY_FAIL_OPEN",
            help="Run the command unobserved if the proxy cannot start.",
        ),
    ] = False,
) -> None:
    """Run a command and record every model call it makes.

    The exit status is the command's. 125: the proxy cannot start, 126 or 127: the
    command cannot be run, 2: an option or a price of yours is wrong; the command was not run.

    Prices of your own: [[prices]] in TOKENPROXY_CONFIG, else in config.toml in your
    configuration directory.
    """
    status = start(
        command=command,
        story=story,
        iteration=iteration,
        complexity=complexity,
        mode=mode.value,
        ledger=ledger,
        route=route,
        label=label,
        inject_include_usage=inject_include_usage,
        capture=capture,
        capture_days=capture_days,
        client_telemetry=client_telemetry,
        otel_spool=otel_spool,
        no_summary=no_summary,
        fail_open=fail_open,
    )
    raise typer.Exit(status)
