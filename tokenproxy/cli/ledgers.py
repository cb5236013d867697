"""What the commands that read a ledger share."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

from tokenproxy.cli.failure import Failure
from tokenproxy.cli.main import DEBUG_VARIABLE
from tokenproxy.insight.period import local_zone, unknown_zone
from tokenproxy.paths import LEDGER_VARIABLE, ledger_path, no_state, working_directory

_GZIP = b"\x1f\x8b"

UTC_HELP = "Days and times of UTC instead of your time zone."


def say(sentence: str) -> None:
    """A diagnostic."""
    print(f"tokenproxy: {sentence}", file=sys.stderr)


def keep_log_quiet() -> None:
    """Print no warnings of what a command uses, and no tracebacks with them.

    It says in its own words what its user should know. A process that has a log sets that up
    by itself.
    """
    import logging

    if not os.environ.get(DEBUG_VARIABLE):
        logging.getLogger("tokenproxy").addHandler(logging.NullHandler())


def chosen_zone(*, utc: bool) -> ZoneInfo:
    """The zone of days and times; a word if the user's is not known."""
    if utc:
        return ZoneInfo("UTC")
    unknown = unknown_zone()
    if unknown is not None:
        say(f"no time zone {unknown!r} (TZ) is known here: days and times are of UTC")
    return local_zone()


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
        raise Failure(f"{no_state(error)}, or the ledger with --ledger") from None
    if path.exists() and not path.is_file():
        raise Failure(f"the ledger {path} is not a regular file")
    return path


def plain_ledger(named: Path | None) -> Path:
    """As :func:`one_ledger`, for a command that reads the file by itself.

    Raises:
        Failure: It is compressed, or where it would be cannot be told.
    """
    path = one_ledger(named)
    if is_packed(path):
        raise Failure(
            f"the ledger {path} is compressed: unpack it, or use `tokenproxy report`,"
            " which reads it as it is"
        )
    return path


def is_packed(path: Path) -> bool:
    """Whether it is a ledger that was rotated and compressed."""
    try:
        with path.open("rb") as file:
            return file.read(len(_GZIP)) == _GZIP
    except OSError:  # told by whoever reads it
        return False


def default_ledger() -> list[Path]:
    """The ledger of the working directory; none, and a word about it, before the first run."""
    path = one_ledger(None)
    if not path.exists() and not os.environ.get(LEDGER_VARIABLE):
        say(f"no calls recorded yet ({path}): record some with `tokenproxy run -- COMMAND`")
        return []
    return [path]
