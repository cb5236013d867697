"""The real Claude CLI behind tokenproxy, against the simulated API."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest

from tests.e2e.bench import Bench, Row, total
from tokenproxy.simulator import tls
from tokenproxy.simulator.reply import Request
from tokenproxy.simulator.server import Simulator
from tokenproxy.simulator.tunnel import Tunnel

GOLDEN_PROMPT = "USE_SUBAGENT please"
PRINT = ("--output-format", "json", "--dangerously-skip-permissions")


def forward(
    bench: Bench, sim: Simulator, *command: str, **env: str
) -> subprocess.CompletedProcess[bytes]:
    return bench.tokenproxy(
        "run", "--mode", "forward", "--route", f"api.anthropic.com={sim.url}", "--story", "golden",
        "--", *command, env=env,
    )  # fmt: skip


def equals_model_usage(rows: list[Row], result: dict[str, Any]) -> None:
    """The ledger's sums are the CLI's own ``modelUsage``, to the token and to 1e-9 dollars."""
    for model, usage in result["modelUsage"].items():
        own = [row for row in rows if row["model"] == model]
        assert total(own, "uncached_input_tokens") == usage["inputTokens"]
        assert total(own, "output_tokens") == usage["outputTokens"]
        assert total(own, "cache_read_input_tokens") == usage["cacheReadInputTokens"]
        assert total(own, "cache_creation_input_tokens") == usage["cacheCreationInputTokens"]
        five = usage["cacheCreationEphemeral5mInputTokens"]
        assert total(own, "cache_creation_5m_input_tokens") == five
        hour = usage["cacheCreationEphemeral1hInputTokens"]
        assert total(own, "cache_creation_1h_input_tokens") == hour
    assert {row["model"] for row in rows} == set(result["modelUsage"])
    cost = sum(row.get("cost_usd", 0.0) for row in rows)
    assert abs(cost - result["total_cost_usd"]) < 1e-9


def test_reverse_stdout_is_the_clis_own(bench: Bench, claude: str) -> None:
    """Ids and timings differ from run to run, so the bytes are compared at the pipe itself."""
    tee = bench.work / "tee"
    line = f'"$0" "$@" | tee {tee}; exit ${{PIPESTATUS[0]}}'
    with Simulator("agent") as sim:
        run = bench.tokenproxy(
            "run", "--", "bash", "-c", line, claude, "-p", "hello", *PRINT,
            env={"ANTHROPIC_BASE_URL": sim.url},
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        assert run.stdout == tee.read_bytes()
        result = json.loads(run.stdout)
        rows = bench.rows()
        assert len(rows) == len(sim.calls) == 1
    equals_model_usage(rows, result)
    assert result["result"] == "Hello from the simulated model."
    assert rows[0]["session_id"] == result["session_id"]


@pytest.mark.parametrize("prefix", [False, True])
def test_the_exit_status_is_the_clis(bench: Bench, claude: str, prefix: bool) -> None:
    """An API that refuses every call makes the CLI fail, with and without the prefix alike."""
    with Simulator("html-413") as sim:
        words = [claude, "-p", "hello", *PRINT]
        env = {"ANTHROPIC_BASE_URL": sim.url}
        if prefix:
            run = bench.tokenproxy("run", "--", *words, env=env)
        else:
            run = subprocess.run(
                words, env={**bench.env, **env}, cwd=bench.work, stdin=subprocess.DEVNULL,
                capture_output=True, check=False, timeout=60,
            )  # fmt: skip
    assert run.returncode == 1
    assert json.loads(run.stdout)["is_error"] is True


def test_forward_golden_case(bench: Bench, claude: str) -> None:
    """One subagent, one Bash call: five calls, the CLI's own sums to the token."""
    with Simulator("agent") as sim:
        run = forward(bench, sim, claude, "-p", GOLDEN_PROMPT, *PRINT)
        assert run.returncode == 0, run.stderr
        result = json.loads(run.stdout)
        rows = bench.rows()
        assert len(rows) == len(sim.calls)
    equals_model_usage(rows, result)
    main = [row for row in rows if row["model"] == "claude-opus-5-5"]
    assert len(main) == 5
    assert total(main, "uncached_input_tokens") == 60
    assert total(main, "output_tokens") == 258
    assert total(main, "cache_creation_5m_input_tokens") == 10_000
    assert abs(sum(row["cost_usd"] for row in main) - 0.07232) < 1e-9
    assert {row["session_id"] for row in rows} == {result["session_id"]}
    assert all(row["outcome"] == "complete" and row["completeness"] == "final" for row in rows)
    subagent = [row for row in rows if row.get("agent_id")]
    assert len(subagent) == 2
    assert {row["agent_type"] for row in subagent} == {"general-purpose"}
    assert {row["request_class"] for row in rows} >= {"main", "subagent"}
    ran = {tool["name"] for row in rows for tool in row.get("tool_durations", [])}
    assert ran == {"Agent", "Bash"}
    turns = {row["turn_id"] for row in subagent}
    assert len(turns) == 1
    assert turns <= {row.get("turn_id") for row in rows if not row.get("agent_id")}
    assert all(re.fullmatch(r"claude-cli/[\d.]+", row["client"]) for row in rows)
    assert all(row["ttft_ms"] <= row["latency_ms"] for row in rows)


