"""A ledger shipped into the real stack is there as if the runs had told it, and only once."""

from __future__ import annotations

import json

import pytest

from tests.e2e.bench import Bench, wait_until
from tests.real.stack.accounts import await_telemetry, compare, spans_of
from tests.real.stack.loops import Loops
from tests.real.stack.stack import Stack
from tests.real.stack.table import Table


@pytest.mark.timeout(900)
def test_a_ledger_of_runs_without_telemetry(
    bench: Bench, stack: Stack, tables: list[Table]
) -> None:
    silent = Loops(bench, {})
    silent.run(mixed=4, curl=10, agent=6)
    ship(bench, stack)
    rows = bench.rows()
    await_telemetry(stack, rows)
    compare(stack, rows, f"ship: {len(rows)} calls of runs without telemetry", tables)

    # Runs were not told, so each has a root that was made anew; no call hangs in the air.
    for trace in {row["trace_id"] for row in rows}:
        spans = stack.jaeger.trace(trace)
        known = {span.span_id for span in spans}
        assert [s.role for s in spans if s.parent_id not in known] == ["iteration"], trace

    # Sent once more, with runs that are new, and then half of it: nothing counts twice.
    silent.run(curl=2)
    rows = bench.rows()
    ship(bench, stack)
    ship(bench, stack, "--since", rows[len(rows) // 2]["timestamp"])
    await_telemetry(stack, rows)
    compare(stack, rows, f"ship: the same again and {len(rows)} calls in all", tables)
    assert len({span.span_id for span in spans_of(stack, rows) if span.role == "call"}) == len(rows)


def ship(bench: Bench, stack: Stack, *words: str) -> None:
    done = bench.tokenproxy(
        "ledger", "ship", "--signals", "both", "--json", *words, env=stack.env, timeout_s=120
    )
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["shipped"] == outcome["rows"] > 0


def test_of_runs_that_had_told_it_themselves(bench: Bench, stack: Stack) -> None:
    """Spans have the ids of the live ones, but not all that these say: Jaeger shows both."""
    Loops(bench, stack.env).run(agent=2)
    rows = bench.rows()
    await_telemetry(stack, rows)
    before = {span.span_id for span in spans_of(stack, rows)}
    done = bench.tokenproxy("ledger", "ship", env=stack.env, timeout_s=120)
    assert done.returncode == 0, done.stderr

    def calls() -> list[str]:
        return sorted(span.span_id for span in spans_of(stack, rows) if span.role == "call")

    wait_until(lambda: len(calls()) == 2 * len(rows), 60, "the shipped spans are missing")
    assert calls() == sorted([row["span_id"] for row in rows] * 2)
    assert {span.span_id for span in spans_of(stack, rows)} == before
    for trace in {row["trace_id"] for row in rows}:
        spans = stack.jaeger.trace(trace)
        known = {span.span_id for span in spans}
        assert len({span.span_id for span in spans if span.parent_id not in known}) == 1, trace
