"""One WebSocket with many responses: each call reads as if it were alone."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.fixtures.openai_responses import CALL, MESSAGE, MODEL, data, done, response, usage
from tests.wire.strategies import garbage
from tokenproxy.wire.dialect import Head, SocketDialect, SocketNews, SocketParser
from tokenproxy.wire.openai.responses_stream import READ, SKIPPED, is_content
from tokenproxy.wire.routes import dialect
from tokenproxy.wire.usage import Reading, RequestFacts, ToolUse

type Message = dict[str, Any]


def open_socket(name: str = "openai.responses") -> SocketParser:
    spoken = dialect(name)
    assert isinstance(spoken, SocketDialect)
    return spoken.open_socket(Head(status=101))


def on(lane: str | None, message: Message) -> Message:
    return message if lane is None else {**message, "stream_id": lane}


def create(lane: str | None = None, **more: Any) -> Message:
    return on(lane, {"type": "response.create", "model": MODEL, "input": "Hello?", **more})


def answer(
    identity: str, used: dict[str, Any] | None, lane: str | None = None, **more: Any
) -> list[Message]:
    """The messages of one response."""
    return [
        on(lane, message)
        for message in (
            data("response.created", response=response("in_progress", identity=identity)),
            data("response.in_progress", response=response("in_progress", identity=identity)),
            data("response.output_item.added", output_index=0, item={**MESSAGE, "content": []}),
            data("response.output_text.delta", item_id="msg_1", delta="Good "),
            data("response.output_item.done", output_index=0, item=MESSAGE),
            data("response.completed", response=done(used, identity=identity, **more)),
        )
    ]


def refusal(status: int | None = 429, lane: str | None = None) -> Message:
    error = {"type": "usage_limit_reached", "code": "rate_limit_exceeded", "message": "x"}
    stated = {} if status is None else {"status": status}
    return on(lane, {"type": "error", **stated, "error": error, "headers": {}})


def client(parser: SocketParser, message: Message) -> SocketNews | None:
    return parser.client_message(json.dumps(message).encode())


def server(parser: SocketParser, messages: Iterable[Message]) -> list[SocketNews | None]:
    return [parser.server_message(json.dumps(message).encode()) for message in messages]


def asked(parser: SocketParser, message: Message) -> SocketNews:
    news = client(parser, message)
    assert news is not None
    return news


def reading_of(news: SocketNews | None) -> Reading:
    assert news is not None
    assert news.reading is not None
    return news.reading


def output_of(news: SocketNews | None) -> int | None:
    return reading_of(news).parts[0].output_tokens


def test_a_call_from_its_message_to_its_end() -> None:
    parser = open_socket()
    begun = asked(parser, create(max_output_tokens=99))
    assert (begun.event, begun.request) == (
        "begun",
        RequestFacts(
            model=MODEL, stream=True, max_tokens=99,
            prompt_digest=begun.request.prompt_digest if begun.request else None,
        ),
    )  # fmt: skip
    news = server(parser, answer("resp_1", usage(100, 7), output=[CALL]))
    assert [each and (each.key, each.event, each.changed) for each in news] == [
        (begun.key, "progressed", True),
        (begun.key, "progressed", False),
        (begun.key, "progressed", False),
        (begun.key, "progressed", False),
        (begun.key, "progressed", False),
        (begun.key, "ended", True),
    ]
    assert all(each is not None and each.reading is begun.reading for each in news)
    reading = reading_of(begun)
    assert (reading.response_id, reading.model, reading.stop_reason) == (
        "resp_1", MODEL, "completed",
    )  # fmt: skip
    assert (reading.completeness, reading.ended, reading.content_started) == ("final", True, True)
    assert reading.tool_uses == (ToolUse("call_1", "shell"),)
    assert parser.close() == []


def test_content_starts_with_the_output_not_before() -> None:
    parser = open_socket()
    begun = asked(parser, create())
    messages = answer("resp_1", usage(100, 7))
    server(parser, messages[:2])
    assert reading_of(begun).content_started is False
    server(parser, messages[2:3])
    assert reading_of(begun).content_started is True


def test_prefill_without_output_is_a_call() -> None:
    parser = open_socket()
    begun = asked(parser, create(generate=False))
    assert server(parser, answer("resp_1", usage(5000, 0, written=5000)))[-1] is not None
    assert reading_of(begun).parts[0].cache_creation_input_tokens == 5000


def test_done_ends_a_call_too() -> None:
    """Codex's backend: with a status of its own, and perhaps little else."""
    parser = open_socket()
    for status in ("completed", "incomplete", None):
        asked(parser, create())
        identity = f"resp_{status}"
        last = {**done(usage(5, 6), identity=identity), "status": status}
        *begun, _ = answer(identity, None)
        *_, ended = server(parser, [*begun, data("response.done", response=last)])
        assert ended is not None
        assert ended.event == "ended"
        assert output_of(ended) == 6
        assert reading_of(ended).stop_reason == (status or "completed")


