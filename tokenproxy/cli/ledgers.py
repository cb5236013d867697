"""What the commands that read a ledger share."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tokenproxy.cli.failure import Failure
from tokenproxy.paths import LEDGER_VARIABLE, ledger_path, working_directory

UTC_HELP = "Days and times of UTC instead of your time zone."


def say(sentence: str) -> None:
    """A diagnostic."""
    print(f"tokenproxy: {sentence}", file=sys.stderr)


def one_ledger(named: Path | None) -> Path:
    """The ledger that the user named, else that of the working directory.

    Raises:
        Failure: Where it would be cannot be told.
    """
    try:
        path = ledger_path(
            None if named is None else str(named), os.environ, working_directory(os.environ)
        )
    except OSError as error:
        raise Failure(f"the state directory cannot be used: {error}; name --ledger") from None
    if path.exists() and not path.is_file():
        raise Failure(f"the ledger {path} is not a regular file")
    return path


def default_ledger() -> list[Path]:
    """The ledger of the working directory; none, and a word about it, before the first run."""
    path = one_ledger(None)
    if not path.exists() and not os.environ.get(LEDGER_VARIABLE):
        say(f"no calls recorded yet ({path}): record some with `tokenproxy run -- COMMAND`")
        return []
    return [path]
