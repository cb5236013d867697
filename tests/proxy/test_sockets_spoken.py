"""The spoken APIs through the proxy: Realtime and Live, each answer a call, counted as billed."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from tests.proxy.harness import Proxy
from tests.simulator.dialogues import (
    CREATE,
    LIVE,
    LIVE_MODEL,
    SHELL,
    SILENCE,
    SPEECH,
    TRANSCRIBED,
    append,
    heard,
    is_done,
    is_over,
    say,
    setup,
    tells_usage,
    turn,
)
from tests.simulator.sockets import CLOSE, Client
from tokenproxy.record.call import CallEnd, CallStart
from tokenproxy.simulator.server import Simulator

pytestmark = pytest.mark.usefixtures("both_ways")

MODEL = "gpt-realtime-2"
REALTIME = f"/openai/v1/realtime?model={MODEL}"
GEMINI = "/google" + LIVE
UPSTREAMS = {"openai": "/v1", "google": "", "azure": ""}

Json = dict[str, Any]
Counts = dict[str, tuple[int, int, int]]
"""By model: uncached input, cache reads, output."""


def proxy_of(sim: Simulator) -> Proxy:
    return Proxy(upstreams={name: sim.url + path for name, path in UPSTREAMS.items()})


def counted(ended: Sequence[tuple[CallStart, CallEnd]]) -> Counts:
    sums: dict[str, Counter[str]] = {}
    for _, end in ended:
        for part in end.reading.parts:
            found = sums.setdefault(part.model or end.reading.model or "", Counter())
            found["input"] += part.uncached_input_tokens or 0
            found["read"] += part.cache_read_input_tokens or 0
            found["output"] += part.output_tokens or 0
    return {model: (one["input"], one["read"], one["output"]) for model, one in sums.items()}


def billed(sim: Simulator) -> Counts:
    return {
        model: (tokens.input, tokens.cache_read, tokens.output)
        for model, tokens in sim.billed().items()
    }


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("scenario", ["plain", "stream", "plain+random:3"])
def test_answers_that_the_client_asks_for(scenario: str, deflate: bool) -> None:
    with (
        Simulator(scenario) as sim,
        proxy_of(sim) as proxy,
        Client(proxy, REALTIME, deflate=deflate) as client,
    ):
        assert (client.status, client.deflated) == (101, deflate)
        for _ in range(3):
            client.send(say("hello"), CREATE)
            client.until(is_done)
        ended = proxy.recorder.wait(3)
        assert counted(ended) == billed(sim)
        assert sim.billed() == sim.known()
    for start, end in ended:
        assert (start.provider, start.operation, start.path_model) == ("openai", "realtime", MODEL)
        assert proxy.recorder.asks[start.call_id].model == MODEL
        assert (end.outcome, end.status_code, end.reading.completeness) == (
            "complete", 101, "final",
        )  # fmt: skip
        assert end.first_content_ns is not None
        assert start.started_ns <= end.first_content_ns <= end.ended_ns
    assert len({end.reading.response_id for _, end in ended}) == 3


def test_answers_and_transcripts_that_the_server_begins() -> None:
    with (
        Simulator("plain") as sim,
        proxy_of(sim) as proxy,
        Client(proxy, REALTIME) as client,
    ):
        client.send(TRANSCRIBED)
        for _ in range(2):
            client.send(append(SPEECH), append(SILENCE))
            client.until(is_over, count=2)
        ended = proxy.recorder.wait(4)
        assert counted(ended) == billed(sim)
        assert sim.billed() == sim.known()
        assert {MODEL, "gpt-4o-transcribe"} == set(billed(sim))
    assert {end.outcome for _, end in ended} == {"complete"}


def test_answers_at_the_same_time() -> None:
    beside = CREATE | {"response": {"conversation": "none"}}
    with (
        Simulator("stream") as sim,
        proxy_of(sim) as proxy,
        Client(proxy, REALTIME) as client,
    ):
        client.send(CREATE, beside, beside)
        client.until(is_done, count=3)
        ended = proxy.recorder.wait(3)
        assert counted(ended) == billed(sim)
    assert {(end.outcome, end.reading.completeness) for _, end in ended} == {("complete", "final")}


def test_a_tool_s_result_belongs_to_the_answer_after_it() -> None:
    tools = {"type": "session.update", "session": {"tools": [SHELL]}}
    with (
        Simulator("agent") as sim,
        proxy_of(sim) as proxy,
        Client(proxy, REALTIME) as client,
    ):
        client.send(tools, say("USE_BASH[ls]"), CREATE)
        (call,) = client.until(is_done)[-1]["response"]["output"]
        result = {"type": "function_call_output", "call_id": call["call_id"], "output": "x"}
        client.send({"type": "conversation.item.create", "item": result}, CREATE)
        client.until(is_done)
        (_, first), (second, _) = proxy.recorder.wait(2)
        asked = proxy.recorder.asks[second.call_id]
        (use,), (answered,) = first.reading.tool_uses, asked.tool_results
    assert (use.name, asked.offers_tools) == ("bash", True)
    assert use.id == answered.tool_use_id == call["call_id"]


@pytest.mark.parametrize("scenario", ["rate-limited", "error-mid-stream"])
def test_an_answer_that_fails(scenario: str) -> None:
    with (
        Simulator(scenario) as sim,
        proxy_of(sim) as proxy,
        Client(proxy, REALTIME) as client,
    ):
        client.send(CREATE)
        client.until(is_done)
        ((_, end),) = proxy.recorder.wait()
    word = "rate_limit_exceeded" if scenario == "rate-limited" else "server_error"
    assert (end.outcome, end.error, end.reading.completeness) == ("error", word, "none")


@pytest.mark.parametrize("scenario", ["plain", "stream"])
@pytest.mark.parametrize("deflate", [False, True])
def test_turns_of_a_live_session(scenario: str, deflate: bool) -> None:
    with (
        Simulator(scenario) as sim,
        proxy_of(sim) as proxy,
        Client(proxy, GEMINI, deflate=deflate) as client,
    ):
        client.send(setup())
        assert client.message() == {"setupComplete": {}}
        client.send(turn("hello"))
        client.until(tells_usage)
        client.send(heard(SPEECH), heard(SILENCE))
        client.until(tells_usage)
        client.send({"realtimeInput": {"text": "hello"}})
        client.until(tells_usage)
        ended = proxy.recorder.wait(3)
        # No message names the model that served.
        assert counted(ended) == {"": billed(sim)[LIVE_MODEL]}
        assert sim.billed() == sim.known()
    for start, end in ended:
        assert (start.provider, start.operation) == ("google", "realtime")
        assert proxy.recorder.asks[start.call_id].model == LIVE_MODEL
        assert (end.outcome, end.status_code, end.reading.completeness) == (
            "complete", 101, "final",
        )  # fmt: skip


def test_a_live_session_s_tool_call_is_a_generation() -> None:
    tool = {"functionDeclarations": [{"name": "bash", "parameters": SHELL["parameters"]}]}
    with (
        Simulator("agent") as sim,
        proxy_of(sim) as proxy,
        Client(proxy, GEMINI) as client,
    ):
        client.send(setup(tools=[tool]), turn("USE_BASH[ls] please"))
        (call,) = client.until(tells_usage)[-1]["toolCall"]["functionCalls"]
        result = {"id": call["id"], "name": "bash", "response": {"output": "x"}}
        client.send({"toolResponse": {"functionResponses": [result]}})
        client.until(tells_usage)
        (_, first), (second, last) = proxy.recorder.wait(2)
        assert len(sim.calls) == 2
        (answered,) = proxy.recorder.asks[second.call_id].tool_results
    assert [use.id for use in first.reading.tool_uses] == [call["id"]] == [answered.tool_use_id]
    assert {first.outcome, last.outcome} == {"complete"}


@pytest.mark.parametrize("scenario", ["rate-limited", "error-mid-stream"])
def test_a_connection_that_ends_with_an_error(scenario: str) -> None:
    with (
        Simulator(scenario) as sim,
        proxy_of(sim) as proxy,
        Client(proxy, GEMINI) as client,
    ):
        client.send(setup(), turn("hello"))
        while (received := client.receive()) is not None and received[0] != CLOSE:
            pass
        assert received is not None
        assert received[1][:2] == b"\x03\xf3"
        ((_, end),) = proxy.recorder.wait()
    assert (end.outcome, end.error, end.reading.completeness) == (
        "error", "websocket_1011", "none",
    )  # fmt: skip


ASKS: dict[str, list[Json]] = {REALTIME: [CREATE], GEMINI: [setup(), turn("hello")]}


@pytest.mark.parametrize("path", ASKS)
@pytest.mark.parametrize("scenario", ["cut-fin", "cut-reset"])
def test_the_provider_breaks_off(path: str, scenario: str) -> None:
    with (
        Simulator(scenario) as sim,
        proxy_of(sim) as proxy,
        Client(proxy, path) as client,
    ):
        client.send(*ASKS[path])
        with contextlib.suppress(ConnectionResetError):
            while (received := client.receive()) is not None and received[0] != CLOSE:
                pass
        ((_, end),) = proxy.recorder.wait()
    assert (end.outcome, end.error, end.reading.completeness) == (
        "truncated", "upstream_disconnected", "none",
    )  # fmt: skip


@pytest.mark.parametrize("path", ASKS)
def test_the_client_breaks_off(path: str) -> None:
    with Simulator("stall") as sim, proxy_of(sim) as proxy:
        with Client(proxy, path) as client:
            client.send(*ASKS[path])
            client.until(lambda m: m.get("type") == "response.created" or "serverContent" in m)
        ((_, end),) = proxy.recorder.wait()
    assert (end.outcome, end.error) == ("aborted", "client_disconnected")


@pytest.mark.parametrize(
    ("path", "provider", "model"),
    [
        (REALTIME, "openai", MODEL),
        ("/azure/openai/realtime?api-version=1&deployment=prod", "azure.ai.openai", "prod"),
        (GEMINI, "google", None),
    ],
)
@pytest.mark.parametrize(
    ("scenario", "status"), [("websocket-refused", 426), ("unauthorized", 401)]
)
def test_a_refused_connection_is_an_attempt(
    path: str, provider: str, model: str | None, scenario: str, status: int
) -> None:
    with Simulator(scenario) as sim, proxy_of(sim) as proxy, Client(proxy, path) as client:
        assert client.status == status
        ((start, end),) = proxy.recorder.wait()
    assert (start.provider, start.path_model) == (provider, model)
    assert (end.outcome, end.status_code, end.reading.parts) == ("error", status, ())


def test_a_deployment_is_asked_for_until_the_session_names_its_model() -> None:
    path = "/azure/openai/realtime?api-version=1&deployment=prod"
    with Simulator("plain") as sim, proxy_of(sim) as proxy, Client(proxy, path) as client:
        client.send(CREATE)
        client.until(is_done)
        ((start, end),) = proxy.recorder.wait()
        assert counted([(start, end)]) == billed(sim)
    assert (start.provider, start.path_model) == ("azure.ai.openai", "prod")
    assert end.outcome == "complete"
