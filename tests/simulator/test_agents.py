"""What the scripted model says to Codex, Gemini CLI and their like."""

from __future__ import annotations

import json
from typing import Any

import pytest
import zstandard

from tests.simulator.wire import connect
from tokenproxy.simulator import agents
from tokenproxy.simulator.reply import Request
from tokenproxy.simulator.server import Simulator
from tokenproxy.simulator.wires import Tool, Turn, wire_of

Json = dict[str, Any]


def schema(kind: str, name: str = "command", *required: str) -> Json:
    properties = {key: {"type": "string"} for key in required} | {name: {"type": kind}}
    return {"type": "object", "properties": properties, "required": [name, *required]}


def request(path: str, body: Json) -> Request:
    return Request(
        number=1,
        method="POST",
        path=path,
        headers=(),
        body=json.dumps(body).encode(),
        arrived_ns=0,
    )


def turn(path: str, body: Json) -> Turn:
    asked = request(path, body)
    return wire_of(asked).turn(asked)


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        (Tool(name="shell", schema=schema("array")), {"command": ["bash", "-lc", "ls"]}),
        (Tool(name="shell_command", schema=schema("string")), {"command": "ls"}),
        (Tool(name="exec_command", schema=schema("string", "cmd")), {"cmd": "ls"}),
        (Tool(name="local_shell", kind="local_shell"), {"command": ["bash", "-lc", "ls"]}),
        (
            Tool(name="run_shell_command", schema=schema("STRING", "command", "description")),
            {"command": "ls", "description": "Say hi"},
        ),
        (
            Tool(name="bash", schema=schema("string", "command", "mood")),
            {"command": "ls", "mood": "simulated"},
        ),
        (Tool(name="bash"), {"command": "ls"}),
    ],
)
def test_each_shell_is_called_as_its_schema_wants(tool: Tool, arguments: Json) -> None:
    message = agents.answer(Turn(prompt="USE_BASH[ls]", tools=(tool,)), "m")
    (block,) = message.blocks
    assert (block["name"], block["input"]) == (tool.name, arguments)
    assert message.stop_reason == "tool_use"
    assert message.parts[0].output == 77


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (Turn(prompt="hi"), "Hello from the simulated model."),
        (Turn(prompt="USE_BASH"), "Hello from the simulated model."),
        (Turn(prompt="USE_BASH", tools=(Tool(name="read"),)), "No tool for BASH."),
        (Turn(prompt="USE_SUBAGENT", tools=(Tool(name="bash"),)), "No tool for SUBAGENT."),
        (Turn(prompt="USE_BASH", tools=(Tool(name="bash"),), answered=True), "All done."),
        (Turn(prompt="USE_BASH", schema={"type": "object", "properties": {}}), "{}"),
    ],
)
def test_what_ends_in_text(asked: Turn, text: str) -> None:
    (block,) = agents.answer(asked, "m").blocks
    assert block == {"type": "text", "text": text}


def test_codex_turn() -> None:
    user = {"type": "message", "role": "user"}
    said = [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "x"}]},
        user | {"content": [{"type": "input_text", "text": "<environment_context>"}]},
        user | {"content": [{"type": "input_text", "text": "USE_BASH"}]},
    ]
    tools = [
        {"type": "function", "name": "shell", "parameters": schema("array")},
        {"type": "local_shell"},
        {"type": "namespace", "name": "mcp", "tools": [{"type": "function", "name": "read"}]},
        {"type": "web_search"},
    ]
    found = turn("/v1/responses", {"input": said, "tools": tools})
    assert (found.prompt, found.answered, found.schema) == ("USE_BASH", False, None)
    assert [(t.name, t.kind, t.namespace) for t in found.tools] == [
        ("shell", "function", ""),
        ("local_shell", "local_shell", ""),
        ("read", "function", "mcp"),
        ("web_search", "web_search", ""),
    ]
    result = {"type": "function_call_output", "call_id": "c", "output": "hi"}
    assert turn("/v1/responses", {"input": [*said, result]}).answered
    form = {"format": {"type": "json_schema", "name": "n", "schema": {"type": "string"}}}
    assert turn("/v1/responses", {"input": "x", "text": form}).schema == {"type": "string"}


