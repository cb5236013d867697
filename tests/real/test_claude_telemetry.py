"""The real CLI's own telemetry as ``run --client-telemetry`` turns it on, at a receiver."""

from __future__ import annotations

from typing import Literal

import pytest

from tests.e2e.bench import Bench
from tests.real.test_claude_cli import PRINT
from tests.telemetry.receiver import OtlpReceiver, Span
from tokenproxy.simulator.server import Simulator

PROMPT = "USE_SUBAGENT[true] please"


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_each_call_is_linked_to_a_span_that_came(
    bench: Bench, claude: str, mode: str, protocol: Literal["http", "grpc"]
) -> None:
    """Behind a base URL the CLI says which span a request is only if told to."""
    way = {"forward": ("--route", "api.anthropic.com={}"), "reverse": ()}[mode]
    with Simulator("agent") as sim, OtlpReceiver(protocol) as receiver:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint}
        if protocol == "grpc":
            env["OTEL_EXPORTER_OTLP_PROTOCOL"] = "grpc"
        if mode == "reverse":
            env["ANTHROPIC_BASE_URL"] = sim.url
        done = bench.tokenproxy(
            "run", "--mode", mode, *(word.format(sim.url) for word in way), "--client-telemetry",
            "--", claude, "-p", PROMPT, *PRINT, env=env,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert receiver.wait(lambda got: any(_role(span) == "iteration" for span in got.spans))
        asked = {request.path for request in receiver.requests}
    calls = [span for span in receiver.spans if _role(span) == "call"]
    theirs = {(s.trace_id, s.span_id): s for s in receiver.spans if s.scope != "tokenproxy"}
    assert len(calls) == len(bench.rows()) == 5
    for call in calls:
        (link,) = call.links
        assert theirs[link.trace_id, link.span_id].name == "claude_code.llm_request"
        assert link.attributes == {"tokenproxy.link": "client"}
    assert {span.resource["service.name"] for span in theirs.values()} == {"claude-code"}
    ours, own = _instances(receiver, "tokenproxy."), _instances(receiver, "claude_code.")
    assert len(ours) == len(own) == 1
    assert ours != own
    temporalities = {p.temporality for p in receiver.metrics if p.metric.startswith("claude_code.")}
    assert temporalities == {"delta"}
    assert not [path for path in asked if "logs" in path.lower()]


def _instances(receiver: OtlpReceiver, prefix: str) -> set[object]:
    """Who sends the metrics whose names begin like this."""
    named = [point for point in receiver.metrics if point.metric.startswith(prefix)]
    return {point.resource["service.instance.id"] for point in named}


def _role(span: Span) -> str:
    return str(span.attributes.get("tokenproxy.span.role"))
