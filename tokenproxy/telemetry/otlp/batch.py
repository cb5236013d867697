"""Spans that wait to be sent: the specification's batching processor (trace/sdk.md).

What waits is written already. A batch is sent when there is enough for one, and whatever
there is after each delay; a full queue drops the oldest, and tells how many. The variables and
their defaults are ``OTEL_BSP_*``.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from tokenproxy.telemetry.otlp.request import Frame

_MS = 1000
_DIGITS = 9
"""Of a number: as milliseconds eleven days, as spans more than any memory holds."""


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
        if not (said.isascii() and said.isdecimal() and len(said) <= _DIGITS and int(said) > 0):
            return None
        found[field] = int(said)
    made = Limits(**found)
    return made if made.fit else None


class RequestTaker(Protocol):
    """Where requests go."""

    def send(self, body: bytes, timeout_s: float) -> bool:
        """Take one; blocks while that takes."""
        ...

    def leave(self) -> bool:
        """Time is up: keep what is under way. Whether nothing is lost."""
        ...

    def shutdown(self) -> None:
        """Nothing more will come."""
        ...


class Batches:
    """Takes from any thread, and sends from one of its own.

    Args:
        frame: around each batch.
        sender: where batches go.
        limits: how much waits, and how long.
        drop: told how many spans were lost before they were sent.
        keep: takes batches that cannot wait, and tells whether it has them; None: they are lost.
    """

    def __init__(
        self,
        frame: Frame,
        sender: RequestTaker,
        limits: Limits,
        drop: Callable[[int], None],
        keep: Callable[[bytes], bool] | None = None,
    ) -> None:
        self._frame = frame
        self._sender = sender
        self._limits = limits
        self._delay_s = limits.delay_ms / _MS
        self._drop = drop
        self._keep = keep
        self._waiting: deque[bytes] = deque()
        self._aside: list[bytes] = []
        """What found no room and is to be kept, until there is a batch of it."""
        self._lock = threading.Lock()
        self._full = threading.Condition(self._lock)
        self._over = False
        self._thread = threading.Thread(target=self._run, name="tokenproxy-spans", daemon=True)
        self._thread.start()

    def put(self, span: bytes) -> None:
        """Take one; returns at once. After the end it is dropped."""
        aside: list[bytes] = []
        with self._lock:
            if self._over:
                self._drop(1)
                return
            if len(self._waiting) >= self._limits.queue:
                self._aside.append(self._waiting.popleft())
                if self._keep is None or len(self._aside) >= self._limits.batch:
                    aside, self._aside = self._aside, []
            self._waiting.append(span)
            if len(self._waiting) == self._limits.batch:
                self._full.notify()
        if aside:
            self._put_by(aside)

    def leave(self) -> bool:
        """Time is up: keep all that waits. Whether nothing is lost."""
        with self._full:
            left = [*self._aside, *self._waiting]
            self._aside = []
            self._waiting.clear()
        size = self._limits.batch
        told = [self._sender.leave()]  # the oldest first
        told += [self._put_by(left[at : at + size]) for at in range(0, len(left), size)]
        return all(told)

    def _put_by(self, spans: Sequence[bytes]) -> bool:
        """Keep them, or tell that they are dropped."""
        if self._keep is not None and self._keep(self._frame.request(spans)):
            return True
        self._drop(len(spans))
        return False

    def shutdown(self) -> None:
        """Send what is left; blocks while that takes. Once."""
        with self._full:
            if self._over:
                return
            self._over = True
            self._full.notify()
        self._thread.join()
        self._sender.shutdown()
        if self._aside:
            self._put_by(self._aside)

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
