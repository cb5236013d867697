"""The command that is run to be captured: a client of every API, then one like Claude Code.

It knows nothing of tokenproxy. ``python -m tests.telemetry.conformance.agent OPERATIONS.json``
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

from tests.e2e import every_wire_agent
from tokenproxy.simulator import agent

Json = dict[str, Any]

HOST = "api.anthropic.com"
SESSION = "5f3c1a52-4c8a-4c8e-9f58-0e2f6f0f3c11"
TURN = "turn-2"
TRACEPARENT = "00-11111111111111111111111111111111-2222222222222222-01"
BASH: Json = {"name": "Bash", "description": "Bash", "input_schema": {"type": "object"}}


def headers(**more: str) -> dict[str, str]:
    """As Claude Code sends them."""
    return {
        "content-type": "application/json",
        "user-agent": "claude-cli/2.1.330 (external, cli)",
        "traceparent": TRACEPARENT,
        "x-scenario": "plain",
        "x-claude-code-session-id": SESSION,
        "x-claude-code-prompt-id": TURN,
        "x-claude-code-request-class": "main",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }


def post(body: Json, sent: dict[str, str], *, lines: int | None = None) -> bytes:
    """Send a Messages request; read all of the answer, or so many lines and hang up."""
    client = every_wire_agent.connection(HOST)
    client.request("POST", "/v1/messages", json.dumps(body), sent)
    answer = client.getresponse()
    if lines is None:
        return answer.read()
    head = b"".join(answer.readline() for _ in range(lines))
    every_wire_agent.connections.pop(HOST).close()
    return head


def use_tools(body: Json, sent: dict[str, str]) -> None:
    """The model asks for tools, and is told that they failed."""
    data = post(body, sent | {"x-scenario": "tool-use"})
    ids = dict.fromkeys(re.findall(rb'"(toolu_[^"]+)"', data))
    content = [
        {"type": "tool_use", "id": each.decode(), "name": "Bash", "input": {}} for each in ids
    ]
    results = [
        {"type": "tool_result", "tool_use_id": each.decode(), "content": "no", "is_error": True}
        for each in ids
    ]
    turns = [
        *body["messages"],
        {"role": "assistant", "content": content},
        {"role": "user", "content": results},
    ]
    post(body | {"messages": turns}, sent)


def talk() -> None:
    """A failed tool, a subagent of a subagent, a compaction, and a stream that is left."""
    body: Json = {
        "model": "claude-opus-5-5",
        "max_tokens": 100,
        "stream": True,
        "tools": [BASH],
        "messages": [{"role": "user", "content": "USE_BASH"}],
    }
    use_tools(body, headers())
    below = headers(
        x_scenario="plain",
        x_claude_code_request_class="subagent",
        x_claude_code_agent_id="a2",
        x_claude_code_parent_agent_id="a1",
        x_claude_code_agent_type="Explore",
        x_client_request_id="inner",
    )
    use_tools(body, below)
    compacting = headers(
        x_claude_code_request_class="compaction",
        x_claude_code_compaction="auto",
        x_claude_code_context_compacted="true",
    )
    post(body, compacting)
    post(body, headers(x_scenario="slow"), lines=3)


def main() -> int:
    """Do all of it."""
    every_wire_agent.main()
    talk()
    return agent.main()


if __name__ == "__main__":
    sys.exit(main())
