"""What arrives over real OTLP says what the ledger says."""

from __future__ import annotations

import sys

import pytest

from tests.e2e.bench import Bench, total
from tests.telemetry.receiver import OtlpReceiver
from tokenproxy.simulator.server import Simulator

pytestmark = pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])


def test_the_demo_agents_trace_and_sums(bench: Bench, protocol: str) -> None:
    with Simulator("demo") as sim, OtlpReceiver(protocol) as receiver:
        run = bench.tokenproxy(
            "run", "--story", "s", "--", sys.executable, "-m", "tokenproxy.simulator.agent",
            env={
                "ANTHROPIC_BASE_URL": sim.url,
                "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
                "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            },
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        rows = bench.rows()
        spans = {span.span_id: span for span in receiver.spans}
        tokens = receiver.sums("tokenproxy.usage.tokens", "tokenproxy.token.kind")
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
    assert tokens["output"] == total(rows, "output_tokens")
    assert tokens["cache_read"] == total(rows, "cache_read_input_tokens")
    assert tokens["uncached_input"] == total(rows, "uncached_input_tokens")
