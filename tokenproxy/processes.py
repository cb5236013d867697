"""Other processes of this machine."""

from __future__ import annotations

import os
from pathlib import Path

STOPPED = ("T", "t")
"""States: by a signal, or by a debugger."""
ENDED = ("Z", "X")
"""Not waited for yet, or just gone."""


def running(pid: int) -> bool:
    """Whether a process of that id runs, whoever it belongs to.

    One that has ended and was not waited for (a zombie) runs no more. Where process 1 of a
    container waits for nobody, an orphan stays one for ever. Told on Linux only.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return state(pid) not in ENDED


def state(pid: int) -> str | None:
    """A process's state as the kernel has it, one letter; None if it is gone or not to be seen.

    Nothing is to be seen but on Linux.
    """
    try:
        status = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    return status.rpartition(b") ")[2][:1].decode()
