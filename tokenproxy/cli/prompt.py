"""What ``tokenproxy statusline`` does, without what only the help needs.

A prompt waits for it each time, and reading options with Typer takes longer than the
answer: plain calls are understood here (:func:`quick`), all others take the usual way.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

_WAIT_S = 0.02
"""For what a pipe may still bring; who calls us for a status line has written it before."""
_MOST_BYTES = 1024 * 1024
_SWITCHES = ("--json", "--utc")


def quick(words: Sequence[str]) -> bool:
    """Answer, if the words behind ``statusline`` are plain and the ledger is.

    Returns:
        Whether it was answered. If not, nothing was done.
    """
    from tokenproxy.paths import ledger_path, working_directory

    switches, ledger = set(), None
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in _SWITCHES:
            switches.add(word)
        elif word == "--ledger" and rest and rest[0]:
            ledger = rest.pop(0)
        else:
            return False
    try:
        path = ledger_path(ledger, os.environ, working_directory(os.environ))
    except OSError:
        return False
    if path.suffix == ".gz" or (path.exists() and not path.is_file()):
        return False
    try:
        answer(path, as_json="--json" in switches, utc="--utc" in switches)
    except BrokenPipeError:
        raise
    except OSError:
        return False
    return True


def answer(ledger: Path, *, as_json: bool, utc: bool) -> None:
    """Print the line.

    Raises:
        OSError: The ledger cannot be read.
    """
    from tokenproxy.insight.period import local_zone
    from tokenproxy.insight.statusline import look, read_asked
    from tokenproxy.paths import state_dir

    zone = UTC if utc else local_zone()
    status = look(ledger, state_dir(), read_asked(_stdin()), datetime.now(UTC), zone)
    if as_json:
        import json

        print(json.dumps(status.as_json(), indent=2))
        return
    line = status.line()
    try:
        line.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        from tokenproxy.insight.terminal import plain

        line = plain(line, sys.stdout.encoding)
    print(line)


def _stdin() -> bytes:
    """What is there for us to read; nothing from a terminal, or from a pipe that says nothing."""
    if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():
        return b""
    fd = sys.stdin.fileno()
    pieces: list[bytes] = []
    while sum(map(len, pieces)) < _MOST_BYTES and select.select([fd], [], [], _WAIT_S)[0]:
        piece = os.read(fd, 65_536)
        if not piece:
            break
        pieces.append(piece)
    return b"".join(pieces)
