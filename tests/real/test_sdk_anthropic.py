"""The Anthropic SDK behind tokenproxy, at home and at the clouds that serve its models."""

from __future__ import annotations

import pytest

from tests.e2e.bench import Bench, Row
from tests.real import reported
from tokenproxy.simulator.server import Simulator

MODE = pytest.mark.parametrize("mode", reported.MODES)


@MODE
@pytest.mark.parametrize("delivery", ["plain", "stream+br+random:5"])
def test_messages_whole_and_streamed(bench: Bench, mode: str, delivery: str) -> None:
    with Simulator(delivery) as sim:
        said = reported.program(
            bench, sim, mode, {"api.anthropic.com": "anthropic"},
            ["anthropic", "anthropic_sdk", "anthropic", "plain", "stream", "count"],
        )  # fmt: skip
    rows = bench.rows()
    reported.equal(rows, said)
    reported.same(rows, provider="anthropic", success=True, outcome="complete")
    assert [row["stream"] for row in rows] == [False, True]


def on_bedrock(bench: Bench, said: list[Row]) -> None:
    """Bedrock's answers name the model as Anthropic does; its rows as Bedrock prices it."""
    assert {one.pop("model") for one in said} == {"claude-opus-5-5"}
    reported.equal(bench.rows(), said)
    reported.same(
        bench.rows(), provider="aws.bedrock", model="anthropic.claude-opus-5-5-v1:0", success=True
    )


@MODE
def test_bedrock_by_a_bearer_key(bench: Bench, mode: str) -> None:
    with Simulator("stream") as sim:
        said = reported.program(
            bench, sim, mode, {"bedrock-runtime.us-east-1.amazonaws.com": "bedrock"},
            ["anthropic", "anthropic_sdk", "bedrock", "plain", "stream"],
            AWS_BEARER_TOKEN_BEDROCK="test", AWS_REGION="us-east-1",
        )  # fmt: skip
    on_bedrock(bench, said)


def test_bedrock_signed(bench: Bench) -> None:
    """The signature covers the host, so that forward is the only way."""
    with Simulator("plain") as sim:
        said = reported.program(
            bench, sim, "forward", {"bedrock-runtime.us-east-1.amazonaws.com": "bedrock"},
            ["anthropic", "anthropic_sdk", "bedrock", "plain", "stream"],
            AWS_ACCESS_KEY_ID="AKIATEST", AWS_SECRET_ACCESS_KEY="test", AWS_REGION="us-east-1",
        )  # fmt: skip
        assert sim.calls
        assert all(
            (call.request.header("authorization") or "").startswith("AWS4-HMAC-SHA256")
            for call in sim.calls
        )
    on_bedrock(bench, said)


@MODE
def test_vertex(bench: Bench, mode: str) -> None:
    with Simulator("stream") as sim:
        said = reported.program(
            bench, sim, mode, {"us-east5-aiplatform.googleapis.com": "vertex-anthropic"},
            ["anthropic", "anthropic_sdk", "vertex", "plain", "stream"],
            CLOUD_ML_REGION="us-east5", ANTHROPIC_VERTEX_PROJECT_ID="test",
        )  # fmt: skip
    reported.equal(bench.rows(), said)
    reported.same(bench.rows(), provider="gcp.vertex_ai", success=True)


@MODE
def test_foundry(bench: Bench, mode: str) -> None:
    """It has no URL by default: reverse mode goes on to the one that the user names."""
    with Simulator("stream") as sim:
        place = (
            {"ANTHROPIC_FOUNDRY_RESOURCE": "test"}
            if mode == "forward"
            else {"ANTHROPIC_FOUNDRY_BASE_URL": f"{sim.url}/foundry/anthropic"}
        )
        said = reported.program(
            bench, sim, mode, {"test.services.ai.azure.com": "foundry"},
            ["anthropic", "anthropic_sdk", "foundry", "plain", "stream"],
            ANTHROPIC_FOUNDRY_API_KEY="test", **place,
        )  # fmt: skip
    reported.equal(bench.rows(), said)
    reported.same(bench.rows(), success=True)
