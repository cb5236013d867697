from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.wire.fixtures.google import QUOTA, document, split
from tests.wire.strategies import garbage
from tokenproxy.wire import notes
from tokenproxy.wire.dialect import Head, SocketDialect, SocketNews, SocketParser
from tokenproxy.wire.google import LIVE
from tokenproxy.wire.routes import match
from tokenproxy.wire.settings import Settings
from tokenproxy.wire.usage import RequestFacts, ResponseFacts, ToolResult, ToolUse, UsagePart

MODEL = "gemini-3.8-live"
SETUP = {
    "setup": {
        "model": f"models/{MODEL}",
        "generationConfig": {"responseModalities": ["AUDIO"], "temperature": 0.5},
        "tools": [{"functionDeclarations": [{"name": "lookup"}]}],
    }
}
SESSION = RequestFacts(
    model=MODEL,
    stream=True,
    temperature=0.5,
    settings=Settings(output_type="speech"),
    offers_tools=True,
)
HELLO = {"clientContent": {"turns": [{"role": "user"}], "turnComplete": True}}
SOUND = {"realtimeInput": {"audio": {"mimeType": "audio/pcm", "data": "AAAA"}}}
SPOKEN = {
    "serverContent": {"modelTurn": {"parts": [{"inlineData": {"data": "AAAA"}}]}},
}
DONE = {"serverContent": {"turnComplete": True}}


def usage(prompt: int, response: int) -> dict[str, Any]:
    return {
        "usageMetadata": {
            "promptTokenCount": prompt,
            "responseTokenCount": response,
            "totalTokenCount": prompt + response,
            "promptTokensDetails": split(TEXT=10, AUDIO=prompt - 10),
            "responseTokensDetails": split(AUDIO=response),
        }
    }


def part(prompt: int, response: int) -> UsagePart:
    return UsagePart(
        uncached_input_tokens=prompt,
        output_tokens=response,
        modality_tokens={"input_audio": prompt - 10, "output_audio": response},
    )


class Connection:
    """Plays messages, and keeps the news."""

    def __init__(self) -> None:
        self.parser: SocketParser = LIVE.open_socket(Head(status=101))
        self.client(SETUP)

    def client(self, message: object) -> SocketNews | None:
        return self.parser.client_message(json.dumps(message).encode())

    def server(self, message: object) -> SocketNews | None:
        return self.parser.server_message(json.dumps(message).encode())

    def turn(self, *messages: object) -> list[SocketNews]:
        return [news for message in messages if (news := self.server(message)) is not None]


def events(news: list[SocketNews]) -> list[tuple[str, str]]:
    return [(one.key, one.event) for one in news]


def test_a_turn() -> None:
    connection = Connection()
    assert connection.server({"setupComplete": {}}) is None
    begun = connection.client(HELLO)
    assert begun is not None
    assert (begun.key, begun.event, begun.request) == ("1", "begun", SESSION)
    news = connection.turn(SPOKEN, SPOKEN, {**DONE, **usage(143, 19)})
    assert events(news) == [("1", "progressed"), ("1", "progressed"), ("1", "ended")]
    reading = news[-1].reading
    assert reading is begun.reading
    assert reading is not None
    assert reading.parts == (part(143, 19),)
    assert (reading.completeness, reading.ended, reading.content_started) == ("final", True, True)
    assert connection.parser.close() == []


def test_turns_of_one_session_are_calls_of_their_own() -> None:
    """All of the session is the input of each turn again, and is billed again."""
    connection = Connection()
    ended = []
    for prompt, response in ((143, 19), (181, 24), (224, 24)):
        connection.client(HELLO)
        ended.append(connection.turn(SPOKEN, {**DONE, **usage(prompt, response)})[-1])
    assert [one.reading.parts for one in ended if one.reading is not None] == [
        (part(143, 19),),
        (part(181, 24),),
        (part(224, 24),),
    ]
    assert [one.key for one in ended] == ["1", "2", "3"]


def test_a_call_of_one_message_says_what_it_was_asked_with() -> None:
    """No message names the model: what a call is asked with has it from the session."""
    connection = Connection()
    call = {"toolCall": {"functionCalls": [{"id": "f1", "name": "lookup"}]}}
    [only] = connection.turn({**call, **usage(143, 19)})
    assert (only.event, only.request) == ("ended", SESSION)
    assert only.reading is not None
    assert only.reading.parts == (part(143, 19),)


