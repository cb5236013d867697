"""The known ways to count the Responses API wrong, by their numbers in the list of traps."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.wire.fixtures.openai_responses import (
    ID,
    MODEL,
    SSE,
    done,
    ending,
    opening,
    read,
    response,
    text,
    usage,
)
from tests.wire.openai.test_websocket import (
    answer,
    asked,
    client,
    create,
    on,
    open_socket,
    output_of,
    reading_of,
    refusal,
    server,
)
from tokenproxy.wire.routes import match
from tokenproxy.wire.usage import Reading


def total(reading: Reading, field: str) -> int:
    return sum(getattr(part, field) or 0 for part in reading.parts)


@pytest.mark.parametrize("name", ["openai.responses", "xai.responses", "openrouter.responses"])
def test_t15_reasoning_is_inside_the_output(name: str) -> None:
    """Codex's counts: the total is input and output, of which reasoning is a part."""
    used = usage(1200, 300, reasoning=250)
    reading = read(done(used), name=name)
    assert (total(reading, "output_tokens"), total(reading, "reasoning_output_tokens")) == (
        300,
        250,
    )
    # Without a total to check by, too.
    del used["total_tokens"]
    assert total(read(done(used), name=name), "output_tokens") == 300


def test_t14_cache_is_inside_the_input() -> None:
    reading = read(done(usage(18_014, 5, read=18_011)))
    assert total(reading, "uncached_input_tokens") == 3
    assert total(reading, "cache_read_input_tokens") == 18_011


@pytest.mark.parametrize("prefix", ["/v1", "/backend-api/codex"])
def test_t20_compaction_is_a_call_of_its_own(prefix: str) -> None:
    route = match("openai", "POST", f"{prefix}/responses/compact")
    assert route is not None
    assert (route.kind, route.operation) == ("inference", "compact")
    reading = read(
        {"id": "resp_c", "object": "response.compaction", "output": [], "usage": usage(90_000, 9)},
        operation="compact",
    )
    assert (total(reading, "uncached_input_tokens"), reading.completeness) == (90_000, "final")


def test_t20_a_replay_is_known_as_one() -> None:
    route = match("openai", "GET", f"/v1/responses/{ID}?stream=true&starting_after=3")
    assert route is not None
    assert route.kind == "replay"
    original = read(done(usage(1200, 300)))
    replayed = read(text("ing.") + ending(done(usage(1200, 300))), content_type=SSE["content-type"])
    assert replayed.response_id == original.response_id
    assert replayed.parts == original.parts


def test_t20_polling_counts_only_the_look_that_has_the_usage() -> None:
    looks = [
        read(response("queued", background=True)),
        read(response("in_progress", background=True)),
        read(done(usage(1200, 300), background=True)),
    ]
    assert [(look.deferred, look.completeness) for look in looks] == [
        (True, "none"), (True, "none"), (False, "final"),
    ]  # fmt: skip
    assert {look.response_id for look in looks} == {ID}


def test_t20_a_background_stream_that_was_cut_goes_on() -> None:
    cut = read(opening(background=True) + text("a"), content_type=SSE["content-type"])
    assert (cut.deferred, cut.completeness, cut.ended) == (True, "none", False)


def test_t21_several_responses_on_one_socket() -> None:
    parser = open_socket()
    outputs = []
    for number in range(1, 4):
        begun = asked(parser, create(previous_response_id=f"resp_{number - 1}"))
        server(parser, answer(f"resp_{number}", usage(100 * number, number)))
        outputs.append(output_of(begun))
    assert outputs == [1, 2, 3]


def test_t21_each_response_keeps_its_own_usage() -> None:
    """What comes later on the socket is not added to it, and does not take its place."""
    parser = open_socket()
    begun = []
    for number in range(1, 4):
        begun.append(asked(parser, create()))
        server(parser, answer(f"resp_{number}", usage(100 * number, number)))
    assert [reading_of(each).response_id for each in begun] == ["resp_1", "resp_2", "resp_3"]
    assert [output_of(each) for each in begun] == [1, 2, 3]
    assert len({each.key for each in begun}) == 3


