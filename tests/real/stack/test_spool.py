"""What was kept while no collector was there, sent to the real one: as if it had been there."""

from __future__ import annotations

import urllib.request

from tests.e2e.bench import Bench
from tests.real.stack.accounts import await_telemetry, compare
from tests.real.stack.loops import Loops
from tests.real.stack.stack import Stack
from tests.real.stack.table import Table


def test_a_spool_that_is_replayed_is_the_telemetry_that_was_missing(
    bench: Bench, stack: Stack, tables: list[Table]
) -> None:
    """Part arrives at once, part is kept by runs without a collector; the sums are the ledger's."""
    spool = str(bench.root / "spool")
    env = {**stack.env, "TOKENPROXY_OTEL_SPOOL": spool}
    Loops(bench, env).run(curl=2)
    stack.collector.kill()
    runs = Loops(bench, env).run(curl=3, agent=2)
    assert all("are kept in" in run.stderr for run in runs)
    stack.collector.start()
    sent = bench.tokenproxy("otel", "replay", spool, env=stack.env)
    assert sent.returncode == 0, sent.stderr
    rows = bench.rows()
    await_telemetry(stack, rows)
    compare(stack, rows, f"No collector, then replayed: {len(rows)} calls", tables)


def test_a_line_of_a_spool_is_the_collectors_json(
    bench: Bench, stack: Stack, tables: list[Table]
) -> None:
    """Sent as it stands: its ``otlpjsonfile`` receiver reads with the same code as this one."""
    spool = bench.root / "spool"
    Loops(bench, {"TOKENPROXY_OTEL_SPOOL": str(spool)}).run(curl=2, agent=1)
    paths = sorted(spool.iterdir())
    assert {path.name.split(".")[1] for path in paths} == {"traces", "metrics"}
    for path in paths:
        signal = path.name.split(".")[1]
        request = urllib.request.Request(  # noqa: S310 - http
            f"{stack.env['OTEL_EXPORTER_OTLP_ENDPOINT']}/v1/{signal}",
            path.read_bytes(),
            {"content-type": "application/json"},
        )
        with OPENER.open(request, timeout=30) as answer:
            assert "partialSuccess" not in answer.read().decode().replace('"partialSuccess":{}', "")
    rows = bench.rows()
    await_telemetry(stack, rows)
    compare(stack, rows, f"A spool's lines as they stand: {len(rows)} calls", tables)


OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
