"""Every provider's wire, read from outside: what it states is what it bills."""

from __future__ import annotations

import json
from http.client import HTTPException, HTTPResponse
from typing import Any

import pytest

from tests.simulator.providers import APIS, FRAMINGS, Api, Counts, frames
from tests.simulator.wire import connect, decoded
from tokenproxy.simulator.messages import Tokens
from tokenproxy.simulator.server import Simulator

Json = dict[str, Any]


def post(
    sim: Simulator, path: str, body: Json, headers: dict[str, str] | None = None
) -> tuple[HTTPResponse, bytes]:
    connection = connect(sim)
    try:
        connection.request("POST", path, json.dumps(body), headers or {})
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def stream(sim: Simulator, api: Api, **headers: str) -> tuple[HTTPResponse, bytes]:
    path, body = api.streaming
    return post(sim, path, body, headers)


def assert_billed(tokens: Tokens, stated: Counts) -> None:
    billed = {
        "input": tokens.input,
        "read": tokens.cache_read,
        "write": tokens.cache_write,
        "output": tokens.output,
        "reasoning": tokens.thinking or 0,
    }
    assert billed == {"read": 0, "write": 0, "reasoning": billed["reasoning"]} | stated


@pytest.mark.parametrize("name", APIS)
@pytest.mark.parametrize("scenario", ["plain", "stream", "tool-use"])
def test_what_is_stated_is_what_is_billed(name: str, scenario: str) -> None:
    api = APIS[name]
    with Simulator(scenario) as sim:
        response, body = post(sim, api.path, api.body | api.plain)
        assert response.status == 200
        _, streamed = stream(sim, api)
        objects = FRAMINGS[api.framing](streamed)
        whole, parted = sim.calls
        assert len(objects) > 1
        for call, found in ((whole, [json.loads(body)]), (parted, objects)):
            (tokens,) = call.billed
            assert tokens.provider == api.provider
            assert_billed(tokens, api.read(found))
            assert call.known is not None
            assert call.known.final
            assert call.known.parts == call.billed
        assert whole.billed == parted.billed
        assert sim.billed_by_provider() == sim.known_by_provider()
        assert set(sim.billed_by_provider()) == {(api.provider, whole.billed[0].model)}


@pytest.mark.parametrize("name", APIS)
def test_every_input_token_is_somewhere_on_the_bill(name: str) -> None:
    with Simulator("plain") as sim:
        stream(sim, APIS[name])
        (tokens,) = sim.billed().values()
        assert tokens.all_input == 17_060


@pytest.mark.parametrize("name", APIS)
@pytest.mark.parametrize("encoding", ["gzip", "zstd", "br"])
def test_a_compressed_stream_in_any_pieces_is_the_same(name: str, encoding: str) -> None:
    api = APIS[name]
    with Simulator(f"plain+{encoding}+random:5") as sim:
        response, body = stream(sim, api, **{"Accept-Encoding": encoding})
        assert response.headers["content-encoding"] == encoding
        objects = FRAMINGS[api.framing](decoded(body, encoding))
        assert_billed(sim.calls[0].billed[0], api.read(objects))


ENVELOPES = {
    "anthropic.messages": ("error", "type"),
    "google.generate": ("error", "status"),
    "google.interactions": ("error", "status"),
    "bedrock.invoke": ("message",),
    "bedrock.converse": ("message",),
    "cohere.chat": ("message",),
    "cohere.v1": ("message",),
    "ollama.chat": ("error",),
    "ollama.generate": ("error",),
}
BY_FLAVOUR = {"mistral": ("message",), "xai": ("error",)}


@pytest.mark.parametrize("name", APIS)
@pytest.mark.parametrize(
    ("scenario", "statuses"),
    [("rate-limited", {429}), ("server-error", {500}), ("unavailable", {503, 529})],
)
def test_a_refusal_is_in_the_providers_words(name: str, scenario: str, statuses: set[int]) -> None:
    api = APIS[name]
    with Simulator(scenario) as sim:
        response, body = post(sim, api.path, api.body)
        target = sim.calls[0].request.target
        value = json.loads(body)
        skin = target.wire.startswith("anthropic")
        keys: tuple[str, ...] = ("error", "message")
        keys = ENVELOPES.get(target.wire, BY_FLAVOUR.get(target.flavour, keys))
        for key in keys:
            value = value[key]
        assert value
        assert response.status in statuses
        assert (response.status == 529) is (target.flavour == "anthropic" and 529 in statuses)
        assert response.headers["retry-after"] == {429: "30", 503: "1", 529: "1"}.get(
            response.status
        )
        assert ("request-id" in response.headers) is (skin or target.flavour == "anthropic")
        assert sim.billed() == {}