def test_a_call_that_begins_is_known_at_once() -> None:
    """Though the one before it ends by the same message: the connection may be over then."""
    connection = Connection()
    first = connection.client(HELLO)
    connection.turn(SPOKEN, DONE)
    [second] = connection.turn(SPOKEN)
    assert first is not None
    assert (first.key, second.key, second.event, second.request) == ("1", "2", "begun", SESSION)
    assert events(connection.parser.close()) == [("1", "ended"), ("2", "ended")]


def test_usage_in_one_turn_is_not_added_up() -> None:
    connection = Connection()
    connection.client(HELLO)
    news = connection.turn({**SPOKEN, **usage(143, 10)}, {**DONE, **usage(143, 19)})
    assert [one.changed for one in news[:1]] == [True]
    assert news[-1].reading is not None
    assert news[-1].reading.parts == (part(143, 19),)


def test_usage_behind_the_end_of_a_turn() -> None:
    connection = Connection()
    connection.client(HELLO)
    news = connection.turn(SPOKEN, DONE, {"sessionResumptionUpdate": {}}, usage(143, 19))
    assert events(news)[-2:] == [("1", "progressed"), ("1", "ended")]
    assert news[-1].reading is not None
    assert news[-1].reading.completeness == "final"


def test_a_turn_that_never_tells_its_usage() -> None:
    connection = Connection()
    connection.client(HELLO)
    connection.turn(SPOKEN, DONE)
    begun = connection.client(HELLO)
    assert begun is not None
    assert (begun.key, begun.event) == ("2", "begun")
    ended = connection.server(SPOKEN)
    assert ended is not None
    assert (ended.key, ended.event) == ("1", "ended")
    assert ended.reading is not None
    assert ended.reading.notes == (notes.USAGE_ABSENT,)
    assert begun.reading is not None
    assert begun.reading.content_started
    assert events(connection.turn({**DONE, **usage(20, 5)})) == [("2", "ended")]


def test_an_answer_to_speech_begins_by_itself() -> None:
    connection = Connection()
    assert connection.client(SOUND) is None
    news = connection.turn(
        {"serverContent": {"inputTranscription": {"text": "hello"}}},
        {"serverContent": {"outputTranscription": {"text": "hi"}}},
        {**DONE, **usage(143, 19)},
    )
    assert events(news) == [("1", "begun"), ("1", "ended")]
    assert news[0].request == SESSION
    assert connection.parser.close() == []


ASKING: list[Any] = [{"realtimeInput": {"text": "hello"}}, {"realtimeInput": {"activityEnd": {}}}]
SILENT: list[Any] = [
    {"clientContent": {"turns": [], "turnComplete": False}},
    {"realtimeInput": {"activityStart": {}}},
    {"realtimeInput": {"audioStreamEnd": True}},
    {"contextUpdate": {}},
]


def test_what_else_asks_for_an_answer() -> None:
    for message in ASKING:
        news = Connection().client(message)
        assert news is not None
        assert news.event == "begun"
    for silent in SILENT:
        assert Connection().client(silent) is None


def test_a_tool_s_result_asks_anew() -> None:
    connection = Connection()
    connection.client(HELLO)
    calls = [{"id": "fc_1", "name": "lookup", "args": {}}, {"id": "fc_2", "name": "lookup"}]
    news = connection.turn({"toolCall": {"functionCalls": calls}, **usage(143, 19)})
    assert events(news) == [("1", "ended")]
    assert news[0].reading is not None
    assert news[0].reading.tool_uses == (ToolUse("fc_1", "lookup"), ToolUse("fc_2", "lookup"))
    answers = [
        {"id": "fc_1", "name": "lookup", "response": {"output": 1}},
        {"id": "fc_2", "name": "lookup", "response": {"error": "no"}},
    ]
    begun = connection.client({"toolResponse": {"functionResponses": answers}})
    assert begun is not None
    assert begun.request is not None
    assert begun.request.tool_results == (ToolResult("fc_1"), ToolResult("fc_2", is_error=True))
    assert begun.request.model == MODEL


def test_an_end_without_an_answer_is_no_call() -> None:
    connection = Connection()
    assert connection.turn(DONE, {"serverContent": {"interrupted": True}}, {"goAway": {}}) == []


def test_an_interruption_belongs_to_what_it_interrupts() -> None:
    connection = Connection()
    connection.client(HELLO)
    connection.turn(SPOKEN)
    assert connection.client(HELLO) is None
    reason = {"serverContent": {"turnComplete": True, "turnCompleteReason": "NEED_MORE_INPUT"}}
    news = connection.turn({"serverContent": {"interrupted": True}}, {**reason, **usage(143, 5)})
    assert events(news)[-1] == ("1", "ended")
    assert news[-1].reading is not None
    assert news[-1].reading.stop_reason == "NEED_MORE_INPUT"
    assert events(connection.turn(SPOKEN)) == [("2", "begun")]


