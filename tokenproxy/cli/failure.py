"""How a command says that it cannot do what was asked."""

from __future__ import annotations

import typer


class Failure(typer.TyperException):
    """One sentence for the user: what is wrong and what to do. Ends the command with status 2."""

    exit_code = 2
