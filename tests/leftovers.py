"""What tests leave behind in the process that all share: descriptors and threads.

A test that comes later may count on having few of them, and whatever a thread waits for, it
waits for among other tests' doings. A few are allowed, for there are things that a process has
once and keeps, and a machine may be too busy to end a thread in time.
"""

from __future__ import annotations

import contextlib
import gc
import os
import threading
import time
from pathlib import Path

GRACE_S = 5.0
"""How long a thread may take to end that has been told to."""
ALLOWED = 12
_DESCRIPTORS = Path("/dev/fd")


class Leftovers:
    """Of one process."""

    def __init__(self) -> None:
        self._left: dict[_Held, str] = {}
        """What -> the test that left it."""
        self._before = _held()

    def begin(self) -> None:
        """A test begins."""
        self._before = _held()

    def end(self, test: str) -> None:
        """It is over.

        Raises:
            AssertionError: This and earlier tests have left more than is allowed, and it is there.
        """
        if not _held() - self._before:
            return
        gc.collect()
        deadline = time.monotonic() + GRACE_S
        while (now := _held()) - self._before and time.monotonic() < deadline:
            time.sleep(0.01)
        # What several tests share may have held something for a while.
        self._left = {held: by for held, by in self._left.items() if held in now}
        self._left |= dict.fromkeys(now - self._before, test)
        lines = [f"{by}: {_named(held)}" for held, by in self._left.items()]
        assert len(lines) <= ALLOWED, "\n".join(["tests have left", *lines])


type _Held = tuple[str, str, int, int]


def _held() -> set[_Held]:
    """Threads by name and id, descriptors by number and what they are of."""
    held: set[_Held] = {
        ("thread", thread.name, thread.ident or 0, 0) for thread in threading.enumerate()
    }
    for path in _DESCRIPTORS.iterdir():
        with contextlib.suppress(OSError):  # the one that this list was read by
            status = os.fstat(int(path.name))
            held.add(("descriptor", path.name, status.st_dev, status.st_ino))
    return held


def _named(held: _Held) -> str:
    kind, name, *_ = held
    of = ""
    if kind == "descriptor":
        with contextlib.suppress(OSError):  # no such directory, or closed by now
            of = f" of {(_DESCRIPTORS / name).readlink()}"
    return f"{kind} {name}{of}"