def test_done_behind_the_end_is_not_the_next_calls() -> None:
    parser = open_socket()
    asked(parser, create())
    *_, ended = server(parser, answer("resp_1", usage(5, 6)))
    second = asked(parser, create())
    again = data("response.done", response=done(usage(5, 6), identity="resp_1"))
    nameless = data("response.done", response={"usage": usage(5, 6)})
    assert server(parser, [again, nameless]) == [None, None]
    *_, other = server(parser, answer("resp_2", usage(7, 8)))
    assert other is not None
    assert (output_of(ended), output_of(other), other.key) == (6, 8, second.key)


def test_what_asks_for_nothing_is_no_call() -> None:
    parser = open_socket()
    for message in (
        {"type": "response.processed", "response_id": "resp_1"},
        {"type": "response.steer", "previous_response_id": "resp_1", "input": "No."},
        {"type": "something.new"},
        {},
    ):
        assert client(parser, message) is None
    assert (
        server(
            parser,
            [
                {"type": "codex.rate_limits", "rate_limits": {"primary": {"used_percent": 3}}},
                {"type": "response.steer.accepted", "steer": {"id": "st_1"}},
                refusal(400),
                data("response.completed", response=done(usage(1, 1))),
                {"error": {}},
            ],
        )
        == [None] * 5
    )
    assert parser.close() == []


def test_without_lanes_calls_are_answered_in_order() -> None:
    parser = open_socket()
    first, second = asked(parser, create()), asked(parser, create())
    assert first.key != second.key
    server(parser, answer("resp_1", usage(10, 1)))
    server(parser, answer("resp_2", usage(20, 2)))
    assert (output_of(first), output_of(second)) == (1, 2)


def test_ids_tie_messages_to_calls_within_a_lane() -> None:
    """A lane that runs two at once is told apart by the responses' ids."""
    parser = open_socket()
    first, second = asked(parser, create()), asked(parser, create())
    one, two = answer("resp_1", usage(10, 1)), answer("resp_2", usage(20, 2))
    server(parser, [one[0], two[0], two[-1], one[-1]])
    assert (output_of(first), output_of(second)) == (1, 2)


def test_an_end_whose_beginning_was_missed_is_the_next_calls() -> None:
    parser = open_socket()
    begun = asked(parser, create())
    assert server(parser, answer("resp_1", usage(10, 1))[-1:])[0] is not None
    assert output_of(begun) == 1


def test_a_refusal_ends_the_call_that_was_asked_last() -> None:
    parser = open_socket()
    running = asked(parser, create())
    server(parser, answer("resp_1", usage(10, 1))[:3])
    waiting = asked(parser, create())
    (news,) = server(parser, [refusal(429)])
    assert news is not None
    assert (news.key, news.event, news.error_status) == (waiting.key, "ended", 429)
    assert reading_of(news).error == "usage_limit_reached"
    server(parser, answer("resp_1", usage(10, 1))[3:])
    assert output_of(running) == 1
    assert reading_of(running).error is None


