"""Three accounts of the same runs: the ledger's, Prometheus' and Jaeger's."""

from __future__ import annotations

from tests.e2e.bench import Row, wait_until
from tests.real.stack.jaeger import Span
from tests.real.stack.stack import Stack
from tests.real.stack.sums import SUMS, in_prometheus, over_rows, over_spans
from tests.real.stack.table import Table

CALLS = "sum(sum_over_time(tokenproxy_calls_total[1h]))"


def spans_of(stack: Stack, rows: list[Row]) -> list[Span]:
    """The spans of all traces that the ledger names."""
    traces = {row["trace_id"] for row in rows}
    return [span for trace in sorted(traces) for span in stack.jaeger.trace(trace)]


def arrived(stack: Stack, rows: list[Row]) -> bool:
    """Whether as many calls are in both backends as the ledger has rows."""
    counted = stack.prometheus.value(CALLS)
    seen = sum(span.role == "call" for span in spans_of(stack, rows))
    return counted >= len(rows) and seen >= len(rows)


def await_telemetry(stack: Stack, rows: list[Row], timeout_s: float = 60) -> None:
    """Return once as many calls are in both backends as the ledger has rows."""
    wait_until(lambda: arrived(stack, rows), timeout_s, "telemetry is missing")


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
