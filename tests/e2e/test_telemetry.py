"""What arrives over real OTLP says what the ledger says."""

from __future__ import annotations

import sys
from typing import Literal

import pytest

from tests.e2e.bench import Bench, total
from tests.telemetry.receiver import OtlpReceiver
from tokenproxy.simulator.server import Simulator

KINDS = {
    "uncached_input": "uncached_input_tokens",
    "cache_read": "cache_read_input_tokens",
    "output": "output_tokens",
}


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_the_demo_agents_trace_and_sums(bench: Bench, protocol: Literal["http", "grpc"]) -> None:
    with Simulator("demo") as sim, OtlpReceiver(protocol) as receiver:
        run = bench.tokenproxy(
            "run", "--story", "s", "--", sys.executable, "-m", "tokenproxy.simulator.agent",
            env={
                "ANTHROPIC_BASE_URL": sim.url,
                "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc" if protocol == "grpc" else "http/protobuf",
            },
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        rows = bench.rows()
        spans = {span.span_id: span for span in receiver.spans}
    assert rows
    assert {span.trace_id for span in spans.values()} == {rows[0]["trace_id"]}
    for row in rows:
        span = spans[row["span_id"]]
        assert span.kind == "CLIENT"
        assert span.name == f"chat {row['requested_model']}"
        assert span.attributes["server.address"] == "127.0.0.1"
    roots = [span for span in spans.values() if span.parent_id not in spans]
    assert len(roots) == 1
    assert roots[0].kind == "INTERNAL"
    for kind, column in KINDS.items():
        got = receiver.total("tokenproxy.usage.tokens", tokenproxy__token__kind=kind)
        assert got == total(rows, column), kind
    nanos = receiver.total("tokenproxy.cost.usd_nanos")
    assert nanos == sum(round(row.get("cost_usd", 0) * 1e9) for row in rows) > 0
    assert receiver.total("tokenproxy.calls") == len(rows)