def test_an_error_in_mid_stream_ends_the_running_call() -> None:
    parser = open_socket()
    running = asked(parser, create())
    server(parser, answer("resp_1", usage(10, 1))[:3])
    waiting = asked(parser, create())
    (news,) = server(parser, [refusal(None)])
    assert news is not None
    assert (news.key, news.event, news.error_status) == (running.key, "ended", None)
    late = data("response.failed", response=response("failed", identity="resp_1"))
    assert server(parser, [late]) == [None]
    server(parser, answer("resp_2", usage(20, 2)))
    assert output_of(waiting) == 2


def test_an_error_is_its_lanes() -> None:
    parser = open_socket()
    a, b = asked(parser, create("a")), asked(parser, create("b"))
    (news,) = server(parser, [refusal(503, "b")])
    assert news is not None
    assert (news.key, news.error_status) == (b.key, 503)
    server(parser, answer("resp_1", usage(10, 1), "a"))
    assert output_of(a) == 1


def test_a_status_that_is_no_error_is_not_told() -> None:
    parser = open_socket()
    asked(parser, create())
    (news,) = server(parser, [refusal(7)])
    assert news is not None
    assert news.error_status is None


def test_a_gateway_that_has_one_id_for_all() -> None:
    parser = open_socket()
    first, second = asked(parser, create()), asked(parser, create())
    server(parser, answer("resp", usage(10, 1)))
    server(parser, answer("resp", usage(20, 2)))
    assert (output_of(first), output_of(second)) == (1, 2)


def test_the_close_leaves_what_has_not_ended() -> None:
    parser = open_socket()
    first, second = asked(parser, create("a")), asked(parser, create("b"))
    server(parser, answer("resp_1", usage(10, 1), "a")[:3])
    left = parser.close()
    assert [(news.key, news.event) for news in left] == [
        (first.key, "ended"), (second.key, "ended"),
    ]  # fmt: skip
    assert [reading_of(news).response_id for news in left] == ["resp_1", None]
    assert [reading_of(news).ended for news in left] == [False, False]
    assert parser.close() == []


def test_xai_has_its_accent_here_too() -> None:
    parser = open_socket("xai.responses")
    begun = asked(parser, create())
    server(parser, answer("resp_1", {**usage(10, 1), "cost_in_usd_ticks": 25_000_000}))
    assert reading_of(begun).provider_cost_usd == 0.0025


def test_many_lanes_are_not_kept_forever() -> None:
    parser = open_socket()
    kept = asked(parser, create("kept"))
    for number in range(2000):
        news = asked(parser, create(f"lane-{number}"))
        server(parser, answer(f"resp_{number}", usage(number, 1), f"lane-{number}"))
        assert reading_of(news).parts[0].uncached_input_tokens == number
    assert len(parser._lanes) < 600  # type: ignore[attr-defined] # its memory
    server(parser, answer("resp_kept", usage(10, 3), "kept"))
    assert output_of(kept) == 3


LANES = st.sampled_from([None, "a", "b", "c"])
ENDS = st.sampled_from(["completed", "incomplete", "failed", "error", "cut"])


@st.composite
def calls(draw: st.DrawFn) -> list[Message]:
    """The server's messages of one call, in some lane."""
    identity = draw(st.uuids()).hex
    lane = draw(LANES)
    end = draw(ENDS)
    used = usage(draw(st.integers(0, 9000)), draw(st.integers(0, 500)))
    messages = answer(identity, used, lane, output=[CALL] if draw(st.booleans()) else [MESSAGE])
    messages[2:-1] *= draw(st.integers(0, 3))
    if end == "cut":
        return messages[:-1]
    if end == "error":
        return [*messages[:-1], refusal(None, lane)]
    messages[-1]["type"] = f"response.{end}"
    messages[-1]["response"]["status"] = end
    return messages


def lane_of(messages: list[Message]) -> str | None:
    lane = messages[0].get("stream_id")
    assert lane is None or isinstance(lane, str)
    return lane


