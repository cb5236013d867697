"""Options that ``run`` and ``serve`` have in common."""

from __future__ import annotations

from typing import Annotated

import typer

DEFAULT_LEDGER = "that of .claude-loop here or above, else the one in your state directory"
"""What is read and written where no ledger is named, in words."""

LedgerOption = Annotated[
    str | None,
    typer.Option(
        metavar="PATH",
        envvar="TOKENPROXY_LEDGER",
        help=f"Where rows are appended; default {DEFAULT_LEDGER}.",
    ),
]
RouteOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="HOST=URL",
        help="Send calls for HOST to URL. Repeatable; also TOKENPROXY_ROUTES, comma-separated.",
    ),
]
LabelOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY=VALUE",
        help="Kept on each row. Repeatable; also TOKENPROXY_LABELS, comma-separated.",
    ),
]
SPOOL_VARIABLE = "TOKENPROXY_OTEL_SPOOL"
SpoolOption = Annotated[
    str | None,
    typer.Option(
        "--otel-spool",
        metavar="DIR",
        envvar=SPOOL_VARIABLE,
        help="Keep telemetry that cannot be delivered there, for `tokenproxy otel replay`.",
    ),
]
CAPTURED_DAYS = 7
CaptureOption = Annotated[
    bool,
    typer.Option(
        "--capture",
        envvar="TOKENPROXY_CAPTURE",
        help="Keep the bodies of calls, without credentials (tokenproxy captured).",
    ),
]
CaptureDaysOption = Annotated[
    int,
    typer.Option(
        metavar="N",
        min=0,
        max=3650,
        envvar="TOKENPROXY_CAPTURE_DAYS",
        help="Captures older than this are removed.",
    ),
]
InjectOption = Annotated[
    bool,
    typer.Option(
        "--inject-include-usage",
        envvar="TOKENPROXY_INJECT_INCLUDE_USAGE",
        help="Ask chat streams for the usage that their client left open (changes the request).",
    ),
]
