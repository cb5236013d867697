"""The model that a real agent client talks to: decides its answer from the request.

The last prompt's words decide. ``USE_SUBAGENT`` calls the client's subagent
tool, ``USE_BASH`` its shell (``USE_BASH[sleep 1]`` names the command); both are
called once, then text ends the turn. The subagent is told ``USE_BASH``, so one
prompt gives the whole tree: agent, subagent, tool. A request that offers no
tools (a title, a summary) gets a few words.

Every answer is billed as ``GOLDEN`` says, so that the sums of a run can be
told in advance.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from tokenproxy.simulator import messages
from tokenproxy.simulator.messages import Json, Message, Tokens
from tokenproxy.simulator.reply import Request

GOLDEN = Tokens(
    model="",
    input=12,
    cache_read=15_000,
    cache_write_5m=2_000,
    cache_write_1h=48,
)
"""Input of every scripted answer; model and output are each answer's own."""

OUTPUT_OF_SUBAGENT_CALL = 55
OUTPUT_OF_BASH_CALL = 77
OUTPUT_OF_TEXT = 42

MARKER = re.compile(r"USE_(SUBAGENT|BASH)(?:\[([^\]]*)\])?")
SUBAGENT_TOOLS = ("Agent", "Task")
"""Names that Claude Code has given its subagent tool, newest first."""
NOT_A_PROMPT = ("<system-reminder>", "<task-notification>")
"""Texts that a client puts into the user's mouth."""


def answer(request: Request) -> Message:
    """The scripted model's answer."""
    body = request.json
    offered = {str(tool.get("name")): tool for tool in _objects(body.get("tools"))}
    content = _last_user_content(body)
    if not offered:
        return _message(request, messages.text(_aside(body)), OUTPUT_OF_TEXT)
    if any(block.get("type") == "tool_result" for block in content):
        return _message(request, messages.text("All done."), OUTPUT_OF_TEXT)
    marker = MARKER.search(_prompt(content))
    if marker is None:
        return _message(request, messages.text("Hello from the simulated model."), OUTPUT_OF_TEXT)
    wish, argument = marker.group(1), marker.group(2)
    if wish == "BASH" and "Bash" in offered:
        command = argument or "echo hi"
        block = messages.tool_use("Bash", {"command": command, "description": "Say hi"})
        return _message(request, block, OUTPUT_OF_BASH_CALL)
    name = next((name for name in SUBAGENT_TOOLS if name in offered), None)
    if wish == "SUBAGENT" and name is not None:
        block = messages.tool_use(name, _subagent_input(offered[name], argument))
        return _message(request, block, OUTPUT_OF_SUBAGENT_CALL)
    return _message(request, messages.text(f"No tool for {wish}."), OUTPUT_OF_TEXT)


def _message(request: Request, block: Json, output: int) -> Message:
    tokens = msgspec.structs.replace(GOLDEN, model=request.model, output=output)
    asks = block["type"] == "tool_use"
    return Message(parts=(tokens,), blocks=(block,), stop_reason="tool_use" if asks else "end_turn")


def _subagent_input(tool: Json, command: str | None) -> Json:
    wanted: Json = {
        "description": "Say hi",
        "prompt": f"USE_BASH[{command or 'echo hi'}]",
        "subagent_type": "general-purpose",
    }
    schema = tool.get("input_schema")
    known = schema.get("properties", {}) if isinstance(schema, dict) else {}
    return {key: value for key, value in wanted.items() if key in known} if known else wanted


def _aside(body: Json) -> str:
    # A client that wants JSON states its schema; a title is what it asks for.
    return '{"title": "Simulated session"}' if "output_config" in body else "Simulated session"


def _last_user_content(body: Json) -> list[Json]:
    turns = [turn for turn in _objects(body.get("messages")) if turn.get("role") == "user"]
    if not turns:
        return []
    content = turns[-1].get("content")
    if isinstance(content, str):
        return [messages.text(content)]
    return list(_objects(content))


def _prompt(content: list[Json]) -> str:
    texts = [str(block.get("text")) for block in content if block.get("type") == "text"]
    return "\n".join(text for text in texts if not text.lstrip().startswith(NOT_A_PROMPT))


def _objects(value: Any) -> Iterator[Json]:
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, dict))
