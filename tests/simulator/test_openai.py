from __future__ import annotations

import base64
import json
from http.client import IncompleteRead
from typing import Any

import pytest

from tests.simulator.providers import sse_objects
from tests.simulator.test_elsewhere import get
from tests.simulator.test_wires import post
from tests.simulator.wire import connect
from tokenproxy.simulator import openai_aside, openai_media
from tokenproxy.simulator.server import Simulator

Json = dict[str, Any]
SAY = [{"role": "user", "content": "hello"}]
CHAT: Json = {"model": "gpt-6-sol", "messages": SAY, "stream": True}
ASK: Json = {"model": "gpt-6-sol", "input": "hello"}


def fetch(sim: Simulator, path: str) -> bytes:
    connection = connect(sim)
    status, body = get(connection, "GET", path)
    connection.close()
    assert status == 200
    return body


def test_usage_comes_in_an_extra_chunk_only_when_asked() -> None:
    with Simulator("plain") as sim:
        _, silent = post(sim, "/v1/chat/completions", CHAT)
        asked = {"stream_options": {"include_usage": True}}
        _, told = post(sim, "/v1/chat/completions", CHAT | asked)
        assert silent.endswith(b"data: [DONE]\n\n")
        assert sse_objects(silent)
        assert all("usage" not in chunk and chunk["choices"] for chunk in sse_objects(silent))
        *chunks, last = sse_objects(told)
        assert [chunk["usage"] for chunk in chunks] == [None] * len(chunks)
        assert (last["choices"], last["usage"]["total_tokens"]) == ([], 17_102)
        assert [call.known is None for call in sim.calls] == [True, False]
        assert sim.billed()["gpt-6-sol"].output == 84


def test_chunks_are_padded_unless_the_client_minds() -> None:
    with Simulator("stream") as sim:
        _, padded = post(sim, "/v1/chat/completions", CHAT)
        plain = {"stream_options": {"include_obfuscation": False}}
        _, bare = post(sim, "/v1/chat/completions", CHAT | plain)
        assert any(chunk.get("obfuscation") for chunk in sse_objects(padded))
        assert sse_objects(bare)
        assert all("obfuscation" not in chunk for chunk in sse_objects(bare))


def test_groq_tells_usage_without_being_asked_and_twice_when_asked() -> None:
    with Simulator("plain") as sim:
        _, body = post(sim, "/groq/openai/v1/chat/completions", CHAT)
        chunks = sse_objects(body)
        assert chunks[-1]["x_groq"]["usage"]["total_tokens"] == 17_102
        asked = CHAT | {"stream_options": {"include_usage": True}}
        _, body = post(sim, "/groq/openai/v1/chat/completions", asked)
        *_, last, extra = sse_objects(body)
        assert last["x_groq"]["usage"] == extra["usage"]


def test_a_providers_own_cost_is_on_its_bill() -> None:
    with Simulator("plain") as sim:
        _, routed = post(sim, "/openrouter/api/v1/chat/completions", CHAT | {"stream": False})
        _, ticked = post(sim, "/xai/v1/chat/completions", CHAT | {"stream": False})
        first, second = (call.billed[0].cost_usd for call in sim.calls)
        assert first is not None
        assert second is not None
        # 12 x 1 + 15,000 x 0.1 + 2,048 x 1.25 + 42 x 4 millionths of a dollar
        assert str(first) == "0.00424"
        assert json.loads(routed)["usage"]["cost"] == float(first)
        # 2,060 x 1 + 15,000 x 0.1 + 42 x 4 millionths of a dollar, a tick is 1e-10
        assert json.loads(ticked)["usage"]["cost_in_usd_ticks"] == 37_280_000
        assert float(second) == 0.003728


def test_a_gateways_messages_state_its_cost_at_the_end() -> None:
    asked = {"model": "claude-opus-5-5", "max_tokens": 9, "messages": SAY}
    with Simulator("plain") as sim:
        _, whole = post(sim, "/openrouter/api/v1/messages", asked)
        _, parts = post(sim, "/openrouter/api/v1/messages", asked | {"stream": True})
        start, *_, last, _ = sse_objects(parts)
        assert "cost" not in start["message"]["usage"]
        cost = float(sim.calls[0].billed[0].cost_usd or 0)
        assert json.loads(whole)["usage"]["cost"] == last["usage"]["cost"] == cost == 0.00424


