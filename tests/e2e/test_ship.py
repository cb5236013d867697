"""A ledger that is shipped says what the run itself had told, as far as rows hold it."""

from __future__ import annotations

import json
import sys
from typing import Literal

import pytest

from tests.e2e.bench import Bench, Row
from tests.telemetry.receiver import OtlpReceiver, Span
from tokenproxy.simulator.server import Simulator

MS = 1_000_000

NOT_IN_A_ROW = {
    "server.address",
    "server.port",
    "gen_ai.request.max_tokens",
    "gen_ai.request.temperature",
    "gen_ai.request.top_p",
    "gen_ai.request.top_k",
    "gen_ai.request.stop_sequences",
    "tokenproxy.organization.id",
    "tokenproxy.workspace.id",
    "tokenproxy.retry_after",
    "tokenproxy.compaction",
    "tokenproxy.context_compacted",
}
"""Attributes of a live call's span that a shipped one cannot have, beside
``http.response.header.*``; nor does it have the link to the client's own span."""

ONLY_OF_STREAMS = {"gen_ai.request.stream"}
"""A row says that the answer was a stream: of one that was asked for and refused it does not."""


def calls(spans: list[Span]) -> dict[str, Span]:
    return {s.span_id: s for s in spans if s.attributes["tokenproxy.span.role"] == "call"}


def held(span: Span, row: Row) -> dict[str, object]:
    """The attributes that the row holds."""
    unknown = NOT_IN_A_ROW if row["stream"] else NOT_IN_A_ROW | ONLY_OF_STREAMS
    return {
        name: value
        for name, value in span.attributes.items()
        if name not in unknown and not name.startswith("http.response.header.")
    }


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_the_shipped_spans_are_the_live_ones(
    bench: Bench, protocol: Literal["http", "grpc"]
) -> None:
    def otel(receiver: OtlpReceiver) -> dict[str, str]:
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc" if protocol == "grpc" else "http/protobuf",
            "OTEL_EXPORTER_OTLP_HEADERS": "x-team=blue",
        }

    with Simulator("demo") as sim, OtlpReceiver(protocol) as live:
        run = bench.tokenproxy(
            "run", "--story", "s", "--label", "team=blue", "--",
            sys.executable, "-m", "tokenproxy.simulator.agent",
            env={"ANTHROPIC_BASE_URL": sim.url, **otel(live)},
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
    rows = bench.rows()
    with OtlpReceiver(protocol) as receiver:
        shipped = bench.tokenproxy("ledger", "ship", "--json", env=otel(receiver))
        assert shipped.returncode == 0, shipped.stderr
    assert receiver.requests[0].headers["x-team"] == "blue"

    told, again = calls(live.spans), calls(receiver.spans)
    by_span = {row["span_id"]: row for row in rows}
    assert again.keys() == told.keys() == by_span.keys()
    assert len(again) == len([s for s in receiver.spans if s.span_id in again])
    for span_id, one in again.items():
        other = told[span_id]
        row = by_span[span_id]
        assert one.attributes == held(one, row) == held(other, row)
        assert (one.name, one.kind, one.trace_id, one.parent_id, one.status) == (
            other.name,
            other.kind,
            other.trace_id,
            other.parent_id,
            other.status,
        )
        assert one.start_ns == other.start_ns // MS * MS
        assert abs((one.end_ns - one.start_ns) - (other.end_ns - other.start_ns)) <= 500
        assert [(e.name, e.attributes) for e in one.events] == [
            (e.name, e.attributes) for e in other.events
        ]
        assert (one.scope, one.schema_url) == (other.scope, other.schema_url)

    groups = {s.span_id: s for s in receiver.spans if s.kind == "INTERNAL"}
    live_groups = {
        s.span_id: s
        for s in live.spans
        if s.kind == "INTERNAL" and s.attributes["tokenproxy.span.role"] != "tool"
    }
    assert groups.keys() == live_groups.keys()
    for span_id, one in groups.items():
        for name in ("calls", "input_tokens", "output_tokens", "cost_usd"):
            key = f"tokenproxy.sum.{name}"
            assert one.attributes[key] == live_groups[span_id].attributes[key]
        assert one.parent_id == live_groups[span_id].parent_id
    (root,) = [s for s in receiver.spans if s.parent_id is None]
    assert root.attributes["tokenproxy.span.role"] == "iteration"

    outcome = json.loads(shipped.stdout)
    assert outcome["rows"] == outcome["shipped"] == len(rows)
    assert outcome["spans"] == len(receiver.spans)
