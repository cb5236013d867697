"""Google's interactions: kept, looked at later, had again; one bill whatever is fetched."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.simulator.providers import sse_objects
from tests.simulator.test_elsewhere import get
from tests.simulator.test_wires import post
from tests.simulator.wire import connect
from tokenproxy.simulator.server import Simulator

PATH = "/v1beta/interactions"
ASK: dict[str, Any] = {"model": "gemini-3-flash", "input": "hello"}
COMMAND = {"type": "object", "properties": {"command": {"type": "string"}}}
TOOL = {"type": "function", "name": "bash", "parameters": COMMAND}


def fetched(sim: Simulator, path: str) -> tuple[int, bytes]:
    connection = connect(sim)
    try:
        return get(connection, "GET", path)
    finally:
        connection.close()


def test_what_is_fetched_again_bills_nothing_more() -> None:
    with Simulator("stream") as sim:
        _, body = post(sim, PATH, ASK)
        made = json.loads(body)
        billed = sim.billed()
        for _ in range(2):
            status, again = fetched(sim, f"{PATH}/{made['id']}")
            assert (status, json.loads(again)) == (200, made)
        assert sim.billed() == sim.known() == billed


def test_a_stream_can_be_taken_up_after_an_event() -> None:
    with Simulator("plain") as sim:
        _, body = post(sim, PATH, ASK | {"stream": True})
        events = sse_objects(body)
        assert [event["event_type"] for event in events] == [
            "interaction.created",
            "interaction.status_update",
            "step.start",
            "step.delta",
            "step.stop",
            "interaction.completed",
        ]
        assert body.endswith(b"event: done\ndata: [DONE]\n\n")
        path = f"{PATH}/{events[0]['interaction']['id']}?stream=true"
        assert sse_objects(fetched(sim, path)[1]) == events
        assert sse_objects(fetched(sim, f"{path}&last_event_id=ev_3")[1]) == events[4:]
        assert sim.billed() == sim.known()
        assert sim.billed()["gemini-3-flash"].output == 42


def test_an_answer_in_the_background_has_no_usage_until_it_is_done() -> None:
    with Simulator("plain") as sim:
        pending = json.loads(post(sim, PATH, ASK | {"background": True})[1])
        path = f"{PATH}/{pending['id']}"
        looks = [json.loads(fetched(sim, path)[1]) for _ in range(2)]
        assert [(one["status"], "usage" in one) for one in (pending, *looks)] == [
            ("in_progress", False), ("in_progress", False), ("completed", True),
        ]  # fmt: skip
        assert sim.billed() == sim.known()


def test_usage_so_far_stands_at_the_end_of_each_step() -> None:
    with Simulator("stream") as sim:
        events = sse_objects(post(sim, PATH, ASK | {"stream": True})[1])
        stops = [event["usage"] for event in events if event["event_type"] == "step.stop"]
        outputs = [u["total_output_tokens"] + u["total_thought_tokens"] for u in stops]
        assert outputs == [301, 301]
        usage = events[-1]["interaction"]["usage"]
        assert usage["total_output_tokens"] + usage["total_thought_tokens"] == 547


def test_an_unknown_one_is_not_found() -> None:
    with Simulator("plain") as sim:
        status, body = fetched(sim, f"{PATH}/v1_nobodys")
        assert (status, json.loads(body)["error"]["status"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("path", [PATH, "/mistral/v1/conversations"])
def test_the_scripted_model_calls_the_clients_shell_once(path: str) -> None:
    ours = path == PATH
    text, asked = ("text", "input") if ours else ("content", "inputs")
    said: dict[str, Any] = {"role": "user", "content": "USE_BASH[ls -l] please"}
    if ours:
        said = {"type": "user_input", "content": [{"type": "text", "text": "USE_BASH[ls -l]"}]}
    tools = [TOOL] if ours else [{"type": "function", "function": TOOL}]
    kind = "function_result" if ours else "function.result"
    body: dict[str, Any] = {"model": "m", "tools": tools, asked: [said]}
    with Simulator("agent") as sim:
        first = json.loads(post(sim, path, body)[1])
        (call,) = first["steps" if ours else "outputs"]
        arguments = call["arguments"] if ours else json.loads(call["arguments"])
        assert (call["name"], arguments) == ("bash", {"command": "ls -l"})
        body[asked].append({"type": kind, "result": "x"})
        (end,) = json.loads(post(sim, path, body)[1])["steps" if ours else "outputs"]
        said_last = end["content"][0][text] if ours else end["content"]
        assert said_last == "All done."
