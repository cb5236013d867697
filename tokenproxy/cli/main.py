"""The command line's entry: never a traceback, always a status.

Whatever goes wrong ends as one sentence on
stderr and a status: 2 for what the user can put right, 130 for Ctrl-C, 1 for a
fault of ours, whose traceback is kept in a file (and shown with
``TOKENPROXY_DEBUG=1``).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

DEBUG_VARIABLE = "TOKENPROXY_DEBUG"
LAST_ERROR = "last-error.log"

_FAULT = 1
_INTERRUPTED = 130
_BROKEN_PIPE = 1
"""As Typer, which meets most of them before us."""
_FAULT_OF_RUN = 125
"""A fault of ours must not pass for a status of the wrapped command."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its status."""
    if sys.platform == "win32":
        _end("tokenproxy does not support Windows yet; it runs on Linux and macOS", 2)
    _open_standard_streams()
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = _run(words)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read us has gone. Python must not try to flush once more at exit.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = _BROKEN_PIPE
    except KeyboardInterrupt:
        status = _INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last one to ask: it becomes a sentence
        if not _is_interrupt(error):
            _end(_fault(error), _FAULT_OF_RUN if words[:1] == ["run"] else _FAULT)
        status = _INTERRUPTED
    sys.exit(status)


def _is_interrupt(error: Exception) -> bool:
    """Whether it is Ctrl-C: DuckDB takes the signal while it works, and says so in its own way."""
    said = str(error)
    return type(error).__name__ == "InterruptException" or said == "Query interrupted"


def _open_standard_streams() -> None:
    """Put a stream that leads nowhere in the place of each that was closed when we were started.

    For Python they are None, and their numbers would go to the next files and sockets of ours.
    A command that we run finds them closed, as without us: exec closes these.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):  # by their numbers
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123


def _run(words: Sequence[str]) -> int:
    if words[:1] == ["statusline"]:
        from tokenproxy.cli.prompt import quick

        if quick(words[1:]):
            return 0
    elif words[:1] == ["run"]:
        from tokenproxy.cli import prefix

        status = prefix.quick(words[1:])
        if status is not None:
            return status

    import typer

    from tokenproxy.cli.app import make_app

    chosen = next((word for word in words if not word.startswith("-")), None)
    try:
        result = make_app(chosen)(args=list(words), prog_name="tokenproxy", standalone_mode=False)
    except typer.TyperException as error:
        _end(_sentence(error), error.exit_code)
    except typer.Abort:
        return _FAULT
    return result if isinstance(result, int) else 0


def _sentence(error: Any) -> str:
    """What is wrong, and where to read what would be right."""
    message = " ".join(error.format_message().split()).rstrip(".")
    message = message.replace("a valid int range", "a whole number")
    message = message.replace("a valid float range", "a number")
    context = getattr(error, "ctx", None)
    where = f" (see {context.command_path} --help)" if context is not None else ""
    return message + where


def _fault(error: Exception) -> str:
    """Keep the traceback; say where."""
    import traceback

    text = "".join(traceback.format_exception(error))
    if os.environ.get(DEBUG_VARIABLE):
        sys.stderr.write(text)
    what = f"unexpected {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    try:
        from tokenproxy.paths import state_dir

        log = state_dir() / LAST_ERROR
        with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:  # noqa: PTH123 - a descriptor
            file.write(text)
    except OSError:
        return f"{what}; run it again with {DEBUG_VARIABLE}=1 to see where"
    return f"{what}; the details are in {log}, please report them"


def _end(sentence: str, status: int) -> NoReturn:
    with suppress(OSError):
        print(f"tokenproxy: {sentence}", file=sys.stderr)
    sys.exit(status)
