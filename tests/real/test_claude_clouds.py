"""The real Claude CLI where clouds serve its models: rows equal its ``modelUsage``.

On Bedrock it first tries which models the account may use, one short call each: billed, in the
ledger, and not in what it reports. They are the calls that do not stream.
"""

from __future__ import annotations

import json

import pytest

from tests.e2e.bench import Bench, total
from tests.real import reported
from tokenproxy.simulator.server import Simulator

PRINT = ("--output-format", "json", "--dangerously-skip-permissions")
BEDROCK = {"CLAUDE_CODE_USE_BEDROCK": "1", "AWS_REGION": "us-east-1"}
SIGNED = {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "test"}
BEARER = {"AWS_BEARER_TOKEN_BEDROCK": "test"}
VERTEX = {
    "CLAUDE_CODE_USE_VERTEX": "1",
    "CLAUDE_CODE_SKIP_VERTEX_AUTH": "1",
    "CLOUD_ML_REGION": "us-east5",
    "ANTHROPIC_VERTEX_PROJECT_ID": "test",
}
HOSTS = {
    "bedrock-runtime.us-east-1.amazonaws.com": "bedrock",
    "bedrock.us-east-1.amazonaws.com": "bedrock",
    "us-east5-aiplatform.googleapis.com": "vertex-anthropic",
}


@pytest.mark.parametrize(
    ("mode", "env", "provider"),
    [
        ("forward", BEDROCK | SIGNED, "aws.bedrock"),
        ("forward", BEDROCK | BEARER, "aws.bedrock"),
        ("reverse", BEDROCK | BEARER, "aws.bedrock"),
        ("forward", VERTEX, "gcp.vertex_ai"),
        ("reverse", VERTEX, "gcp.vertex_ai"),
    ],
    ids=["bedrock-signed", "bedrock-bearer", "bedrock-reverse", "vertex", "vertex-reverse"],
)
def test_a_turn_with_a_tool(
    bench: Bench, claude: str, mode: str, env: dict[str, str], provider: str
) -> None:
    del bench.env["ANTHROPIC_API_KEY"]
    with Simulator("agent") as sim:
        done = reported.run(
            bench, sim, mode, HOSTS, [claude, "-p", "USE_BASH please", *PRINT], **env
        )
        assert len(bench.rows()) == len(sim.calls)
    result = json.loads(done.stdout)
    assert result["result"] == "All done."
    rows = [row for row in bench.rows() if row["stream"]]
    assert [row["output_tokens"] for row in rows] == [77, 42]
    reported.same(bench.rows(), provider=provider, success=True, session_id=result["session_id"])
    ((model, usage),) = result["modelUsage"].items()
    reported.same(rows, model=model)
    assert total(rows, "uncached_input_tokens") == usage["inputTokens"]
    assert total(rows, "output_tokens") == usage["outputTokens"]
    assert total(rows, "cache_read_input_tokens") == usage["cacheReadInputTokens"]
    assert total(rows, "cache_creation_input_tokens") == usage["cacheCreationInputTokens"]
