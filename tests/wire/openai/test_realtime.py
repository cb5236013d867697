"""Realtime: answers and transcripts on one WebSocket, each a call."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.fixtures.openai_audio import MINUTE, TOKENS
from tests.wire.openai.test_websocket import open_socket, reading_of, server
from tests.wire.strategies import garbage
from tokenproxy.wire import notes
from tokenproxy.wire.dialect import Head, SocketNews, SocketParser
from tokenproxy.wire.routes import dialect
from tokenproxy.wire.usage import Reading, RequestFacts, ToolResult, ToolUse, UsagePart

MODEL = "gpt-realtime-2"
WRITER = "gpt-4o-transcribe"
TRANSCRIPT = "conversation.item.input_audio_transcription"

USAGE: dict[str, Any] = {
    "input_tokens": 500,
    "input_token_details": {
        "text_tokens": 120,
        "audio_tokens": 370,
        "image_tokens": 10,
        "cached_tokens": 300,
        "cached_tokens_details": {"text_tokens": 100, "audio_tokens": 200},
    },
    "output_tokens": 80,
    "output_token_details": {"text_tokens": 20, "audio_tokens": 60},
    "total_tokens": 580,
}
PART = UsagePart(
    uncached_input_tokens=200,
    cache_read_input_tokens=300,
    output_tokens=80,
    modality_tokens={
        "input_audio": 170,
        "cache_audio_read": 200,
        "input_image": 10,
        "output_audio": 60,
    },
)


def realtime() -> SocketParser:
    return open_socket("openai.realtime")


def session(kind: str = "session.created", *, transcribes: bool = True) -> dict[str, Any]:
    transcription = {"model": WRITER} if transcribes else None
    return {
        "type": kind,
        "session": {
            "model": MODEL,
            "audio": {"input": {"transcription": transcription}},
            "tools": [{"type": "function", "name": "weather"}],
        },
    }


def created(identity: str = "resp_1") -> dict[str, Any]:
    response = {"id": identity, "status": "in_progress", "usage": None, "max_output_tokens": "inf"}
    return {"type": "response.created", "response": response}


def done(identity: str = "resp_1", *, usage: Any = USAGE, **more: Any) -> dict[str, Any]:
    response = {"id": identity, "status": "completed", "output": [], "usage": usage, **more}
    return {"type": "response.done", "response": response}


def delta(identity: str = "resp_1") -> dict[str, Any]:
    return {"type": "response.output_audio.delta", "response_id": identity, "delta": "AAAA"}


def committed(item: str = "item_1") -> dict[str, Any]:
    return {"type": "input_audio_buffer.committed", "item_id": item}


def written(item: str = "item_1", usage: Any = TOKENS) -> dict[str, Any]:
    return {"type": f"{TRANSCRIPT}.completed", "item_id": item, "transcript": "x", "usage": usage}


def summary(news: SocketNews | None) -> tuple[str, str, bool] | None:
    return None if news is None else (news.key, news.event, news.request is not None)


def test_an_answer_from_created_to_done() -> None:
    parser = realtime()
    news = server(parser, [session(), created(), delta(), done()])
    assert [summary(each) for each in news] == [
        None, ("1", "begun", True), ("1", "progressed", False), ("1", "ended", False),
    ]  # fmt: skip
    assert news[1] is not None
    assert news[1].request == RequestFacts(model=MODEL, stream=True, offers_tools=True)
    reading = reading_of(news[-1])
    assert (reading.model, reading.response_id, reading.stop_reason) == (
        MODEL, "resp_1", "completed",
    )  # fmt: skip
    assert (reading.parts, reading.usage, reading.completeness) == ((PART,), [USAGE], "final")
    assert (reading.ended, reading.content_started, reading.notes) == (True, True, ())
    assert parser.close() == []


def test_two_answers_at_once() -> None:
    """Out of band of the conversation the client may have several made."""
    less = {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}
    news = server(
        realtime(), [created("a"), created("b"), delta("b"), done("b", usage=less), done("a")]
    )
    assert [each and each.key for each in news] == ["1", "2", "2", "2", "1"]
    assert reading_of(news[3]).parts[0].output_tokens == 2
    assert reading_of(news[4]).parts == (PART,)


@pytest.mark.parametrize(
    ("more", "stop_reason", "error"),
    [
        ({"status": "cancelled", "status_details": {"reason": "turn_detected"}},
         "turn_detected", None),
        ({"status": "incomplete", "status_details": {"reason": "max_output_tokens"}},
         "max_output_tokens", None),
        ({"status": "failed", "status_details": {"error": {"type": "server_error"}}},
         "failed", "server_error"),
        ({"status": "failed"}, "failed", "server_error"),
        ({"status": "completed", "status_details": None}, "completed", None),
    ],
)  # fmt: skip
def test_why_an_answer_ended(more: dict[str, Any], stop_reason: str, error: str | None) -> None:
    reading = reading_of(server(realtime(), [created(), done(**more)])[-1])
    assert (reading.stop_reason, reading.error, reading.parts) == (stop_reason, error, (PART,))


def test_an_answer_without_usage_says_so() -> None:
    reading = reading_of(server(realtime(), [created(), done(usage=None)])[-1])
    assert (reading.completeness, reading.notes) == ("none", (notes.USAGE_ABSENT,))


def test_cached_tokens_of_unknown_kinds() -> None:
    usage = {
        "input_tokens": 100, "output_tokens": 5, "total_tokens": 105,
        "input_token_details": {"audio_tokens": 40, "cached_tokens": 30},
    }  # fmt: skip
    reading = reading_of(server(realtime(), [created(), done(usage=usage)])[-1])
    assert reading.notes == (notes.CACHE_KINDS_UNKNOWN,)
    assert reading.parts[0].cache_read_input_tokens == 30


def test_tools_that_it_asks_for_and_their_results() -> None:
    parser = realtime()
    call = {"type": "function_call", "id": "item_9", "call_id": "call_1", "name": "weather"}
    first = server(parser, [created(), done(output=[call])])[-1]
    assert reading_of(first).tool_uses == (ToolUse("call_1", "weather"),)
    result = {
        "type": "conversation.item.create",
        "item": {"type": "function_call_output", "call_id": "call_1", "output": "sun"},
    }
    assert parser.client_message(json.dumps(result).encode()) is None
    assert parser.client_message(b'{"type":"response.create"}') is None
    begun, again = server(parser, [created("resp_2"), created("resp_3")])
    assert begun is not None
    assert begun.request is not None
    assert begun.request.tool_results == (ToolResult("call_1"),)
    assert again is not None
    assert again.request == RequestFacts(stream=True)


def test_a_transcript_is_another_models_call() -> None:
    parser = realtime()
    news = server(parser, [session(), committed(), created(), done(), written()])
    assert [summary(each) for each in news[1:]] == [
        ("1", "begun", True), ("2", "begun", True), ("2", "ended", False), ("1", "ended", False),
    ]  # fmt: skip
    reading = reading_of(news[-1])
    assert (reading.model, reading.response_id, reading.usage) == (WRITER, "item_1", [TOKENS])
    assert reading.parts == (
        UsagePart(
            role="transcription",
            uncached_input_tokens=140,
            output_tokens=45,
            modality_tokens={"input_audio": 128},
        ),
    )
    assert (reading.completeness, reading.ended) == ("final", True)


def test_a_transcript_that_is_billed_by_duration() -> None:
    reading = reading_of(server(realtime(), [session(), committed(), written(usage=MINUTE)])[-1])
    assert (reading.parts, reading.completeness, reading.usage) == ((), "none", [MINUTE])
    assert reading.notes == (notes.BILLED_BY_DURATION,)


def test_a_transcript_whose_first_message_is_its_last() -> None:
    (news,) = server(realtime(), [written()])
    assert summary(news) == ("1", "ended", True)
    assert reading_of(news).parts[0].output_tokens == 45


def test_a_transcript_that_failed() -> None:
    failed = {"type": f"{TRANSCRIPT}.failed", "item_id": "item_1", "error": {"code": "bad_audio"}}
    news = server(realtime(), [session(), committed(), failed])[-1]
    assert news is not None
    assert (news.event, reading_of(news).error) == ("ended", "bad_audio")


def test_without_transcription_what_is_said_is_no_call() -> None:
    parser = realtime()
    assert server(parser, [session(transcribes=False), committed()]) == [None, None]
    old = {"type": "session.updated", "session": {"input_audio_transcription": {"model": "w"}}}
    assert [summary(each) for each in server(parser, [old, committed()])] == [
        None, ("1", "begun", True),
    ]  # fmt: skip


def test_what_belongs_to_no_call() -> None:
    parser = realtime()
    assert (
        server(
            parser,
            [
                {"type": "error", "error": {"type": "invalid_request_error"}},
                {"type": "rate_limits.updated", "rate_limits": []},
                {"type": "conversation.item.created", "item": {"id": "item_1"}},
                delta("unknown"),
                {"type": "response.created", "response": {}},
            ],
        )
        == [None] * 5
    )
    assert parser.close() == []


def test_the_close_leaves_what_is_not_done() -> None:
    parser = realtime()
    server(parser, [session(), committed(), created(), delta()])
    left = parser.close()
    assert [(news.key, news.event) for news in left] == [("1", "ended"), ("2", "ended")]
    assert [reading_of(news).ended for news in left] == [False, False]
    assert parser.close() == []


def test_an_upgrade_that_was_refused() -> None:
    parser = dialect("openai.realtime").open_response(Head(status=401))
    parser.feed(b'{"error":{"type":"invalid_request_error","code":"invalid_api_key"}}')
    parser.close()
    assert parser.reading.error == "invalid_request_error"
    assert dialect("openai.realtime").read_request(b"") == RequestFacts()


MESSAGES = [
    json.dumps(message).encode()
    for message in (
        session(), session(transcribes=False), created(), created("b"), delta(), done(), done("b"),
        committed(), written(), written(usage=MINUTE), written("item_2", None), {"type": 7},
        {"type": "response.done", "response": {"id": "a", "usage": {"input_tokens": "x"}}},
        {"type": "session.updated", "session": {"audio": [], "tools": 7}},
        {"type": "conversation.item.create", "item": {"type": "function_call_output"}},
    )
]  # fmt: skip


@given(
    messages=st.lists(
        st.tuples(st.booleans(), st.one_of(garbage(), st.sampled_from(MESSAGES))), max_size=30
    )
)
def test_garbage_never_raises_and_every_call_ends_once(messages: list[tuple[bool, bytes]]) -> None:
    parser = realtime()
    state: dict[str, str] = {}
    for from_client, message in messages:
        news = (parser.client_message if from_client else parser.server_message)(message)
        if news is None:
            continue
        assert state.get(news.key) != "ended"
        assert (news.key not in state) is (news.request is not None)
        state[news.key] = news.event
        reading = reading_of(news)
        assert msgspec.json.decode(msgspec.json.encode(reading), type=Reading) == reading
    for news in parser.close():
        assert state[news.key] != "ended"
        state[news.key] = "ended"
    assert set(state.values()) <= {"ended"}
