"""A stream without usage is said aloud, and ``--inject-include-usage`` mends it on request."""

from __future__ import annotations

import json

import pytest

from tests.e2e.bench import Bench
from tokenproxy.simulator.server import Simulator

BODY = {
    "model": "gpt-6-sol",
    "stream": True,
    "messages": [{"role": "user", "content": "Say hello."}],
}
SHELL = (
    "curl -sS -N -H 'content-type: application/json'"
    f" -d '{json.dumps(BODY)}' $OPENAI_BASE_URL/chat/completions"
)


@pytest.mark.parametrize("asked", [None, "flag", "variable"])
def test_it_is_said_and_can_be_asked_for(bench: Bench, asked: str | None) -> None:
    flags = ["--inject-include-usage"] if asked == "flag" else []
    more = {"TOKENPROXY_INJECT_INCLUDE_USAGE": "1"} if asked == "variable" else {}
    with Simulator("plain") as sim:
        run = bench.tokenproxy(
            "run", "--mode", "reverse", *flags, "--", "sh", "-c", SHELL,
            env={"OPENAI_BASE_URL": f"{sim.url}/v1", **more},
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        sent = sim.requests[0].json
    assert b'"choices":[]' not in run.stdout
    assert run.stdout.endswith(b"data: [DONE]\n\n")
    (row,) = bench.rows()
    assert row["success"] is True
    if asked is None:
        assert sent == BODY
        assert (row["completeness"], row["notes"]) == ("none", ["include_usage_absent"])
        assert "input_tokens" not in row
        assert b"1 stream told no usage" in run.stderr
    else:
        assert sent == {**BODY, "stream_options": {"include_usage": True}}
        assert (row["completeness"], row["input_tokens"]) == ("final", 17_060)
        assert b"told no usage" not in run.stderr
