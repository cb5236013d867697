"""Other processes of this machine."""

from __future__ import annotations

import os
from pathlib import Path


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
    try:
        status = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return True  # no such file system, or not for us to see
    return status.rpartition(b") ")[2][:1] not in b"ZX"
