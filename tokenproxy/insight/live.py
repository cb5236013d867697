"""Today's calls on a terminal, in a view that renews itself until q or Ctrl-C."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from rich.console import Console
from rich.live import Live

from tokenproxy.insight.top import Top

PERIOD_S = 1.0


def show_live(top: Top, console: Console) -> None:
    """Draw it each second until the user has seen enough.

    Raises:
        OSError: The ledger cannot be read any more.
    """
    with (
        _keys() as keys,
        Live(console=console, screen=True, auto_refresh=False, transient=True) as live,
    ):
        while True:
            top.look(datetime.now(UTC))
            live.update(top.render(console.encoding, console.width), refresh=True)
            if _quits(keys):
                return


def _quits(keys: int | None) -> bool:
    """Wait for a period; whether the user asked for the end meanwhile."""
    ready = select.select([] if keys is None else [keys], [], [], PERIOD_S)[0]
    if not ready or keys is None:
        return False
    typed = os.read(keys, 64)
    return not typed or bool({b"q", b"Q", b"\x03"} & {bytes([one]) for one in typed})


@contextmanager
def _keys() -> Iterator[int | None]:
    """Standard input key by key, as it was afterwards; None if it is no terminal."""
    if sys.stdin is None or not sys.stdin.isatty():
        yield None
        return
    import termios
    import tty

    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    tty.setcbreak(fd)
    try:
        yield fd
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
