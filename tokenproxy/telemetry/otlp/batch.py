"""Spans that wait to be sent: the specification's batching processor (trace/sdk.md).

What waits is written already. A batch is sent when there is enough for one, and whatever
there is after each delay; a full queue drops the oldest, and counts. The variables and
their defaults are ``OTEL_BSP_*``.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Mapping
from typing import Final

import msgspec

from tokenproxy.telemetry.otlp.request import Frame
from tokenproxy.telemetry.otlp.sender import Sender

logger = logging.getLogger(__name__)

_MS = 1000


class Limits(msgspec.Struct, frozen=True):
    """How much waits, and how long."""

    queue: int = 2048
    batch: int = 512
    delay_ms: int = 5_000
    timeout_ms: int = 30_000

    @property
    def fit(self) -> bool:
        """Whether a batch fits into the queue."""
        return self.batch <= self.queue


VARIABLES: Final = {
    "queue": "OTEL_BSP_MAX_QUEUE_SIZE",
    "batch": "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "delay_ms": "OTEL_BSP_SCHEDULE_DELAY",
    "timeout_ms": "OTEL_BSP_EXPORT_TIMEOUT",
}


def limits(env: Mapping[str, str]) -> Limits | None:
    """As the environment has them; None if it has what is no number above 0, or does not fit."""
    found: dict[str, int] = {}
    for field, variable in VARIABLES.items():
        said = env.get(variable, "").strip()
        if not said:
            continue
        if not (said.isascii() and said.isdecimal() and 0 < int(said) < threading.TIMEOUT_MAX):
            return None
        found[field] = int(said)
    made = Limits(**found)
    return made if made.fit else None


class Batches:
    """Takes from any thread, and sends from one of its own."""

    def __init__(self, frame: Frame, sender: Sender, limits: Limits) -> None:
        self.dropped = 0
        """Spans that found the queue full."""
        self._frame = frame
        self._sender = sender
        self._limits = limits
        self._delay_s = limits.delay_ms / _MS
        self._waiting: deque[bytes] = deque()
        self._full = threading.Condition()
        self._over = False
        self._thread = threading.Thread(target=self._run, name="tokenproxy-spans", daemon=True)
        self._thread.start()

    def put(self, span: bytes) -> None:
        """Take one; returns at once. After the end it is dropped."""
        with self._full:
            if self._over:
                self.dropped += 1
                return
            if len(self._waiting) >= self._limits.queue:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(span)
            if len(self._waiting) == self._limits.batch:
                self._full.notify()

    def shutdown(self) -> None:
        """Send what is left; blocks while that takes. Once."""
        with self._full:
            if self._over:
                return
            self._over = True
            self._full.notify()
        self._thread.join()
        self._sender.shutdown()
        if self.dropped:
            logger.warning("%d spans were dropped: there were too many at once", self.dropped)

    def _run(self) -> None:
        while batch := self._next():
            self._sender.send(self._frame.request(batch), self._limits.timeout_ms / _MS)

    def _next(self) -> list[bytes]:
        """The next batch, when it is time for it; empty when all is over."""
        with self._full:
            self._full.wait_for(self._is_time, self._delay_s)
            while not (self._waiting or self._over):
                self._full.wait_for(self._is_time, self._delay_s)
            size = min(len(self._waiting), self._limits.batch)
            return [self._waiting.popleft() for _ in range(size)]

    def _is_time(self) -> bool:
        return self._over or len(self._waiting) >= self._limits.batch
