"""The OpenAI SDK behind tokenproxy: every row is what the SDK's own objects say."""

from __future__ import annotations

import pytest

from tests.e2e.bench import Bench, Row
from tests.real import reported
from tokenproxy.simulator.server import Simulator

HOSTS = {"api.openai.com": "openai"}
KEY = {"OPENAI_API_KEY": "sk-test-000"}
MODE = pytest.mark.parametrize("mode", reported.MODES)


def rows_of(bench: Bench, sim: Simulator, mode: str, *names: str) -> list[Row]:
    said = reported.program(bench, sim, mode, HOSTS, ["openai", "openai_sdk", *names], **KEY)
    rows = bench.rows()
    reported.equal(rows, said)
    reported.same(rows, provider="openai", success=True, outcome="complete")
    reported.same(rows, client="OpenAI/Python/3.57.0")
    return rows


@MODE
@pytest.mark.parametrize("delivery", ["plain", "stream+gzip+random:3"])
def test_chat_and_responses(bench: Bench, mode: str, delivery: str) -> None:
    with Simulator(delivery) as sim:
        rows = rows_of(
            bench, sim, mode, "chat", "chat_stream", "responses", "responses_stream"
        )  # fmt: skip
        assert sum(row["output_tokens"] for row in rows) == sum(
            tokens.output for tokens in sim.billed().values()
        )
    assert all(row["cache_read_input_tokens"] > 0 for row in rows)


@MODE
def test_a_stream_that_was_not_asked_for_its_usage_has_none(bench: Bench, mode: str) -> None:
    with Simulator("plain") as sim:
        rows = rows_of(bench, sim, mode, "chat_stream_unasked")
    assert rows[0]["completeness"] == "none"


@MODE
def test_a_background_response_is_counted_once(bench: Bench, mode: str) -> None:
    """Asked for, then fetched three times: the first look that tells the usage has it."""
    with Simulator("stream") as sim:
        said = reported.program(
            bench, sim, mode, HOSTS, ["openai", "openai_sdk", "responses_background"], **KEY
        )
        assert [exchange.request.method for exchange in sim.exchanges] == ["POST", *["GET"] * 3]
    asked, told = bench.rows()
    assert (asked["completeness"], asked["response_id"]) == ("none", said[0]["response_id"])
    assert "input_tokens" not in asked
    reported.equal([told], said)
    assert told["reasoning_output_tokens"] == 67


@MODE
def test_responses_over_a_websocket(bench: Bench, mode: str) -> None:
    with Simulator("stream") as sim:
        rows = rows_of(bench, sim, mode, "responses_socket")
    assert len(rows) == 2


@MODE
def test_embeddings_and_images(bench: Bench, mode: str) -> None:
    with Simulator("plain") as sim:
        rows_of(bench, sim, mode, "embeddings", "images")


@MODE
def test_many_at_once(bench: Bench, mode: str) -> None:
    with Simulator("plain") as sim:
        said = reported.program(
            bench, sim, mode, HOSTS, ["openai", "openai_sdk", "asynchronous"], **KEY
        )
    order = [one["response_id"] for one in said]
    reported.equal(sorted(bench.rows(), key=lambda row: order.index(row["response_id"])), said)
    assert len(said) == 8
