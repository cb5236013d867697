"""What a killed launcher leaves in its run's directory, taken away by the next start.

A launcher holds ``flock`` on its run's directory for life. Who gets that lock,
where no journal lies any more, knows that nobody needs what is there.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tokenproxy.record import badge, journal

LOG = "proxy.log"
KEEP_LOG_S = 7 * 24 * 3600
"""A log that tells of a failure is for the user to read."""


def tidy(runs: Path) -> None:
    """Clear the directories of dead runs under ``runs``. Never raises."""
    with suppress(OSError):
        for place in list(runs.iterdir()):
            with suppress(OSError):
                _tidy(place)


def abandoned(place: Path) -> bool:
    """Whether neither a launcher nor a proxy lives that this run's directory belongs to."""
    with suppress(OSError), _owned(place):
        return not any(place.glob(journal.GLOB))
    return not place.exists()


def _tidy(place: Path) -> None:
    with _owned(place):
        if any(place.glob(journal.GLOB)):
            return
        for pattern in ("*.pem", badge.GLOB, journal.UNFINISHED, journal.OWNERS):
            for useless in place.glob(pattern):
                useless.unlink()
        log = place / LOG
        if log.exists() and (
            not log.stat().st_size or time.time() - log.stat().st_mtime > KEEP_LOG_S
        ):
            log.unlink()
        place.rmdir()  # fails, rightly, while a log is kept


@contextmanager
def _owned(place: Path) -> Iterator[None]:
    """Hold a directory's lock.

    Raises:
        OSError: Its launcher lives, or it is gone.
    """
    fd = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(fd)
