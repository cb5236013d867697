"""Where finished calls go after the ledger has them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from tokenproxy.config import IterationEnd, RunContext
from tokenproxy.record.call import Call
from tokenproxy.record.row import Row

logger = logging.getLogger(__name__)

_NOT_TAKEN = "a sink did not take %s"

CLOSED = "Telemetry could not be opened, so nothing was sent; the run's log says why."


class Sink(Protocol):
    """A consumer in the recorder's thread (telemetry). It must not raise and must not block."""

    def call(self, call: Call, row: Row | None) -> None:
        """A call has ended; ``row`` is None for kinds that leave none (token counting)."""
        ...

    def recovered(self, run: RunContext, call: Call, row: Row) -> None:
        """A call of a run whose recorder was killed, settled in its place; ``run`` is that run."""
        ...

    def recovery_done(self, over: Collection[str]) -> None:
        """All recovered calls have been told. No recorder is left of the runs in ``over``."""
        ...

    def resumed(self, rows: Sequence[Row]) -> None:
        """Our run has had these calls already, told by a recorder that was killed. Comes first."""
        ...

    def passed(self, provider: str, server_address: str) -> None:
        """A request to a provider that is no model call went by unread."""
        ...

    def finish(self, end: IterationEnd | None) -> tuple[str, ...]:
        """The run is over. Flush within one second; return sentences worth telling the user."""
        ...


class Sinks(Sink):
    """Several sinks as one. What one of them raises harms neither the others nor the ledger."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = sinks

    def call(self, call: Call, row: Row | None) -> None:
        """Tell all."""
        for sink in self._sinks:
            try:
                sink.call(call, row)
            except Exception:
                logger.exception(_NOT_TAKEN, f"call {call.start.call_id}")

    def recovered(self, run: RunContext, call: Call, row: Row) -> None:
        """Tell all."""
        for sink in self._sinks:
            with _logged(f"call {call.start.call_id}"):
                sink.recovered(run, call, row)

    def recovery_done(self, over: Collection[str]) -> None:
        """Tell all."""
        for sink in self._sinks:
            with _logged("the recovery"):
                sink.recovery_done(over)

    def resumed(self, rows: Sequence[Row]) -> None:
        """Tell all."""
        for sink in self._sinks:
            with _logged("the run's earlier calls"):
                sink.resumed(rows)

    def passed(self, provider: str, server_address: str) -> None:
        """Tell all."""
        for sink in self._sinks:
            with _logged("a request that passed"):
                sink.passed(provider, server_address)

    def finish(self, end: IterationEnd | None) -> tuple[str, ...]:
        """Tell all; what any of them has to say."""
        said: list[str] = []
        for sink in self._sinks:
            with _logged("the end"):
                said += sink.finish(end)
        return tuple(said)


class Deferred(Sink):
    """A sink that is opened later, by another thread; what it is told before waits for that.

    Only the end waits, and opens it if nobody has.
    """

    def __init__(self, make: Callable[[], Sink]) -> None:
        """Prepare.

        Args:
            make: Opens the sink. Whatever it raises costs the sink alone.
        """
        self._make = make
        self._opening = threading.Lock()
        self._telling = threading.Lock()
        self._sink: Sink | None = None
        self._failed = False
        self._waiting: list[Callable[[Sink], None]] = []

    def open(self) -> None:
        """Open it, unless it is open; tell it what has happened meanwhile."""
        with self._opening:
            if self._sink is not None or self._failed:
                return
            made = self._made()
            if made is None:
                with self._telling:
                    self._failed, self._waiting = True, []
                return
            while waiting := self._next(made):
                for told in waiting:
                    with _logged("what came before it was open"):
                        told(made)

    def _made(self) -> Sink | None:
        try:
            return self._make()
        except Exception:
            logger.exception(_NOT_TAKEN, "anything: it cannot be opened")
            return None

    def _next(self, made: Sink) -> list[Callable[[Sink], None]]:
        """What is to be told first; if that is nothing, ``made`` is open from now on.

        What comes while it is told waits too: so it all comes in order, and nobody waits for it.
        """
        with self._telling:
            waiting, self._waiting = self._waiting, []
            if not waiting:
                self._sink = made
            return waiting

    def _tell(self, told: Callable[[Sink], None]) -> None:
        with self._telling:
            if self._sink is not None:
                told(self._sink)
            elif not self._failed:
                self._waiting.append(told)

    def call(self, call: Call, row: Row | None) -> None:
        """Tell it now or later."""
        self._tell(lambda sink: sink.call(call, row))

    def recovered(self, run: RunContext, call: Call, row: Row) -> None:
        """Tell it now or later."""
        self._tell(lambda sink: sink.recovered(run, call, row))

    def recovery_done(self, over: Collection[str]) -> None:
        """Tell it now or later."""
        self._tell(lambda sink: sink.recovery_done(over))

    def resumed(self, rows: Sequence[Row]) -> None:
        """Tell it now or later."""
        self._tell(lambda sink: sink.resumed(rows))

    def passed(self, provider: str, server_address: str) -> None:
        """Tell it now or later."""
        self._tell(lambda sink: sink.passed(provider, server_address))

    def finish(self, end: IterationEnd | None) -> tuple[str, ...]:
        """Open it if need be, and tell it; what it has to say."""
        self.open()
        return (CLOSED,) if self._sink is None else self._sink.finish(end)


@contextmanager
def _logged(what: str) -> Iterator[None]:
    try:
        yield
    except Exception:
        logger.exception(_NOT_TAKEN, what)