def test_gemini_turn() -> None:
    tools = [{"functionDeclarations": [{"name": "run_shell_command", "parameters": {"a": 1}}]}]
    user = {"role": "user", "parts": [{"text": "context"}, {"text": "USE_BASH"}]}
    called = {"role": "model", "parts": [{"functionCall": {"name": "run_shell_command"}}]}
    result = {"role": "user", "parts": [{"functionResponse": {"name": "run_shell_command"}}]}
    path = "/v1beta/models/gemini-3-flash:generateContent"
    first = turn(path, {"contents": [user], "tools": tools})
    assert (first.prompt, first.answered) == ("USE_BASH", False)
    assert first.tools == (Tool(name="run_shell_command", schema={"a": 1}),)
    body = {"contents": [user, called, result], "tools": tools}
    assert turn(path, body).answered
    wrapped = {"model": "gemini-3-flash", "request": body}
    assert turn("/v1internal:generateContent", wrapped).answered
    config = {"responseJsonSchema": {"type": "object"}}
    assert turn(path, {"contents": [user], "generationConfig": config}).schema == {"type": "object"}


def test_other_turns() -> None:
    say = {"role": "user", "content": "USE_BASH"}
    function = {"type": "function", "function": {"name": "bash", "parameters": {"a": 1}}}
    body: Json = {"messages": [say], "tools": [function]}
    for path in ("/v1/chat/completions", "/api/chat", "/v2/chat"):
        assert turn(path, body) == Turn(
            prompt="USE_BASH", tools=(Tool(name="bash", schema={"a": 1}),)
        )
        result = {"role": "tool", "content": "hi"}
        assert turn(path, body | {"messages": [say, result]}).answered
    spec = {"toolSpec": {"name": "bash", "inputSchema": {"json": {"a": 1}}}}
    parts = [{"text": "USE_BASH"}]
    converse = {"messages": [{"role": "user", "content": parts}], "toolConfig": {"tools": [spec]}}
    assert turn("/model/x/converse", converse).tools == (Tool(name="bash", schema={"a": 1}),)
    results: Json = {"messages": [{"role": "user", "content": [{"toolResult": {}}]}]}
    assert turn("/model/x/converse", results).answered


def test_a_shell_call_is_an_item_of_its_kind() -> None:
    kinds = {
        "local_shell": {"type": "local_shell"},
        "function": {"type": "function", "name": "shell", "parameters": schema("array")},
        "custom": {"type": "custom", "name": "exec_command"},
    }
    found = {}
    with Simulator("agent") as sim:
        for kind, tool in kinds.items():
            connection = connect(sim)
            body = {"model": "gpt-6-sol", "input": "USE_BASH[ls]", "tools": [tool]}
            # Codex compresses what it sends.
            data = zstandard.compress(json.dumps(body).encode())
            connection.request("POST", "/v1/responses", data, {"Content-Encoding": "zstd"})
            (found[kind],) = json.loads(connection.getresponse().read())["output"]
            connection.close()
        assert found["local_shell"]["type"] == "local_shell_call"
        assert found["local_shell"]["action"]["command"] == ["bash", "-lc", "ls"]
        assert found["function"]["arguments"] == '{"command":["bash","-lc","ls"]}'
        assert (found["custom"]["type"], found["custom"]["input"]) == ("custom_tool_call", "ls")
        assert {call.request.model for call in sim.calls} == {"gpt-6-sol"}


@pytest.mark.parametrize(
    "verb", ["loadCodeAssist", "onboardUser", "listExperiments", "retrieveUserQuota"]
)
def test_code_assist_lets_gemini_cli_in(verb: str) -> None:
    with Simulator("agent") as sim:
        connection = connect(sim)
        connection.request("POST", f"/v1internal:{verb}", "{}")
        response = connection.getresponse()
        assert response.status == 200
        assert isinstance(json.loads(response.read()), dict)
        connection.close()
        assert sim.calls == []
