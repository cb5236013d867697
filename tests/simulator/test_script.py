from __future__ import annotations

import json
from typing import Any

import pytest

from tokenproxy.simulator import script
from tokenproxy.simulator.messages import Message, Tokens
from tokenproxy.simulator.reply import Request

PROPERTIES: dict[str, Any] = {"description": {}, "prompt": {}, "subagent_type": {}}
AGENT = {"name": "Agent", "input_schema": {"properties": PROPERTIES}}
BASH = {"name": "Bash"}
REMINDER = {"type": "text", "text": "<system-reminder>\nUSE_BASH is not asked for here"}


def answer(*turns: tuple[str, Any], tools: tuple[dict[str, Any], ...] = (AGENT, BASH)) -> Message:
    messages = [{"role": role, "content": content} for role, content in turns]
    body = json.dumps({"model": "m", "messages": messages, "tools": tools}).encode()
    return script.answer(
        Request(number=1, method="POST", path="/", headers=(), body=body, arrived_ns=0)
    )


def test_subagent_then_shell_then_text_is_the_golden_sum() -> None:
    main = answer(("user", [REMINDER, {"type": "text", "text": "USE_SUBAGENT please"}]))
    call = main.blocks[0]
    assert (call["name"], main.stop_reason) == ("Agent", "tool_use")
    sub = answer(("user", call["input"]["prompt"]))
    assert (sub.blocks[0]["name"], sub.blocks[0]["input"]["command"]) == ("Bash", "echo hi")
    result = [{"type": "tool_result", "tool_use_id": call["id"], "content": "hi"}]
    # Claude Code puts a system turn after the tool's result.
    last = [
        answer(("user", "USE_SUBAGENT"), ("assistant", "x"), ("user", result), ("system", "y"))
        for _ in range(2)
    ]
    told = answer(("user", "USE_SUBAGENT"), ("user", "<task-notification>USE_SUBAGENT done"))
    parts = [message.parts[0] for message in (main, sub, *last, told)]
    total = parts[0]
    for part in parts[1:]:
        total = total.plus(part)
    assert total == Tokens(
        model="m",
        input=60,
        cache_read=75_000,
        cache_write_5m=10_000,
        cache_write_1h=240,
        output=258,
    )


@pytest.mark.parametrize(
    ("prompt", "tools", "name"),
    [
        ("USE_BASH", (AGENT, BASH), "Bash"),
        ("USE_SUBAGENT", ({"name": "Task"},), "Task"),
        ("USE_SUBAGENT", (BASH,), None),
        ("USE_BASH", (AGENT,), None),
        ("hello", (AGENT, BASH), None),
    ],
)
def test_only_offered_tools_are_called(
    prompt: str, tools: tuple[dict[str, Any], ...], name: str | None
) -> None:
    block = answer(("user", prompt), tools=tools).blocks[0]
    assert block.get("name") == name


def test_the_command_can_be_named() -> None:
    block = answer(("user", "USE_SUBAGENT[sleep 1]")).blocks[0]
    assert block["input"]["prompt"] == "USE_BASH[sleep 1]"
    block = answer(("user", block["input"]["prompt"])).blocks[0]
    assert block["input"]["command"] == "sleep 1"


def test_input_keeps_to_the_offered_schema() -> None:
    tool = {"name": "Agent", "input_schema": {"properties": {"prompt": {}}}}
    block = answer(("user", "USE_SUBAGENT"), tools=(tool,)).blocks[0]
    assert set(block["input"]) == {"prompt"}


def test_without_tools_a_few_words() -> None:
    block = answer(("user", "USE_BASH"), tools=()).blocks[0]
    assert block == {"type": "text", "text": "Simulated session"}
