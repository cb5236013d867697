"""A stable ``service.instance.id``: the same from run to run, never twice at a time.

The SDK's default is a new id for every process: one more set of series in the metrics
backend for every run, for ever. One id a user would be wrong the other way: two runs at
once would write into the same series, and backends drop what overlaps (Prometheus keeps
one of two samples with the same millisecond; the collector's delta-to-cumulative
processor drops a delta that begins before the series does). So a process takes the
lowest number that no other living process of this user on this machine has: as many
ids as runs at once, no more.
"""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import uuid
from pathlib import Path

logger = logging.getLogger(__name__)

NAMESPACE = uuid.UUID("4d63009a-8d0f-11ee-aad7-4c796ed8e320")
"""For ids made of a name (semantic conventions, ``service.instance.id``)."""

LIMIT = 1024
"""Runs at once on one machine under one user, beyond which ids are random."""


class Instance:
    """An id that is ours while we live. The operating system frees it when we are gone."""

    def __init__(self, identifier: str, descriptor: int | None) -> None:
        self.id = identifier
        self._descriptor = descriptor

    def release(self) -> None:
        """Let the next process have it. Harmless when repeated."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def claim(directory: Path | None, kind: str = "") -> Instance:
    """Take the lowest free number among the lock files in ``directory``.

    Where that is impossible (no directory, a read-only home) the id is random: series of
    its own are a nuisance, shared ones a wrong sum.

    Args:
        directory: Made if it is missing; None for none.
        kind: Who sends, where that is not tokenproxy itself; each has numbers of its own.
    """
    prefix = f"{kind}-" if kind else ""
    if directory is None:
        return Instance(str(uuid.uuid4()), None)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number in range(LIMIT):
            descriptor = os.open(
                directory / f"{prefix}instance-{number}.lock", os.O_RDWR | os.O_CREAT, 0o600
            )
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                continue
            except OSError:
                os.close(descriptor)
                raise
            return Instance(_named(f"{prefix}{number}"), descriptor)
    except OSError as error:
        logger.warning("no stable instance id: %s", error)
    return Instance(str(uuid.uuid4()), None)


def _named(sender: str) -> str:
    return str(uuid.uuid5(NAMESPACE, f"{socket.gethostname()}/{os.getuid()}/{sender}"))