def alone(messages: list[Message]) -> Reading:
    parser = open_socket()
    begun = asked(parser, create(lane_of(messages)))
    server(parser, messages)
    parser.close()
    return reading_of(begun)


@given(told=st.lists(calls(), min_size=1, max_size=6), draw=st.data())
def test_any_interleaving_of_lanes_reads_as_each_call_alone(
    told: list[list[Message]], draw: st.DataObject
) -> None:
    """Lanes are interleaved message by message; within a lane calls follow each other."""
    # Only the last call of a lane can be cut: what comes after a cut is not in order.
    lanes: dict[str | None, list[list[Message]]] = {}
    for messages in told:
        mine = lanes.setdefault(lane_of(messages), [])
        if not mine or mine[-1][-1]["type"] != "response.output_item.done":
            mine.append(messages)
    parser = open_socket()
    queues = {lane: [message for call in mine for message in call] for lane, mine in lanes.items()}
    begun = {id(call): asked(parser, create(lane)) for lane, mine in lanes.items() for call in mine}
    ended: list[str] = []
    while any(queues.values()):
        lane = draw.draw(st.sampled_from([lane for lane, queue in queues.items() if queue]))
        (news,) = server(parser, [queues[lane].pop(0)])
        if news is not None and news.event == "ended":
            ended.append(news.key)
    ended += [news.key for news in parser.close()]
    assert sorted(ended) == sorted(news.key for news in begun.values())
    for mine in lanes.values():
        for call in mine:
            assert reading_of(begun[id(call)]) == alone(call)


@given(
    messages=st.lists(
        st.tuples(
            st.booleans(),
            st.one_of(
                garbage(),
                st.binary(max_size=40),
                st.sampled_from(
                    [
                        json.dumps(message).encode()
                        for message in (
                            create(), create("a"), refusal(), refusal(None, "a"),
                            {"type": "response.created", "response": None},
                            {"type": "response.completed", "response": {"id": 7, "usage": []}},
                            {"type": "response.output_item.done", "item": {"type": []}},
                            *answer("resp_1", usage(1, 2)), *answer("resp_2", None, "a"),
                        )
                    ]
                ),
            ),
        ),
        max_size=30,
    )
)  # fmt: skip
def test_garbage_never_raises_and_no_call_ends_twice(messages: list[tuple[bool, bytes]]) -> None:
    parser = open_socket()
    state: dict[str, str] = {}
    for from_client, message in messages:
        news = (parser.client_message if from_client else parser.server_message)(message)
        if news is None:
            continue
        assert state.get(news.key) != "ended"
        assert (news.key in state) is not (news.event == "begun") or news.event == "ended"
        state[news.key] = news.event
        reading = reading_of(news)
        assert msgspec.json.decode(msgspec.json.encode(reading), type=Reading) == reading
    for news in parser.close():
        assert state[news.key] != "ended"
        state[news.key] = "ended"
    assert set(state.values()) <= {"ended"}


@pytest.mark.parametrize("name", SKIPPED)
def test_what_is_not_looked_at_is_output_of_the_lanes_running_response(name: bytes) -> None:
    assert is_content(name)
    assert name not in READ
    for lane in (None, "a"):
        parser = open_socket()

        def say(message: Message, parser: SocketParser = parser) -> SocketNews | None:
            return server(parser, [message])[0]

        output = on(lane, {"type": name.decode()})
        assert say(output) is None
        begun = asked(parser, create(lane))
        assert say(output) is None
        first, *_, last = answer("resp_1", usage(12, 42), lane)
        say(first)
        assert not reading_of(begun).content_started
        for told in (output, {**output, "response_id": "resp_1"}):
            news = say(told)
            assert reading_of(news) is reading_of(begun)
            assert news is not None
            assert (news.key, news.event, news.changed) == (begun.key, "progressed", False)
            assert reading_of(begun).content_started
        assert say(on("other", {"type": name.decode()})) is None
        ended = say(last)
        assert ended is not None
        assert ended.event == "ended"
        assert say(output) is None
