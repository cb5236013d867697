"""The real CLI's golden case as a trace over real OTLP."""

from __future__ import annotations

from typing import Literal

import pytest

from tests.e2e.bench import Bench, total
from tests.real.test_claude_cli import PRINT, forward
from tests.telemetry.receiver import OtlpReceiver, Span
from tokenproxy.simulator.reply import Request
from tokenproxy.simulator.server import Simulator

PROMPT = "USE_SUBAGENT[sleep 1] please"
OWN_TRACING = {
    "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
    "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA": "1",
    "OTEL_TRACES_EXPORTER": "otlp",
}


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_the_golden_cases_tree(
    bench: Bench, claude: str, protocol: Literal["http", "grpc"]
) -> None:
    with Simulator("agent") as sim, OtlpReceiver(protocol) as receiver:
        run = forward(
            bench, sim, claude, "-p", PROMPT, *PRINT,
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
            OTEL_EXPORTER_OTLP_PROTOCOL="grpc" if protocol == "grpc" else "http/protobuf",
            **OWN_TRACING,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        assert receiver.wait(lambda got: any(_role(s) == "iteration" for s in got.spans))
    rows = {row["span_id"]: row for row in bench.rows()}
    spans = {s.span_id: s for s in receiver.spans if s.scope == "tokenproxy"}
    assert len({span.trace_id for span in spans.values()}) == 1

    def path(span: Span) -> tuple[str, ...]:
        above = spans.get(span.parent_id or "")
        return (*(path(above) if above else ()), _role(span))

    calls = [span for span in spans.values() if _role(span) == "call"]
    assert {span.span_id for span in calls} == set(rows)
    paths = sorted(path(span) for span in calls)
    assert paths == [
        ("iteration", "turn", "agent", "call"),
        ("iteration", "turn", "agent", "call"),
        ("iteration", "turn", "call"),
        ("iteration", "turn", "call"),
        ("iteration", "turn", "call"),
    ]
    tools = {s.attributes["gen_ai.tool.name"]: s for s in spans.values() if _role(s) == "tool"}
    assert path(tools["Agent"]) == ("iteration", "turn", "tool")
    assert path(tools["Bash"]) == ("iteration", "turn", "agent", "tool")

    # The client's own spans are linked, not parents: they spread over several trace ids.
    links = {(link.trace_id, link.span_id) for span in calls for link in span.links}
    sent_by_client = [call.request.header("traceparent") or "" for call in sim.calls]
    assert links == {tuple(header.split("-")[1:3]) for header in sent_by_client}
    assert len({trace_id for trace_id, _ in links}) > 1
    for span in calls:
        row = rows[span.span_id]
        assert (span.kind, span.name) == ("CLIENT", "chat claude-opus-5-5")
        assert span.attributes["server.address"] == "api.anthropic.com"
        assert span.attributes["gen_ai.conversation.id"] == row["session_id"]
        assert span.attributes["gen_ai.usage.input_tokens"] == row["input_tokens"]
        assert span.attributes["gen_ai.usage.output_tokens"] == row["output_tokens"]
        assert span.attributes["tokenproxy.request_class"] == row["request_class"]
        assert (span.end_ns - span.start_ns) / 1e6 == pytest.approx(row["latency_ms"], abs=0.01)
    sent = {name: ms for call in sim.calls for name, ms in _durations(call.request)}
    for name, tool in tools.items():
        assert (tool.end_ns - tool.start_ns) / 1e6 == pytest.approx(sent[name])
        assert tool.kind == "INTERNAL"
    assert sent["Bash"] >= 1000
    for span in spans.values():
        above = spans.get(span.parent_id or "")
        if above is not None:
            assert above.start_ns <= span.start_ns <= span.end_ns <= above.end_ns

    ledger = list(rows.values())
    for kind, column in (
        ("uncached_input", "uncached_input_tokens"),
        ("cache_read", "cache_read_input_tokens"),
        ("cache_creation_5m", "cache_creation_5m_input_tokens"),
        ("cache_creation_1h", "cache_creation_1h_input_tokens"),
        ("output", "output_tokens"),
    ):
        got = receiver.total("tokenproxy.usage.tokens", tokenproxy__token__kind=kind)
        assert got == total(ledger, column)
    assert receiver.total("tokenproxy.cost.usd_nanos") == 72_320_000
    assert receiver.total("tokenproxy.calls") == 5


def _role(span: Span) -> str:
    return str(span.attributes.get("tokenproxy.span.role"))


def _durations(request: Request) -> list[tuple[str, float]]:
    header = request.header("x-claude-code-prev-tool-durations") or ""
    items = [item.partition("=") for item in header.split(";") if item]
    return [(name, float(milliseconds)) for name, _, milliseconds in items]