def test_forward_the_cli_behaves_as_behind_a_plain_tunnel(bench: Bench, claude: str) -> None:
    """Same tools, headers and calls as through a relay that opens nothing."""
    leaf = tls.throwaway(bench.root)
    with Simulator("agent", tls=leaf.context()) as plain, Tunnel(plain.port) as tunnel:
        direct = subprocess.run(
            [claude, "-p", GOLDEN_PROMPT, *PRINT],
            env={
                **bench.env,
                "HTTPS_PROXY": tunnel.url,
                "NODE_EXTRA_CA_CERTS": str(leaf.ca),
                "NO_PROXY": "localhost,127.0.0.1,::1",
            },
            cwd=bench.work, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60,
        )  # fmt: skip
        assert direct.returncode == 0, direct.stderr
    with Simulator("agent") as proxied:
        run = forward(bench, proxied, claude, "-p", GOLDEN_PROMPT, *PRINT)
        assert run.returncode == 0, run.stderr
    one = [_shape(exchange.request) for exchange in plain.calls]
    other = [_shape(exchange.request) for exchange in proxied.calls]
    assert sorted(map(repr, one)) == sorted(map(repr, other))
    keys = json.loads(direct.stdout).keys()
    assert json.loads(run.stdout).keys() == keys


VOLATILE = {
    "host", "content-length", "x-claude-code-session-id", "x-claude-code-prompt-id",
    "x-claude-code-agent-id", "x-client-request-id", "x-claude-code-prev-tool-durations",
    "traceparent",
}  # fmt: skip


def _shape(request: Request) -> dict[str, Any]:
    """What a request is made of, without what changes from run to run."""
    body = request.json
    system = body.get("system") or [{}]
    return {
        "path": request.path,
        "header names in order": [name for name, _ in request.headers],
        "headers": {
            name.lower(): value for name, value in request.headers if name.lower() not in VOLATILE
        },
        "body keys": list(body),
        "model": body.get("model"),
        "tools": [tool.get("name") for tool in body.get("tools", [])],
        "roles": [message.get("role") for message in body.get("messages", [])],
        "attestation": re.sub(r"=[^;]+", "=", str(system[0].get("text", ""))[:120]),
    }


def test_overloaded_then_success(bench: Bench, claude: str) -> None:
    with Simulator("overloaded") as sim:
        run = bench.tokenproxy(
            "run", "--", claude, "-p", "hello", *PRINT, env={"ANTHROPIC_BASE_URL": sim.url}
        )
        assert run.returncode == 0, run.stderr
    first, second = bench.rows()
    assert (first["success"], first["error"]) == (False, "overloaded_error")
    assert second["success"] is True
    assert second["retry_of"] == first["call_id"]
    assert second["attempt"] >= 1
    assert second["fallback_used"] is False
    equals_model_usage([second], json.loads(run.stdout))


def test_fallback_model_is_flagged_on_the_second_models_row(bench: Bench, claude: str) -> None:
    with Simulator("overloaded-model") as sim:
        run = bench.tokenproxy(
            "run", "--", claude, "-p", "hello", "--fallback-model", "claude-sonnet-5", *PRINT,
            env={"ANTHROPIC_BASE_URL": sim.url}, timeout_s=110,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
    *failed, served = bench.rows()
    assert failed
    assert all(row["success"] is False and row["fallback_used"] is False for row in failed)
    assert served["success"] is True
    assert served["fallback_used"] is True
    assert served["model"] == "claude-sonnet-5"
    assert served["retry_of"] == failed[-1]["call_id"]
