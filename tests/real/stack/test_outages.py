"""What is not lost, and what is at most, when parts of the stack are away or killed."""

from __future__ import annotations

import threading

from tests.e2e.bench import Bench, Row, total, wait_until
from tests.real.stack.accounts import CALLS, await_telemetry, compare, spans_of
from tests.real.stack.loops import Loops, Run
from tests.real.stack.stack import Stack
from tests.real.stack.table import Table

NOT_DELIVERED = "telemetry: the collector at "


def test_what_the_collector_holds_outlives_it_and_the_backends(
    bench: Bench, stack: Stack, tables: list[Table]
) -> None:
    """Both backends are away, the collector is killed: its queue is on disk."""
    stack.services["jaeger"].stop()
    stack.services["prometheus"].stop()
    runs = Loops(bench, stack.env).run(curl=4, agent=4)
    assert not complaints(runs)
    stack.collector.kill()
    stack.collector.start()
    runs += Loops(bench, stack.env).run(curl=4, agent=4)
    assert not complaints(runs)
    stack.services["prometheus"].start()
    stack.services["jaeger"].start()

    rows = bench.rows()
    await_telemetry(stack, rows)
    compare(stack, rows, f"Backends away, collector killed: {len(rows)} calls", tables)


def test_a_collector_that_is_killed_in_the_middle_of_loops(bench: Bench, stack: Stack) -> None:
    """Killed three times: what is missing is of runs that said so, and nothing counts twice."""
    over = threading.Event()
    restarts = threading.Thread(target=kill_again_and_again, args=(stack, over))
    restarts.start()
    try:
        runs = Loops(bench, stack.env).run(curl=12, agent=14)
    finally:
        over.set()
        restarts.join()
    rows = bench.rows()
    said = complaints(runs)
    sure = [row for row in rows if (row["story_id"], row["iteration"]) not in said]
    assert sure, "every run complained"

    ids = {row["span_id"] for row in sure}
    wait_until(lambda: stack.prometheus.value(CALLS) >= len(sure), 60, "metrics are missing")
    wait_until(lambda: ids <= {span.span_id for span in spans_of(stack, sure)}, 60, "spans missing")
    assert len(sure) <= stack.prometheus.value(CALLS) <= len(rows)
    for metric, counted in (
        ("tokenproxy_usage_tokens_total", tokens),
        ("tokenproxy_cost_usd_nanos_total", nanos),
    ):
        found = stack.prometheus.value(f"sum(sum_over_time({metric}[1h]))")
        assert counted(sure) <= found <= counted(rows), metric


def test_runs_without_a_collector_say_so_and_are_in_the_ledger(bench: Bench, stack: Stack) -> None:
    """What ends while nobody listens is lost to telemetry, all of it and no more."""
    before = Loops(bench, stack.env).run(agent=2)
    rows = bench.rows()
    await_telemetry(stack, rows)
    stack.collector.kill()
    during = Loops(bench, stack.env).run(agent=2)
    stack.collector.start()
    after = Loops(bench, stack.env).run(curl=2)
    assert not complaints(before + after)
    assert len(complaints(during)) == len(during)

    lost = bench.rows()[len(rows) : -2]
    kept = [row for row in bench.rows() if row not in lost]
    await_telemetry(stack, kept)
    assert stack.prometheus.value(CALLS) == len(kept)
    assert not spans_of(stack, lost)


def kill_again_and_again(stack: Stack, over: threading.Event) -> None:
    """Kill the collector while there is traffic, and start it again at once."""
    for _ in range(3):
        if over.wait(4):
            return
        stack.collector.kill()
        stack.collector.start()


def complaints(runs: list[Run]) -> set[tuple[str, int]]:
    """Story and iteration of the runs that said that not all of their telemetry was delivered."""
    return {(run.story, run.iteration) for run in runs if NOT_DELIVERED in run.stderr}


def tokens(rows: list[Row]) -> int:
    return total(rows, "input_tokens") + total(rows, "output_tokens")


def nanos(rows: list[Row]) -> int:
    return sum(round(row.get("cost_usd", 0.0) * 1e9) for row in rows)
