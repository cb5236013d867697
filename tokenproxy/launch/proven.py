"""Whether the proxy has come up before, as it is installed here.

The first time, the command waits until the proxy is ready; from then on both are
started at once. A marker in the state directory says so, and holds only for the
same interpreter, version and mitmproxy.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import tokenproxy
from tokenproxy import ids


def marker(state: Path, command: Sequence[str]) -> Path:
    """The marker of this installation; it need not exist.

    Args:
        state: Our state directory.
        command: What starts the proxy.
    """
    identity = [tokenproxy.__version__, sys.version, *command, *map(_installed, ("mitmproxy",))]
    return state / "proven" / ids.digest("\0".join(identity).encode("utf-8", "replace"), 8)


def remember(marker: Path) -> None:
    """The proxy has come up. A state directory that cannot be written costs time only."""
    with contextlib.suppress(OSError):
        marker.parent.mkdir(mode=0o700, exist_ok=True)
        marker.touch(mode=0o600)


def forget(marker: Path) -> None:
    """It has not."""
    with contextlib.suppress(OSError):
        marker.unlink(missing_ok=True)


def _installed(package: str) -> str:
    """Where ``package`` lies and when it was put there; nothing is imported."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return "absent"
    try:
        return f"{spec.origin} {os.stat(spec.origin).st_mtime_ns}"  # noqa: PTH116 - a string serves
    except OSError:
        return spec.origin
