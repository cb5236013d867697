from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.simulator.sockets import CLOSE, PING, PONG, Client
from tests.simulator.wire import connect
from tokenproxy.simulator.server import Simulator

SHELL = {
    "type": "function",
    "name": "shell_command",
    "parameters": {"type": "object", "properties": {"command": {"type": "string"}}},
}


def create(text: str = "hello", **more: Any) -> dict[str, Any]:
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    return {"type": "response.create", "model": "gpt-6-sol", "input": [item], **more}


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("boundaries", ["", "+random:3", "+bytes"])
def test_several_responses_on_one_connection(deflate: bool, boundaries: str) -> None:
    with Simulator("plain" + boundaries) as sim, Client(sim, deflate=deflate) as client:
        client.send(create())
        first = client.events()
        client.send({"type": "response.processed"}, create(model="gpt-6-luna"))
        second = client.events()
        assert (client.status, client.deflated) == (101, deflate)
        assert (client.compressed_frames > 0) is deflate
        assert (client.frames > len(first) + len(second)) is bool(boundaries)
        assert [e["sequence_number"] for e in first if "sequence_number" in e] == list(
            range(len(first) - 1)
        )
        assert [event["type"] for event in first][:2] == [
            "response.created",
            "response.in_progress",
        ]
        assert first[-2]["type"] == "codex.rate_limits"
        for events, model in ((first, "gpt-6-sol"), (second, "gpt-6-luna")):
            usage = events[-1]["response"]["usage"]
            assert usage["total_tokens"] == 17_102
            assert events[-1]["response"]["model"] == model
        assert [call.ended for call in sim.calls] == ["complete", "complete"]
        assert sim.billed() == sim.known()
        assert set(sim.billed()) == {"gpt-6-sol", "gpt-6-luna"}


def test_lanes_are_interleaved_and_each_is_in_order() -> None:
    with Simulator("stream") as sim, Client(sim, deflate=True) as client:
        client.send(create(stream_id="a"), create(stream_id="b"), create(stream_id="a"))
        events = client.events(until=3)
        lanes = [event["stream_id"] for event in events if "sequence_number" in event]
        assert len(list(itertools.groupby(lanes))) > 4
        numbers = [e["sequence_number"] for e in events if e.get("stream_id") == "a"
                   and "sequence_number" in e]  # fmt: skip
        half = len(numbers) // 2
        assert numbers == [*range(half), *range(half)]
        assert len(sim.calls) == 3


def test_prefill_only_bills_no_output() -> None:
    with Simulator("plain") as sim, Client(sim) as client:
        client.send(create(generate=False))
        usage = client.events()[-1]["response"]["usage"]
        assert usage["output_tokens"] == 0
        assert sim.billed()["gpt-6-sol"].output == 0


def test_the_scripted_model_needs_only_the_new_items() -> None:
    with Simulator("agent") as sim, Client(sim) as client:
        client.send(create("USE_BASH[ls -l] please", tools=[SHELL]))
        done = client.events()[-1]["response"]
        (call,) = done["output"]
        assert (call["name"], call["arguments"]) == ("shell_command", '{"command":"ls -l"}')
        result = {"type": "function_call_output", "call_id": call["call_id"], "output": "x"}
        more = create(tools=[SHELL], previous_response_id=done["id"]) | {"input": [result]}
        client.send(more)
        (said,) = client.events()[-1]["response"]["output"]
        assert said["content"][0]["text"] == "All done."


@pytest.mark.parametrize(
    ("scenario", "status", "code"),
    [("websocket-refused", 426, None), ("unauthorized", 401, "invalid_api_key")],
)
def test_a_refused_upgrade(scenario: str, status: int, code: str | None) -> None:
    with Simulator(scenario) as sim, Client(sim, deflate=True) as client:
        assert client.status == status
        assert client.body()["error"]["code"] == code
        assert sim.billed() == {}


def test_an_error_is_a_message_with_its_status_and_headers() -> None:
    with Simulator("rate-limited-once") as sim, Client(sim) as client:
        client.send(create(stream_id="x"))
        (error,) = client.events()
        assert (error["status"], error["stream_id"]) == (429, "x")
        assert error["error"]["code"] == "rate_limit_exceeded"
        assert error["headers"] == {"retry-after": "1"}
        client.send(create())
        assert client.events()[-1]["type"] == "response.completed"
        assert len(sim.billed()) == 1


def test_an_error_after_some_content() -> None:
    with Simulator("error-mid-stream") as sim, Client(sim) as client:
        client.send(create())
        events = client.events()
        assert len(events) == 6
        assert events[-1]["status"] == 503
        assert sim.known() == {}


@pytest.mark.parametrize("scenario", ["cut-fin", "cut-reset"])
def test_a_cut_leaves_the_last_message_unfinished(scenario: str) -> None:
    with Simulator(scenario) as sim, Client(sim) as client:
        client.send(create())
        events = []
        try:
            events = client.events()
        except ConnectionResetError:
            assert scenario == "cut-reset"
        else:
            assert len(events) == 5
        sim.settle()
        (call,) = sim.calls
        assert call.ended == "cut"
        assert call.billed
        assert call.known is None


def test_a_client_that_leaves_in_the_middle() -> None:
    with Simulator("stall") as sim:
        with Client(sim) as client:
            client.send(create())
            client.receive()
        sim.settle()
        assert [e.ended for e in sim.exchanges] == ["client_left", "client_left"]


def test_ping_and_close_are_answered() -> None:
    with Simulator("plain") as sim, Client(sim) as client:
        client.frame(PING, b"hi")
        assert client.receive() == (PONG, b"hi")
        client.frame(CLOSE, b"\x03\xe8")
        assert client.receive() == (CLOSE, b"\x03\xe8")
        sim.settle()
        assert [e.ended for e in sim.exchanges] == ["complete"]


def test_without_upgrade_there_is_nothing_to_get() -> None:
    with Simulator("plain") as sim:
        connection = connect(sim)
        connection.request("GET", "/v1/responses")
        assert connection.getresponse().status == 426
        connection.close()
