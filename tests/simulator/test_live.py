"""Google's Live API: what asks for a generation, what ends it, what it bills."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest

from tests.simulator.dialogues import (
    LIVE,
    LIVE_MODEL,
    SILENCE,
    SPEECH,
    VERTEX_LIVE,
    heard,
    setup,
    tells_usage,
    turn,
)
from tests.simulator.sockets import BINARY, CLOSE, Client
from tokenproxy.simulator.server import Simulator

TOOL: dict[str, Any] = {
    "functionDeclarations": [
        {"name": "run_shell_command",
         "parameters": {"type": "OBJECT", "properties": {"command": {"type": "STRING"}}}},
    ]
}  # fmt: skip


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("boundaries", ["", "+random:3"])
@pytest.mark.parametrize("scenario", ["plain", "stream"])
def test_several_turns_on_one_connection(scenario: str, boundaries: str, deflate: bool) -> None:
    with Simulator(scenario + boundaries) as sim, Client(sim, LIVE, deflate=deflate) as client:
        client.send(setup())
        kind, data = client.receive() or (0, b"")
        assert (kind, json.loads(data)) == (BINARY, {"setupComplete": {}})
        for number in range(2):
            client.send(turn(f"hello {number}"))
            said = client.until(tells_usage)
            assert sum("outputTranscription" in m.get("serverContent", {}) for m in said) > 0
            completes = [m.get("serverContent", {}).get("turnComplete") for m in said]
            assert completes[-2:] == ([True, None] if scenario == "stream" else [None, True])
            usage = said[-1]["usageMetadata"]
            output = usage["responseTokenCount"] + usage.get("thoughtsTokenCount", 0)
            assert usage["totalTokenCount"] == usage["promptTokenCount"] + output
            assert usage["promptTokenCount"] == 17_060
            assert usage["cachedContentTokenCount"] == 15_000
            assert output == (547 if scenario == "stream" else 42)
        assert sim.billed() == sim.known()
        assert set(sim.billed_by_provider()) == {("google", LIVE_MODEL)}
        assert len(sim.calls) == 2


def test_vertex_has_another_name_for_the_answers_tokens() -> None:
    model = f"projects/p/locations/l/publishers/google/models/{LIVE_MODEL}"
    text = {"generationConfig": {"responseModalities": ["TEXT"]}}
    with Simulator("plain") as sim, Client(sim, VERTEX_LIVE) as client:
        client.send(setup(model, **text), turn("hello"))
        said = client.until(tells_usage)
        usage = said[-1]["usageMetadata"]
        assert usage["candidatesTokenCount"] == 42
        assert usage["candidatesTokensDetails"] == [{"modality": "TEXT", "tokenCount": 42}]
        assert "text" in said[1]["serverContent"]["modelTurn"]["parts"][0]
        assert set(sim.billed_by_provider()) == {("gcp.vertex_ai", LIVE_MODEL)}


BY_HAND = {"realtimeInputConfig": {"automaticActivityDetection": {"disabled": True}}}
END: dict[str, Any] = {"realtimeInput": {"activityEnd": {}}}
STREAM_END: dict[str, Any] = {"realtimeInput": {"audioStreamEnd": True}}


@pytest.mark.parametrize(
    ("settings", "messages", "answers"),
    [
        ({}, [heard(SILENCE), heard(SPEECH), heard(SPEECH), heard(SILENCE)], 1),
        ({}, [heard(SPEECH), STREAM_END], 1),
        ({}, [heard(SILENCE), STREAM_END], 0),
        ({}, [{"realtimeInput": {"text": "hello"}}], 1),
        (BY_HAND, [heard(SPEECH), heard(SILENCE)], 0),
        (BY_HAND, [heard(SPEECH), heard(SILENCE), END], 1),
        ({}, [{"clientContent": {"turns": [], "turnComplete": False}}], 0),
        ({}, [{"astonishment": {}}], 0),
    ],
)
def test_what_asks(settings: Any, messages: list[Any], answers: int) -> None:
    with Simulator("plain") as sim, Client(sim, LIVE) as client:
        client.send(setup(**settings), *messages, turn("and one more"))
        client.until(tells_usage, count=answers + 1)
        assert len(sim.calls) == answers + 1


def test_the_scripted_model_calls_the_clients_tool_once() -> None:
    with Simulator("agent") as sim, Client(sim, LIVE) as client:
        client.send(setup(tools=[TOOL]), turn("USE_BASH[ls -l] please"))
        called = client.until(tells_usage)[-1]
        (call,) = called["toolCall"]["functionCalls"]
        assert (call["name"], call["args"]) == ("run_shell_command", {"command": "ls -l"})
        result = {"id": call["id"], "name": call["name"], "response": {"output": "x"}}
        client.send({"toolResponse": {"functionResponses": [result]}})
        said = client.until(tells_usage)
        words = [m["serverContent"].get("outputTranscription", {}).get("text", "") for m in said]
        assert "".join(words) == "All done."


def closed(client: Client) -> tuple[int, str]:
    while True:
        received = client.receive()
        assert received is not None
        if received[0] == CLOSE:
            return struct.unpack(">H", received[1][:2])[0], received[1][2:].decode()


@pytest.mark.parametrize(
    ("scenario", "reason"),
    [
        ("rate-limited", "generic::resource_exhausted: RESOURCE_EXHAUSTED: "),
        ("server-error", "generic::internal: INTERNAL: "),
        ("error-mid-stream", "generic::unavailable: UNAVAILABLE: "),
    ],
)
def test_an_error_is_the_end_of_the_connection(scenario: str, reason: str) -> None:
    with Simulator(scenario) as sim, Client(sim, LIVE) as client:
        client.send(setup(), turn("hello"))
        code, why = closed(client)
        assert code == 1011
        assert reason in why
        client.frame(CLOSE, b"\x03\xf3")
        sim.settle()
        assert [call.ended for call in sim.exchanges] == ["complete", "complete"]
        assert sim.billed() == sim.known() == {}


def test_what_comes_first_must_be_the_setup() -> None:
    with Simulator("plain") as sim, Client(sim, LIVE) as client:
        client.send(turn("hello"))
        assert closed(client) == (1007, "setup must be the first message")
        assert sim.calls == []


def test_a_refused_upgrade_is_in_googles_words() -> None:
    with Simulator("unauthorized") as sim, Client(sim, LIVE) as client:
        assert client.status == 401
        assert client.body()["error"]["status"] == "UNAUTHENTICATED"


@pytest.mark.parametrize("scenario", ["cut-fin", "cut-reset"])
def test_a_cut_connection_is_billed_in_full(scenario: str) -> None:
    with Simulator(scenario) as sim, Client(sim, LIVE) as client:
        client.send(setup(), turn("hello"))
        try:
            while client.receive() is not None:
                pass
        except ConnectionResetError:
            assert scenario == "cut-reset"
        sim.settle()
        (call,) = sim.calls
        assert (call.ended, call.known) == ("cut", None)
        assert call.billed[0].output == 547
