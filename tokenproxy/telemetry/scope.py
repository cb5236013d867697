"""One run's telemetry: its tree, its spans, its measurements."""

from __future__ import annotations

from collections.abc import Iterable

from tokenproxy.config import IterationEnd, RunContext
from tokenproxy.record.call import Call
from tokenproxy.record.row import Row
from tokenproxy.telemetry.metrics import Metrics
from tokenproxy.telemetry.spans import Spans
from tokenproxy.telemetry.tree import Group, Tree


class RunScope:
    """Turns a run's calls into spans and measurements, whichever of the two are on."""

    def __init__(self, run: RunContext, spans: Spans | None, metrics: Metrics | None) -> None:
        self._run = run
        self._tree = Tree(run)
        self._spans = spans
        self._metrics = metrics

    def take(self, call: Call, row: Row | None) -> None:
        """Tell a finished call, and the tools whose results it carried."""
        placed = self._tree.place(call, row)
        span = self._spans.call(call, row, placed) if self._spans else None
        if self._metrics:
            self._metrics.call(call, row, span)
        for tool in placed.tools:
            span = self._spans.tool(tool) if self._spans else None
            if self._metrics:
                self._metrics.tool(tool, span)

    def passed(self, provider: str, server_address: str) -> None:
        """Count a request that was no call."""
        if self._metrics:
            self._metrics.passed(provider, server_address)

    def resume(self, rows: Iterable[Row]) -> None:
        """Add calls that a killed proxy told before to the iteration's sums."""
        for row in rows:
            self._tree.count(row)

    def close(self, end: IterationEnd | None) -> None:
        """Tell turns, agents and the iteration; ``end`` is None if nobody saw it end."""
        groups = self._tree.groups()
        for group in groups:
            self._export(group)
        if self._run.gateway:
            return
        iteration = self._tree.iteration
        if end is not None:
            # What the command leaves open is seen to end a little after it, and stays below it.
            iteration.extend(iteration.start_ns, end.ended_ns)
        span = self._spans.group(iteration, end) if self._spans else None
        if self._metrics is None:
            return
        self._metrics.iteration(iteration, end, span)
        if not groups:
            # With turns below it the agent's time is theirs, and would be told twice.
            failed = str(end.exit_status) if end is not None and end.exit_status else None
            self._metrics.group(iteration, span, failed=failed)

    def sweep(self, idle_since_ns: int) -> None:
        """Tell a gateway's turns that have had no call since that Unix time."""
        for group in self._tree.take_idle(idle_since_ns):
            self._export(group)

    def _export(self, group: Group) -> None:
        span = self._spans.group(group) if self._spans else None
        if self._metrics:
            self._metrics.group(group, span)
