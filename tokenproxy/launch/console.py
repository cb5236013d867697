"""What telemetry's console exporters print (``OTEL_TRACES_EXPORTER=console``).

A user of OpenTelemetry expects it on the terminal. The proxy process has none, and while the
command runs the terminal is the command's: what is printed waits in a file without a name,
which is gone with the last of us, and is shown at the run's end.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from tokenproxy.launch import summary
from tokenproxy.telemetry import switch

_PIECE = 4096
"""Bytes at once: so many never block where a pipe takes any (POSIX, ``PIPE_BUF``)."""


def wanted(env: Mapping[str, str], directory: Path) -> Console | None:
    """A console if ``env`` asks for one and it can be made; else what is printed is in the log."""
    if not switch.prints(env):
        return None
    with contextlib.suppress(OSError):
        return Console(directory)
    return None


class Console:
    """Holds what is printed until it is shown."""

    def __init__(self, directory: Path) -> None:
        """Make the file.

        Raises:
            OSError: It cannot be made.
        """
        file = directory / "console"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(file, flags, 0o600)
        file.unlink()

    def fileno(self) -> int:
        """For the proxy process to write to, whichever of its generations."""
        return self._fd

    def show(self) -> None:
        """Copy all of it to stderr, unless nobody reads that."""
        os.lseek(self._fd, 0, os.SEEK_SET)
        while piece := os.read(self._fd, _PIECE):
            if not summary.put(piece):
                return

    def close(self) -> None:
        """Let it go."""
        os.close(self._fd)