def test_events_of_a_response_are_numbered_and_in_order() -> None:
    with Simulator("stream") as sim:
        _, body = post(sim, "/v1/responses", ASK | {"stream": True})
        events = sse_objects(body)
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        kinds = [event["type"] for event in events]
        assert kinds[:2] == ["response.created", "response.in_progress"]
        assert kinds[-1] == "response.completed"
        for kind in ("reasoning_summary_text.delta", "output_text.delta", "output_item.done"):
            assert f"response.{kind}" in kinds
        assert {e["response"]["usage"] is None for e in events[:2]} == {True}
        names = [line for line in body.decode().split("\n") if line.startswith("event: ")]
        assert names == [f"event: {kind}" for kind in kinds]
        text = "".join(e["delta"] for e in events if e["type"] == "response.output_text.delta")
        assert text == events[-1]["response"]["output"][1]["content"][0]["text"]


def test_a_response_can_be_had_again_and_from_the_middle() -> None:
    with Simulator("stream") as sim:
        _, body = post(sim, "/v1/responses", ASK | {"stream": True})
        events = sse_objects(body)
        place = f"/v1/responses/{events[-1]['response']['id']}"
        assert json.loads(fetch(sim, place)) == events[-1]["response"]
        assert sse_objects(fetch(sim, f"{place}?stream=true")) == events
        assert sse_objects(fetch(sim, f"{place}?stream=true&starting_after=7")) == events[8:]
        assert len(sim.calls) == 1
        assert sim.billed() == sim.known()


def test_a_response_in_the_background_tells_usage_when_it_is_fetched() -> None:
    with Simulator("plain") as sim:
        _, body = post(sim, "/v1/responses", ASK | {"background": True})
        queued = json.loads(body)
        assert (queued["status"], queued["usage"]) == ("queued", None)
        assert sim.known() == {}
        polled = [json.loads(fetch(sim, f"/v1/responses/{queued['id']}")) for _ in range(3)]
        assert [r["status"] for r in polled] == ["in_progress", "completed", "completed"]
        assert polled[0]["usage"] is None
        assert polled[1] == polled[2]
        assert polled[1]["usage"]["output_tokens"] == 42
        assert sim.billed() == sim.known()


def test_compaction_is_a_call_and_counting_is_none() -> None:
    with Simulator("plain") as sim:
        _, counted = post(sim, "/v1/responses/input_tokens", ASK)
        assert json.loads(counted)["input_tokens"] > 0
        assert sim.calls == []
        _, body = post(sim, "/v1/responses/compact", ASK)
        assert json.loads(body)["object"] == "response.compaction"
        assert json.loads(body)["usage"]["total_tokens"] == 17_102
        assert sim.billed() == sim.known() != {}


def test_endings_of_a_response() -> None:
    with Simulator("max-tokens") as sim:
        _, body = post(sim, "/v1/responses", ASK | {"stream": True})
        last = sse_objects(body)[-1]
        assert last["type"] == "response.incomplete"
        assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
        assert last["response"]["usage"]["output_tokens"] == 42
    with Simulator("response-failed") as sim:
        _, body = post(sim, "/v1/responses", ASK | {"stream": True})
        last = sse_objects(body)[-1]["response"]
        assert (last["status"], last["usage"]) == ("failed", None)
        assert sim.billed() == sim.known() == {}


def test_a_deployments_name_is_no_model() -> None:
    path = "/openai/deployments/{}/chat/completions?api-version=2025-04-01"
    body = {"messages": SAY}
    with Simulator("plain") as sim:
        for name in ("prod", "gpt-5.6-sol"):
            post(sim, path.format(name), body)
        assert set(sim.billed()) == {"gpt-6-sol", "gpt-5.6-sol"}


def test_embeddings() -> None:
    with Simulator("plain") as sim:
        _, body = post(sim, "/v1/embeddings", {"model": "text-embedding-3-small", "input": ["a"]})
        assert json.loads(body)["usage"] == {"prompt_tokens": 17_060, "total_tokens": 17_060}
        (tokens,) = sim.billed().values()
        assert (tokens.input, tokens.output) == (17_060, 0)


