"""What the other providers answer beside chat: vectors, counts, lists, and a broken checksum."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.simulator.providers import APIS, frames
from tests.simulator.test_elsewhere import get
from tests.simulator.test_wires import post, stream
from tests.simulator.wire import connect
from tokenproxy.simulator.server import Simulator

Json = dict[str, Any]
PLACE = "/v1/projects/p/locations/l/publishers"
TEXT: Json = {"content": {"parts": [{"text": "hello"}]}}


@pytest.mark.parametrize(
    ("path", "body", "keys", "count"),
    [
        ("/v1beta/models/e:embedContent", TEXT, ("usageMetadata", "promptTokenCount"), 17_060),
        ("/v1beta/models/e:batchEmbedContents", {"requests": [TEXT, TEXT]},
         ("usageMetadata", "totalTokenCount"), 17_060),
        (f"{PLACE}/google/models/e:predict", {"instances": [TEXT]},
         ("predictions", 0, "embeddings", "statistics", "token_count"), 17_060),
        ("/api/embed", {"model": "e", "input": ["a", "b"]}, ("prompt_eval_count",), 17_060),
        ("/v2/embed", {"model": "e", "texts": ["a"]}, ("meta", "billed_units", "input_tokens"),
         17_060),
    ],
)  # fmt: skip
def test_vectors(path: str, body: Json, keys: tuple[Any, ...], count: int) -> None:
    with Simulator("plain") as sim:
        _, answer = post(sim, path, body)
        value: Any = json.loads(answer)
        for key in keys:
            value = value[key]
        assert value == count
        (tokens,) = sim.billed().values()
        assert (tokens.model, tokens.all_input, tokens.output) == ("e", count, 0)
        assert sim.billed() == sim.known()


def test_a_prediction_states_each_instance() -> None:
    with Simulator("plain") as sim:
        post(sim, f"{PLACE}/google/models/e:predict", {"instances": [TEXT, TEXT, TEXT]})
        assert sim.billed()["e"].input == 3 * 17_060


def test_reranking_costs_a_search_and_no_token() -> None:
    with Simulator("plain") as sim:
        _, body = post(sim, "/v2/rerank", {"model": "r", "query": "q", "documents": ["a", "b"]})
        assert json.loads(body)["meta"]["billed_units"] == {"search_units": 1}
        assert sim.billed()["r"].all_input == 0


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/v1beta/models/g:countTokens", "totalTokens"),
        ("/code-assist/v1internal:countTokens", ""),
        ("/model/m/count-tokens", "inputTokens"),
        (f"{PLACE}/anthropic/models/count-tokens:rawPredict", "input_tokens"),
        ("/foundry/anthropic/v1/messages/count_tokens", "input_tokens"),
        ("/openrouter/api/v1/messages/count_tokens", "input_tokens"),
    ],
)
def test_counting_is_no_call(path: str, key: str) -> None:
    with Simulator("plain") as sim:
        response, body = post(sim, path, TEXT)
        assert response.status == 200
        assert not key or json.loads(body)[key] > 0
        assert sim.calls == []
        assert sim.billed() == {}


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/v1beta/models", "models"),
        ("/v1beta/models/gemini-3-flash", "name"),
        ("/api/tags", "models"),
        ("/api/version", "version"),
        ("/ollama/v1/models", "data"),
        ("/bedrock/inference-profiles?type=SYSTEM_DEFINED", "inferenceProfileSummaries"),
        ("/deepseek/models", "data"),
    ],
)
def test_lists(path: str, key: str) -> None:
    with Simulator("plain") as sim:
        connection = connect(sim)
        status, body = get(connection, "GET", path)
        connection.close()
        assert status == 200
        assert json.loads(body)[key] or key == "inferenceProfileSummaries"


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/google/x", "error"),
        ("/vertex/x", "error"),
        ("/bedrock/x", "message"),
        ("/cohere/x", "message"),
        ("/ollama/x", "error"),
        ("/mistral/x", "message"),
        ("/deepseek/x", "error"),
    ],
)
def test_an_unknown_path_is_not_found_in_the_providers_words(path: str, key: str) -> None:
    with Simulator("plain") as sim:
        response, body = post(sim, path, {})
        assert response.status == 404
        assert json.loads(body)[key]


def test_a_conversation_goes_on_under_its_id() -> None:
    with Simulator("tool-use") as sim:
        _, begun = post(sim, "/v1/conversations", {"model": "mistral-small-2603", "inputs": "hi"})
        first = json.loads(begun)
        path = f"/v1/conversations/{first['conversation_id']}"
        more = {"inputs": [{"role": "user", "content": "go on"}]}
        for again in (path, f"{path}/restart"):
            assert json.loads(post(sim, again, more)[1])["conversation_id"] in path
        assert [entry["type"] for entry in first["outputs"]] == [
            "message.output", "function.call", "function.call",
        ]  # fmt: skip
        assert [call.billed[0].model for call in sim.calls] == [
            "mistral-small-2603", "mistral-medium-latest", "mistral-medium-latest",
        ]  # fmt: skip


def test_reading_pages_costs_pages_and_no_token() -> None:
    with Simulator("plain") as sim:
        _, body = post(sim, "/v1/ocr", {"model": "mistral-ocr-latest", "document": {}})
        answer = json.loads(body)
        assert answer["usage_info"]["pages_processed"] == len(answer["pages"]) == 3
        assert sim.billed()["mistral-ocr-latest"].all_input == 0


@pytest.mark.parametrize("name", ["bedrock-invoke", "bedrock-converse"])
def test_a_broken_checksum(name: str) -> None:
    with Simulator("bad-checksum") as sim:
        _, body = stream(sim, APIS[name])
        found = []
        with pytest.raises(AssertionError):
            found.extend(list(frames(body)))
        assert sim.billed()


def test_bedrock_repeats_its_counts_in_headers() -> None:
    with Simulator("plain") as sim:
        response, _ = post(sim, APIS["bedrock-invoke"].path, APIS["bedrock-invoke"].body)
        names = ("Input", "Output", "Cache-Read-Input", "Cache-Write-Input")
        counts = [int(response.headers[f"x-amzn-bedrock-{name}-token-count"]) for name in names]
        assert counts == [12, 42, 15_000, 2_048]


def test_bedrock_names_the_vendors_model_and_bills_the_paths() -> None:
    with Simulator("plain") as sim:
        _, body = post(sim, APIS["bedrock-invoke"].path, APIS["bedrock-invoke"].body)
        assert json.loads(body)["model"] == "claude-sonnet-5"
        assert set(sim.billed()) == {"us.anthropic.claude-sonnet-5-v1:0"}


def test_ollamas_messages_estimate_first_and_count_last() -> None:
    body = {"model": "qwen3.8:27b", "max_tokens": 9, "messages": [], "stream": True}
    with Simulator("plain") as sim:
        _, answer = post(sim, "/ollama/v1/messages", body)
        data = [json.loads(line[6:]) for line in answer.splitlines() if line.startswith(b"data")]
        assert data[0]["message"]["usage"]["input_tokens"] == 17
        assert data[-2]["usage"]["input_tokens"] == 17_060
        assert sim.billed() == sim.known()


def test_a_cached_count_may_be_stated_in_the_first_chunk_only() -> None:
    api = APIS["gemini"]
    with Simulator("stream") as sim:
        _, body = stream(sim, api)
        usages = [
            json.loads(line[6:])["usageMetadata"]
            for line in body.splitlines()
            if line.startswith(b"data")
        ]
        stated = ["cachedContentTokenCount" in usage for usage in usages]
        assert stated == [True] + [False] * (len(usages) - 1)


def test_a_streamed_arrays_objects_begin_anywhere_in_a_chunk() -> None:
    with Simulator("plain") as sim:
        _, body = stream(sim, APIS["gemini-array"])
        (call,) = sim.calls
        ends = [sum(call.chunk_sizes[: at + 1]) for at in range(len(call.chunk_sizes))]
        borders = [at for at in range(len(body)) if body.startswith(b"\r\n,", at)]
        assert borders
        assert not {border + 2 for border in borders} <= set(ends)