def test_t21_lanes_are_interleaved() -> None:
    parser = open_socket()
    a, b = asked(parser, create("a")), asked(parser, create("b"))
    one, two = answer("resp_1", usage(10, 1), "a"), answer("resp_2", usage(20, 2), "b")
    server(parser, [message for pair in zip(two, one, strict=True) for message in pair])
    assert [(reading_of(call).response_id, output_of(call)) for call in (a, b)] == [
        ("resp_1", 1), ("resp_2", 2),
    ]  # fmt: skip


STEERED = {"status": "incomplete", "incomplete_details": {"reason": "steered"}}


def steered(identity: str, used: dict[str, Any], lane: str | None = None) -> list[dict[str, Any]]:
    messages = answer(identity, used, lane, **STEERED)
    messages[-1]["type"] = "response.incomplete"
    return messages


@pytest.mark.parametrize("lane", [None, "a"])
def test_t21_a_steered_responses_successor_is_billed_too(lane: str | None) -> None:
    parser = open_socket()
    first = asked(parser, create(lane, max_output_tokens=99))
    server(parser, steered("resp_1", usage(100, 10), lane))
    news = server(parser, answer("resp_2", usage(150, 20), lane))
    assert news[0] is not None
    assert (news[0].event, news[0].key != first.key) == ("begun", True)
    assert news[0].request is not None
    assert (news[0].request.model, news[0].request.max_tokens) == (MODEL, 99)
    assert (reading_of(first).stop_reason, output_of(first)) == ("steered", 10)
    assert (output_of(news[-1]), news[-1] and news[-1].key) == (20, news[0].key)


def test_t21_a_successor_does_not_take_the_place_of_what_was_asked() -> None:
    parser = open_socket()
    asked(parser, create())
    waiting = asked(parser, create())
    server(parser, steered("resp_1", usage(100, 10)))
    successor = server(parser, answer("resp_2", usage(150, 20)))
    assert successor[0] is not None
    assert successor[0].event == "begun"
    server(parser, answer("resp_3", usage(200, 30)))
    assert output_of(waiting) == 30


def test_t21_a_successor_that_failed_to_come_is_not_waited_for() -> None:
    parser = open_socket()
    asked(parser, create())
    server(parser, steered("resp_1", usage(100, 10)))
    server(parser, [{"type": "response.steer.failed", "steer": {}, "error": {"code": "x"}}])
    waiting = asked(parser, create())
    server(parser, answer("resp_2", usage(150, 20)))
    assert output_of(waiting) == 20


def test_t21_rate_limits_are_no_call_and_refusals_are() -> None:
    parser = open_socket()
    assert server(parser, [{"type": "codex.rate_limits", "rate_limits": {}}]) == [None]
    begun = asked(parser, create("a"))
    (news,) = server(parser, [refusal(429, "a")])
    assert news is not None
    assert (news.key, news.event, news.error_status) == (begun.key, "ended", 429)
    assert client(parser, {"type": "response.processed", "response_id": "resp_1"}) is None


def test_t21_a_lane_without_a_name_is_not_the_named_ones() -> None:
    parser = open_socket()
    named, unnamed = asked(parser, create("a")), asked(parser, create())
    server(parser, answer("resp_1", usage(10, 1)))
    assert (output_of(unnamed), reading_of(named).response_id) == (1, None)
    server(parser, [on("a", message) for message in answer("resp_2", usage(20, 2))])
    assert output_of(named) == 2


def test_t23_a_count_is_not_usage() -> None:
    route = match("openai", "POST", "/v1/responses/input_tokens")
    assert route is not None
    assert route.kind == "count"
    counted = json.dumps({"object": "response.input_tokens", "input_tokens": 11}).encode()
    assert read(counted, operation=route.operation).parts == ()


def test_t23_a_count_that_came_whole_lacks_nothing() -> None:
    """It is not a response whose usage is absent, nor one that it might be taken for."""
    for told in ({"object": "response.input_tokens", "input_tokens": 11}, done(usage(11, 1))):
        reading = read(told, operation="count_tokens")
        assert (reading.parts, reading.completeness, reading.notes) == ((), "none", ())
        assert reading.ended