@pytest.mark.parametrize("verb", ["generations", "edits"])
def test_images(verb: str) -> None:
    asked = {"model": "gpt-image-2", "prompt": "a cat"}
    with Simulator("plain") as sim:
        _, body = post(sim, f"/v1/images/{verb}", asked)
        value = json.loads(body)
        assert base64.b64decode(value["data"][0]["b64_json"]) == openai_media.PIXELS
        _, body = post(sim, f"/v1/images/{verb}", asked | {"stream": True})
        partial, done = sse_objects(body)
        kind = {"generations": "image_generation", "edits": "image_edit"}[verb]
        assert (partial["type"], done["type"]) == (f"{kind}.partial_image", f"{kind}.completed")
        assert done["usage"] == value["usage"]
        assert value["usage"]["input_tokens"] == 17_060
        assert sim.billed()["gpt-image-2"].output == 84
        assert sim.billed() == sim.known()


def form(**fields: str) -> bytes:
    parts = [
        f'--x\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'
        for k, v in fields.items()
    ]
    sound = '--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\n\r\n\x00\r\n'
    return ("".join(parts) + sound + "--x--\r\n").encode()


def test_transcription() -> None:
    with Simulator("plain") as sim:
        connection = connect(sim)
        path = "/v1/audio/transcriptions"
        _, whole = get(connection, "POST", path, form(model="gpt-4o-transcribe"))
        _, streamed = get(connection, "POST", path, form(model="gpt-4o-transcribe", stream="true"))
        _, timed = get(connection, "POST", path, form(model="whisper-1"))
        _, sound = get(connection, "POST", "/v1/audio/speech", b'{"model": "tts-1"}')
        connection.close()
        usage = json.loads(whole)["usage"]
        assert (usage["type"], usage["total_tokens"]) == ("tokens", 17_102)
        assert sse_objects(streamed)[-1] == {
            "type": "transcript.text.done",
            "text": "Hello from the simulator.",
            "usage": usage,
        }
        assert json.loads(timed)["usage"] == {"type": "duration", "seconds": 42}
        assert len(sound) == 8192
        assert set(sim.billed()) == {"gpt-4o-transcribe", "whisper-1", "tts-1"}
        assert set(sim.known()) == {"gpt-4o-transcribe", "whisper-1"}


def test_a_batchs_output_file() -> None:
    with Simulator("plain") as sim:
        lines = fetch(sim, "/v1/files/file-1/content").splitlines()
        bodies = [json.loads(line)["response"]["body"] for line in lines]
        assert ["usage" in body for body in bodies] == [True, False, True]
        assert sim.exchanges[0].billed == openai_aside.BATCH_PARTS
        fetch(sim, "/v1/files/file-1/content")
        assert sim.exchanges[1].billed == ()
        assert sim.billed() == sim.known()
        assert sim.calls == []


def test_old_completions() -> None:
    asked = {"model": "gpt-3.5-turbo-instruct", "prompt": "hello"}
    with Simulator("plain") as sim:
        _, whole = post(sim, "/v1/completions", asked)
        more = {"stream": True, "stream_options": {"include_usage": True}}
        _, parts = post(sim, "/v1/completions", asked | more)
        assert sse_objects(parts)[-1]["usage"] == json.loads(whole)["usage"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/models", 200),
        ("/v1/models/gpt-6-sol", 200),
        ("/openai/v1/models", 200),
        ("/backend-api/codex/models?client_version=1", 200),
        ("/backend-api/wham/usage", 200),
        ("/openai/v1/astonishment", 404),
        ("/v1/responses/resp_unknown", 404),
    ],
)
def test_paths_beside_the_model(path: str, status: int) -> None:
    with Simulator("plain") as sim:
        connection = connect(sim)
        got, body = get(connection, "GET", path)
        connection.close()
        assert got == status
        value = json.loads(body)
        assert ("error" in value) is (status == 404)
        assert sim.calls == []


def test_the_list_of_models_has_those_that_were_asked_for() -> None:
    with Simulator("plain") as sim:
        post(sim, "/v1/responses", ASK | {"model": "gpt-9"})
        assert "gpt-9" in [model["id"] for model in json.loads(fetch(sim, "/v1/models"))["data"]]


def test_a_cut_stream_can_be_resumed() -> None:
    with Simulator("cut-fin") as sim:
        with pytest.raises(IncompleteRead) as cut:
            post(sim, "/v1/responses", ASK | {"stream": True})
        begun = cut.value.partial.decode().split("\n\n")[:5]
        first = json.loads(begun[0].partition("data: ")[2])
        place = f"/v1/responses/{first['response']['id']}?stream=true&starting_after=4"
        assert sim.known() == {}
        rest = sse_objects(fetch(sim, place))
        assert rest[0]["sequence_number"] == 5
        assert rest[-1]["response"]["usage"]["output_tokens"] == 547
        assert sim.billed() == sim.known()
