"""A ledger's rows sent to a collector, as the spans and measurements that they were, or were not.

Every row passes through what tells a live call (:mod:`tokenproxy.telemetry.tree`,
``spans``, ``metrics``): same ids, names and attributes, as far as a row holds them
(:mod:`tokenproxy.telemetry.restored`). Turns, agents and iterations are made anew, with
the ids that follow from their names: they last from the first call below them to the
end of the last, and say nothing of a command or its exit status. They are sent with the
last row of their run, never with a part of it.

Unlike a run's own telemetry this is not lossy: a batch that does not arrive ends it, and
the error says from when to continue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from tokenproxy.config import RunContext
from tokenproxy.record.row import Row
from tokenproxy.telemetry import semconv
from tokenproxy.telemetry.metrics import Metrics
from tokenproxy.telemetry.outlet import Outlet
from tokenproxy.telemetry.restored import restored_call, restored_run, started_ns
from tokenproxy.telemetry.spans import Spans
from tokenproxy.telemetry.tree import Tree

BATCH_SPANS: Final = 512
"""As the SDK's own batches; one more trace's turns and agents may come on top."""

BATCH_POINTS: Final = 2000
"""Half a collector's default limit of a message over gRPC, 4 MiB."""


class Entry(msgspec.Struct, frozen=True):
    """A row on its way, in the order of the calls' starts."""

    row: Row
    wanted: bool = True
    """False if it is only there because turns and iterations are sums over it too."""
    last: bool = False
    """The last row of its run in its trace."""


class Shipped(msgspec.Struct):
    """How far it has come."""

    rows: int = 0
    """Rows that arrived, in whole batches."""
    spans: int = 0
    points: int = 0
    resume_at: str | None = None
    """Timestamp of the first row that did not arrive; None if all did."""


class Shipment:
    """Sends entries in batches. Used once, by one thread.

    Args:
        env: The process's environment; it chooses the dialect.
        to: Where to.
        progress: Called after every batch.
    """

    def __init__(
        self,
        env: Mapping[str, str],
        to: Outlet,
        progress: Callable[[Shipped], None] = lambda _: None,
    ) -> None:
        self.shipped = Shipped()
        self._to = to
        self._progress = progress
        self._dialect = semconv.choose(env)
        self._runs: dict[tuple[str, str], _Run] = {}
        """Those of which a row is still to come, by run and trace id."""
        self._waiting = 0
        """Rows in the batch."""
        self._measured: Row | None = None
        """A row of the millisecond that is being measured."""

    def send(self, entries: Iterable[Entry]) -> Shipped:
        """Send them all.

        Raises:
            NotDeliveredError: A batch did not arrive; ``shipped`` says what did before.
        """
        for entry in entries:
            if entry.wanted:
                self._make_room(entry.row)
            self._take(entry)
        for run in self._runs.values():  # their last row was none that can be sent
            self._close(run)
        self._flush()
        self.shipped.resume_at = None
        return self.shipped

    def _make_room(self, row: Row) -> None:
        """Send what is a batch, but never a part of a measured millisecond."""
        same = self._measured is not None and self._measured.timestamp == row.timestamp
        if not same:
            self._date()
        full = self._to.waiting_spans >= BATCH_SPANS
        if full and same:
            self.shipped.spans += self._to.send_spans()
        elif full or self._to.waiting_points >= BATCH_POINTS:
            self._flush()
        if not self._waiting:
            self.shipped.resume_at = row.timestamp
        self._waiting += 1

    def _take(self, entry: Entry) -> None:
        row = entry.row
        key = row.run_id, row.trace_id or ""
        if key not in self._runs:
            self._runs[key] = self._begin(row)
        run = self._runs[key]
        run.told = entry.wanted
        call = restored_call(row)
        placed = run.tree.place(call, row)
        if entry.wanted and run.spans is not None:
            run.spans.call(call, row, placed)
        if entry.wanted and run.metrics is not None:
            run.metrics.call(call, row, None)
            self._measured = row
        if entry.last:
            self._close(self._runs.pop(key))

    def _begin(self, row: Row) -> _Run:
        context = restored_run(row)
        run = _Run(context, Tree(context))
        if self._to.spans is not None:
            run.spans = Spans(run=context, semconv=self._dialect, taker=self._to.spans)
        if self._to.meter is not None:
            run.metrics = Metrics(run=context, semconv=self._dialect, meter=self._to.meter)
        return run

    def _close(self, run: _Run) -> None:
        """Tell the turns, agents and the iteration. Nothing is measured of them.

        How long a command ran and how it ended is in no row.
        """
        if run.spans is None or not run.told:
            return
        for group in run.tree.groups():
            run.spans.group(group)
        if not run.context.gateway:
            run.spans.group(run.tree.iteration)

    def _date(self) -> None:
        if self._measured is not None:
            self._to.date(started_ns(self._measured))
        self._measured = None

    def _flush(self) -> None:
        """Send what waits.

        Raises:
            NotDeliveredError: It did not arrive.
        """
        self._date()
        self.shipped.spans += self._to.send_spans()
        self.shipped.points += self._to.send_points()
        self.shipped.rows += self._waiting
        self._waiting = 0
        self._progress(self.shipped)


class _Run(msgspec.Struct):
    """A run, or what of ``serve`` is one trace."""

    context: RunContext
    tree: Tree
    spans: Spans | None = None
    metrics: Metrics | None = None
    told: bool = False
    """Its latest row was wanted."""
