"""The model that real agent clients of other wires than Anthropic's talk to.

It reads a request as its wire reads it (a ``Turn``) and decides as ``script``
does: ``USE_BASH`` (``USE_BASH[sleep 1]``) in the last prompt calls the client's
shell once, its result gets ``All done.``, anything else a greeting. A request
that wants JSON gets an instance of its schema: that is how clients route,
name and summarise.

To teach it another client's shell, add the tool's name to ``SHELLS``; the
arguments follow from the schema that the client sends with it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tokenproxy.simulator import messages, script
from tokenproxy.simulator.instances import instance
from tokenproxy.simulator.messages import Json, Message
from tokenproxy.simulator.wires import Tool, Turn

SHELLS = (
    "exec_command",  # Codex, newest
    "shell_command",  # Codex
    "shell",  # Codex
    "local_shell",  # Codex with a model that has it built in
    "container.exec",
    "run_shell_command",  # Gemini CLI
    "bash",  # opencode, pi, Copilot
    "Bash",
    "run_terminal_cmd",
    "run_command",
    "execute_command",
    "terminal",
)
"""Names that clients give their shell, best first."""
COMMAND_KEYS = ("cmd", "command", "script")
"""Names of the argument that holds the command."""
EXTRA = {
    "description": "Say hi",
    "justification": "A test.",
    "timeout_ms": 10_000,
    "timeout": 10_000,
    "workdir": ".",
    "is_background": False,
}
"""Values of other arguments, sent where the schema requires them."""


def answer(turn: Turn, model: str) -> Message:
    """The scripted model's answer to ``turn``."""
    if turn.schema is not None:
        text = msgspec.json.encode(instance(turn.schema)).decode()
        return _message(model, messages.text(text), script.OUTPUT_OF_TEXT)
    if turn.answered:
        return _message(model, messages.text("All done."), script.OUTPUT_OF_TEXT)
    marker = script.MARKER.search(turn.prompt)
    if marker is None or not turn.tools:
        return _message(
            model, messages.text("Hello from the simulated model."), script.OUTPUT_OF_TEXT
        )
    offered = {tool.name: tool for tool in turn.tools}
    name = next((name for name in SHELLS if name in offered), None)
    if marker.group(1) != "BASH" or name is None:
        return _message(
            model, messages.text(f"No tool for {marker.group(1)}."), script.OUTPUT_OF_TEXT
        )
    return _message(model, call(offered[name], marker.group(2)), script.OUTPUT_OF_BASH_CALL)


def call(tool: Tool, command: str | None) -> Json:
    """A call of the shell ``tool`` as its schema wants it."""
    block = messages.tool_use(tool.name, arguments(tool, command or "echo hi"))
    return block | {"kind": tool.kind, "namespace": tool.namespace}


def arguments(tool: Tool, command: str) -> Json:
    """The arguments that make the shell ``tool`` run ``command``."""
    argv = ["bash", "-lc", command]
    if tool.kind == "local_shell":
        return {"command": argv}
    known = tool.schema.get("properties")
    properties: Json = known if isinstance(known, dict) else {}
    key = next((key for key in COMMAND_KEYS if key in properties), "command")
    as_list = _type_of(properties.get(key)) == "array"
    required = tool.schema.get("required")
    wanted = set(required) - {key} if isinstance(required, list) else set()
    rest = {
        name: EXTRA[name] if name in EXTRA else instance(properties.get(name, {}))
        for name in sorted(wanted)
    }
    return {key: argv if as_list else command} | rest


def _type_of(schema: Any) -> str:
    # Google writes its types in capitals.
    return str(schema.get("type", "")).lower() if isinstance(schema, dict) else ""


def _message(model: str, block: Json, output: int) -> Message:
    tokens = msgspec.structs.replace(script.GOLDEN, model=model, output=output)
    asks = block["type"] == "tool_use"
    return Message(parts=(tokens,), blocks=(block,), stop_reason="tool_use" if asks else "end_turn")
