"""What Prometheus and Jaeger say after 200 short runs of four loops is what the ledger says."""

from __future__ import annotations

import pytest

from tests.e2e.bench import Bench, Row
from tests.real.stack.accounts import await_telemetry, compare
from tests.real.stack.loops import Loops
from tests.real.stack.stack import Stack
from tests.real.stack.table import Table


@pytest.mark.timeout(900)
def test_200_short_runs_of_four_loops(
    bench: Bench, claude: str, stack: Stack, tables: list[Table]
) -> None:
    loops = Loops(bench, stack.env, claude=claude)
    runs = loops.run(claude=24, mixed=20, curl=96, agent=60)
    rows = bench.rows()
    assert len(runs) == 200
    assert len({row["run_id"] for row in rows}) == len(runs)
    await_telemetry(stack, rows)
    compare(stack, rows, f"{len(runs)} runs, {len(rows)} calls", tables)

    # As many senders as ran at once, not one a run: series stay few.
    senders = stack.prometheus.query("count by (instance) (tokenproxy_calls_total)")
    assert 1 <= len(senders) <= 6
    assert_whole_traces(stack, rows)


def assert_whole_traces(stack: Stack, rows: list[Row]) -> None:
    """Each run is one trace with one root, and every other span hangs below it."""
    for trace in {row["trace_id"] for row in rows}:
        spans = stack.jaeger.trace(trace)
        known = {span.span_id for span in spans}
        roots = [span for span in spans if span.parent_id not in known]
        assert [root.role for root in roots] == ["iteration"], trace


def test_the_tables_own_comparison_can_fail() -> None:
    table = Table("made up")
    table.add("tokens", {"a": 1, "b": 2}, {"a": 1, "b": 3}, {"a": 1, "b": 2})
    table.add("calls", {"": 1}, {"": 1}, {})
    assert table.unequal() == ["tokens b", "calls "]
    assert "≠" in table.text()