@pytest.mark.parametrize("name", APIS)
def test_a_retry_after_one_refusal_succeeds(name: str) -> None:
    with Simulator("rate-limited-once") as sim:
        first, _ = stream(sim, APIS[name])
        second, _ = stream(sim, APIS[name])
        assert (first.status, second.status) == (429, 200)
        assert len(sim.billed()) == 1


@pytest.mark.parametrize("name", APIS)
def test_an_error_in_the_midst_of_a_stream(name: str) -> None:
    api = APIS[name]
    with Simulator("error-mid-stream") as sim:
        response, body = stream(sim, api)
        (call,) = sim.calls
        assert response.status == 200
        assert (call.known is None) or not call.known.final
        assert call.billed == (call.known.parts if call.known else ())
        if api.framing == "eventstream":
            headers, payload = list(frames(body))[-1]
            assert headers[":message-type"] == "exception"
            assert headers[":exception-type"] == "serviceUnavailableException"
            assert payload == {"message": "Overloaded"}
        elif api.read is APIS["gemini"].read and api.framing == "sse":
            bare = body.decode().split("\n\n")[-1]
            assert json.loads(bare)["error"]["status"] == "UNAVAILABLE"
        else:
            last = FRAMINGS[api.framing](body)[-1]
            assert "Overloaded" in json.dumps(last)
        assert b"[DONE]" not in body


@pytest.mark.parametrize("name", APIS)
@pytest.mark.parametrize("scenario", ["cut-fin", "cut-reset"])
def test_a_cut_stream_is_billed_in_full_and_known_in_part(name: str, scenario: str) -> None:
    with Simulator(scenario) as sim:
        with pytest.raises((HTTPException, ConnectionError)):
            stream(sim, APIS[name])
        sim.settle()
        (call,) = sim.calls
        assert call.ended == "cut"
        assert call.billed[0].output >= 547
        assert call.known is None or not call.known.final


@pytest.mark.parametrize("name", APIS)
def test_a_stalled_stream_stays_open(name: str) -> None:
    path, body = APIS[name].streaming
    with Simulator("stall") as sim:
        connection = connect(sim)
        connection.request("POST", path, json.dumps(body))
        assert connection.getresponse().read1(10)
        before = [call.ended for call in sim.calls]
        connection.close()
        sim.settle()
        assert (before, [call.ended for call in sim.calls]) == (["open"], ["client_left"])


@pytest.mark.parametrize("name", APIS)
@pytest.mark.parametrize(
    "scenario", ["malformed-stream", "malformed-json", "not-utf8", "html-413", "dropped"]
)
def test_other_faults_reach_the_client(name: str, scenario: str) -> None:
    api = APIS[name]
    with Simulator(scenario) as sim:
        if scenario == "dropped":
            with pytest.raises((HTTPException, ConnectionError)):
                stream(sim, api)
            return
        response, body = stream(sim, api)
        assert response.status == (413 if scenario == "html-413" else 200)
        with pytest.raises((ValueError, KeyError, IndexError, AssertionError)):
            api.read(FRAMINGS[api.framing](body))


@pytest.mark.parametrize(
    "name", ["openai", "codex", "gemini", "anthropic", "bedrock-invoke", "cohere", "ollama"]
)
def test_what_keeps_a_slow_stream_open_changes_nothing(name: str) -> None:
    api = APIS[name]
    with Simulator("slow") as sim:
        _, body = stream(sim, api)
        (call,) = sim.calls
        assert_billed(call.billed[0], api.read(FRAMINGS[api.framing](body)))
        assert call.chunk_sent_ns[-1] - call.chunk_sent_ns[0] > 50_000_000
