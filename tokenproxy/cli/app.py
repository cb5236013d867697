"""The commands. Only the one that was asked for is imported; the others are a name and a line.

``run`` stands before every start of the user's command, so nobody else's
imports may cost it time.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer

from tokenproxy import __version__


class _Command(NamedTuple):
    help: str
    settings: Mapping[str, Any] = {}


COMMANDS = {
    "run": _Command(
        "Run a command and record every model call it makes.",
        # The wrapped command's options are its own.
        {"allow_interspersed_args": False, "ignore_unknown_options": False},
    ),
    "serve": _Command("Be a shared gateway that records the calls of many commands."),
    "report": _Command(
        "Add up the ledger by day, model, story, iteration and more.",
        {"auto_envvar_prefix": "TOKENPROXY_REPORT"},
    ),
    "show": _Command("Show one run as a tree: turns, agents, calls."),
    "top": _Command("Watch calls as they come: today by model, story and agent."),
    "statusline": _Command("Print one line about the session, the run and today."),
    "captured": _Command("List, print or remove what run --capture kept."),
    "ledger": _Command("Check, repair, describe and export the ledger."),
    "otel": _Command("Send telemetry later that --otel-spool kept."),
    "demo": _Command("Record a sample agent on a simulated API: no key needed."),
}
"""Name -> what is known without importing ``tokenproxy.cli.NAME``, in the order of the help."""


def make_app(chosen: str | None) -> typer.Typer:
    """The application with the chosen command in full and the others in name."""
    app = typer.Typer(
        help="Exact token accounting for agent commands, taken from the wire.",
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["--help", "-h"]},
    )

    @app.callback(invoke_without_command=True)
    def top(
        context: typer.Context,
        *,
        version: Annotated[
            bool, typer.Option("--version", help="Print the version.", allow_from_autoenv=False)
        ] = False,
    ) -> None:
        if version:
            print(f"tokenproxy {__version__}")
            raise typer.Exit
        if context.invoked_subcommand is None:
            print(context.get_help(), file=sys.stderr)
            raise typer.Exit(2)

    for name, command in COMMANDS.items():
        found: Any = _unloaded
        if name == chosen:
            found = getattr(import_module(f"tokenproxy.cli.{name}"), name)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name, help=command.help)
        else:
            app.command(name, help=_help(found, command), context_settings=dict(command.settings))(
                found
            )
    return app


def _unloaded() -> None:
    """Stands for a command that was not asked for."""


def _help(function: Callable[..., object], command: _Command) -> str:
    """The function's own words where it was imported, else the line of the list."""
    return command.help if function is _unloaded else function.__doc__ or command.help
