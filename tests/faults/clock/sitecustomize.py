"""A clock that is set: Python's wall clock is off by the seconds that a file says.

What is measured on the monotonic clock, and what the kernel stamps on files, goes on as it was,
as where a machine's clock is set by hand or by NTP.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

_FILE = Path(os.environ["FAULTS_CLOCK"])
_REAL_NS = time.time_ns


def _now_ns() -> int:
    try:
        return _REAL_NS() + int(_FILE.read_text()) * 1_000_000_000
    except (OSError, ValueError):
        return _REAL_NS()


def _now() -> float:
    return _now_ns() / 1e9


time.time_ns = _now_ns
time.time = _now
