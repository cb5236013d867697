"""Gemini CLI behind tokenproxy: by API key, and by a Google login through Code Assist.

It reports tokens by model (``stats.models``): the cache within the prompt, thoughts beside
the candidates.
"""

from __future__ import annotations

import json

import pytest

from tests.e2e.bench import Bench, Row, total
from tests.real import needs, reported
from tokenproxy.simulator import messages
from tokenproxy.simulator.calls import answer, tokens
from tokenproxy.simulator.messages import Message
from tokenproxy.simulator.reply import Reply, Request
from tokenproxy.simulator.scenarios import calls_only
from tokenproxy.simulator.server import Simulator

KEY = {"GEMINI_API_KEY": "test"}
PROMPT = ("--output-format", "json", "-y", "-p", "USE_BASH please")
MODE = pytest.mark.parametrize("mode", reported.MODES)


def command(bench: Bench, *words: str, auth: str = "gemini-api-key") -> list[str]:
    """The CLI of a user who chose how to log in, and lets it neither phone home nor ask."""
    home = bench.root / ".gemini"
    home.mkdir()
    settings = {
        "privacy": {"usageStatisticsEnabled": False},
        "security": {"auth": {"selectedType": auth}},
    }
    (home / "settings.json").write_text(json.dumps(settings))
    return [str(needs.cli("gemini")), "--skip-trust", *words, *PROMPT]


def equals_stats(rows: list[Row], stats: Row) -> None:
    """The rows' sums are the CLI's, by model, to the token."""
    for model, told in stats["models"].items():
        own = [row for row in rows if row["requested_model"] == model]
        thoughts = total(own, "reasoning_output_tokens")
        assert len(own) == told["api"]["totalRequests"]
        assert told["tokens"] == {
            "input": total(own, "uncached_input_tokens"),
            "prompt": total(own, "input_tokens"),
            "candidates": total(own, "output_tokens") - thoughts,
            "total": total(own, "input_tokens") + total(own, "output_tokens"),
            "cached": total(own, "cache_read_input_tokens"),
            "thoughts": thoughts,
            "tool": 0,
        }
    assert {row["requested_model"] for row in rows} == set(stats["models"])
    reported.same(
        rows, provider="google", operation="generate_content", success=True, completeness="final"
    )


@MODE
def test_a_turn_with_a_tool_and_a_router(bench: Bench, mode: str) -> None:
    """A small model chooses the model that answers: a call of its own."""
    with Simulator("agent") as sim:
        done = reported.run(
            bench, sim, mode, {"generativelanguage.googleapis.com": "google"},
            command(bench), **KEY,
        )  # fmt: skip
    result = json.loads(done.stdout)
    assert result["response"] == "All done."
    rows = bench.rows()
    assert [(row["stream"], row["output_tokens"]) for row in rows] == [
        (False, 42),
        (True, 77),
        (True, 42),
    ]
    equals_stats(rows, result["stats"])


def test_thoughts_are_output_beside_the_candidates(bench: Bench) -> None:
    with Simulator(calls_only(thoughtful)) as sim:
        done = reported.run(
            bench, sim, "forward", {"generativelanguage.googleapis.com": "google"},
            command(bench, "-m", "gemini-2.5-flash"), **KEY,
        )  # fmt: skip
    (row,) = bench.rows()
    assert (row["output_tokens"], row["reasoning_output_tokens"]) == (547, 67)
    equals_stats([row], json.loads(done.stdout)["stats"])


def thoughtful(request: Request) -> Reply:
    """Thinking, then text."""
    blocks = (messages.thinking("A greeting is wanted."), messages.text("Good morning."))
    message = Message(parts=(tokens(request, output=547, thinking=67),), blocks=blocks)
    return answer(request, message)


def test_code_assist(bench: Bench) -> None:
    """A Google login's calls are wrapped, and name the CLI's session."""
    with Simulator("agent") as sim:
        done = reported.run(
            bench, sim, "forward", {"cloudcode-pa.googleapis.com": "code-assist"},
            command(bench, auth="oauth-personal"),
            GOOGLE_GENAI_USE_GCA="true", GOOGLE_CLOUD_ACCESS_TOKEN="ya29.test",
        )  # fmt: skip
    result = json.loads(done.stdout)
    rows = bench.rows()
    assert len(rows) == 3
    equals_stats(rows, result["stats"])
    reported.same(rows, session_id=result["session_id"])
