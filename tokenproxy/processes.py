"""Other processes of this machine."""

from __future__ import annotations

import os
from pathlib import Path

STOPPED = ("T", "t")
"""States: by a signal, or by a debugger."""
ENDED = ("Z", "X")
"""Not waited for yet, or just gone."""
_BEGAN = 19
"""Place of ``starttime`` behind the name, from 0: see proc_pid_stat(5)."""


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


def began(pid: int) -> int | None:
    """When a process began, in the kernel's ticks since its start; None as with :func:`state`.

    Ids are given out again. Of two processes that had the same, this tells which is which.
    """
    try:
        status = Path(f"/proc/{pid}/stat").read_bytes()
        return int(status.rpartition(b") ")[2].split()[_BEGAN])
    except (OSError, IndexError, ValueError):
        return None
