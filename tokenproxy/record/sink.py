"""Where finished calls go after the ledger has them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from tokenproxy.config import IterationEnd, RunContext
from tokenproxy.record.call import Call
from tokenproxy.record.row import Row


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

    def finish(self, end: IterationEnd | None) -> tuple[str, ...]:
        """The run is over. Flush within one second; return sentences worth telling the user."""
        ...