def test_searches() -> None:
    connection = Connection()
    connection.client(HELLO)
    grounded = {"serverContent": {**DONE["serverContent"], "groundingMetadata": {
        "webSearchQueries": ["a", "a", "b"]}}}  # fmt: skip
    news = connection.turn({**grounded, **usage(143, 5)})
    assert news[-1].reading is not None
    assert news[-1].reading.parts[0].server_tool_use == {"web_search_requests": 2}


def test_what_a_closed_connection_leaves() -> None:
    connection = Connection()
    connection.client(HELLO)
    connection.turn({**SPOKEN, **usage(143, 10)})
    left = connection.parser.close()
    assert events(left) == [("1", "ended")]
    assert left[0].reading is not None
    assert (left[0].reading.completeness, left[0].reading.ended) == ("partial", False)
    assert connection.parser.close() == []


def test_an_error_ends_the_call() -> None:
    connection = Connection()
    connection.client(HELLO)
    news = connection.server(QUOTA)
    assert news is not None
    assert (news.event, news.error_status) == ("ended", 429)
    assert news.reading is not None
    assert news.reading.error == "resource_exhausted"


def test_messages_as_vertex_sends_them() -> None:
    connection = Connection()
    connection.client({"setup": {"model": "projects/p/locations/l/publishers/google/models/m"}})
    begun = connection.client(HELLO)
    assert begun is not None
    assert begun.request == RequestFacts(model="m", stream=True)
    counted = {"promptTokenCount": 9, "candidatesTokenCount": 4, "totalTokenCount": 13}
    news = connection.turn({**SPOKEN, **DONE, "usageMetadata": counted})
    assert news[-1].reading is not None
    assert news[-1].reading.parts == (UsagePart(uncached_input_tokens=9, output_tokens=4),)


_MESSAGES = st.sampled_from(
    [
        SETUP,
        HELLO,
        SOUND,
        SPOKEN,
        DONE,
        usage(143, 19),
        {**DONE, **usage(20, 5)},
        {"toolCall": {"functionCalls": [7]}},
        {"toolResponse": {}},
        {"error": {"code": 500}},
        QUOTA,
        "x",
    ]
)


@given(st.lists(st.tuples(st.booleans(), _MESSAGES), max_size=30))
def test_every_call_begins_once_and_ends_once(story: list[tuple[bool, Any]]) -> None:
    connection = Connection()
    told: list[SocketNews] = []
    for from_client, message in story:
        news = connection.client(message) if from_client else connection.server(message)
        if news is not None:
            told.append(news)
    told += connection.parser.close()
    ended = [one.key for one in told if one.event == "ended"]
    begun = [one.key for one in told if one.event == "begun"]
    assert len(ended) == len(set(ended))
    assert len(begun) == len(set(begun))
    assert {one.key for one in told} == set(ended)
    readings = {one.key: one.reading for one in told}
    assert all(one.reading is readings[one.key] for one in told)


@given(garbage())
def test_garbage_never_raises(data: bytes) -> None:
    parser = LIVE.open_socket(Head(status=101))
    for message in (data, b'{"serverContent":{"modelTurn":{"parts":[' + data + b"]}}}"):
        parser.client_message(message)
        parser.server_message(message)
    parser.close()
    LIVE.read_request(data)


def test_the_rest_of_the_dialect() -> None:
    assert isinstance(LIVE, SocketDialect)
    assert LIVE.read_request(b"") == RequestFacts(stream=True)
    assert LIVE.read_request(b"{}") == RequestFacts(stream=True)
    assert LIVE.read_request(b"[]") == RequestFacts(malformed=True)
    assert LIVE.read_request(json.dumps(SETUP).encode()) == SESSION
    assert LIVE.read_response_headers({}) == ResponseFacts()
    refused = LIVE.open_response(Head(status=403))
    refused.feed(document({"error": {"code": 403, "status": "PERMISSION_DENIED"}}))
    refused.close()
    assert refused.reading.error == "permission_denied"


def test_paths() -> None:
    service = "/ws/google.ai.generativelanguage.v1alpha.GenerativeService"
    for provider, path in (
        ("google", f"{service}.BidiGenerateContent?key=k"),
        ("google", f"{service}.BidiGenerateContentConstrained"),
        ("vertex", "/ws/google.cloud.aiplatform.v1beta1.LlmBidiService/BidiGenerateContent"),
    ):
        route = match(provider, "GET", path)
        assert route is not None
        assert (route.dialect, route.socket, route.operation) == ("google.live", True, "realtime")
