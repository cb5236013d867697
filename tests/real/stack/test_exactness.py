"""What Prometheus and Jaeger say after 200 short runs of four loops is what the ledger says."""

from __future__ import annotations

import pytest

from tests.e2e.bench import Bench, Row, wait_until
from tests.real.stack.jaeger import Span
from tests.real.stack.loops import Loops
from tests.real.stack.stack import Stack
from tests.real.stack.sums import SUMS, in_prometheus, over_rows, over_spans
from tests.real.stack.table import Table


def spans_of(stack: Stack, rows: list[Row]) -> list[Span]:
    """The spans of all traces that the ledger names."""
    traces = {row["trace_id"] for row in rows}
    return [span for trace in sorted(traces) for span in stack.jaeger.trace(trace)]


def arrived(stack: Stack, rows: list[Row]) -> bool:
    """Whether as many calls are in both backends as the ledger has rows."""
    counted = stack.prometheus.value("sum(sum_over_time(tokenproxy_calls_total[1h]))")
    seen = sum(span.role == "call" for span in spans_of(stack, rows))
    return counted >= len(rows) and seen >= len(rows)


def compare(stack: Stack, rows: list[Row], title: str, tables: list[Table]) -> None:
    """Every sum is the same three times."""
    spans = spans_of(stack, rows)
    table = Table(title)
    tables.append(table)
    for asked in SUMS:
        table.add(
            asked.name,
            over_rows(asked, rows),
            in_prometheus(asked, stack.prometheus),
            over_spans(asked, spans),
        )
    assert not table.unequal(), table.text()


@pytest.mark.timeout(900)
def test_200_short_runs_of_four_loops(
    bench: Bench, claude: str, stack: Stack, tables: list[Table]
) -> None:
    runs = Loops(bench, claude, stack.env).run(claude=24, mixed=20, curl=96, agent=60)
    rows = bench.rows()
    assert runs == 200
    assert len({row["run_id"] for row in rows}) == runs
    wait_until(lambda: arrived(stack, rows), timeout_s=60, what="telemetry is missing")
    compare(stack, rows, f"{runs} runs, {len(rows)} calls", tables)

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
