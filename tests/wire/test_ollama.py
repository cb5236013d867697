from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.fixtures.ollama import COUNTS, LINES, TOOL, last, line
from tests.wire.strategies import chunked, cuts, garbage
from tokenproxy.wire import notes
from tokenproxy.wire.dialect import Head, ResponseParser
from tokenproxy.wire.digest import prompt_digest
from tokenproxy.wire.ollama import CHAT
from tokenproxy.wire.usage import Reading, RequestFacts, ResponseFacts, ToolResult, UsagePart


def open_parser(
    content_type: str = LINES["content-type"], *, status: int = 200, operation: str = "chat"
) -> ResponseParser:
    return CHAT.open_response(Head(status=status, content_type=content_type, operation=operation))


def read(body: bytes, content_type: str = LINES["content-type"]) -> Reading:
    parser = open_parser(content_type)
    parser.feed(body)
    parser.close()
    parser.close()
    assert parser.take_items() == []
    return parser.reading


@pytest.mark.parametrize(
    ("counts", "parts", "completeness", "said"),
    [
        (COUNTS, (UsagePart(uncached_input_tokens=12, output_tokens=55),), "final", ()),
        ({"eval_count": 55}, (UsagePart(output_tokens=55),), "partial", ()),
        ({"prompt_eval_count": 12}, (UsagePart(uncached_input_tokens=12),), "partial", ()),
        ({}, (), "none", (notes.USAGE_ABSENT,)),
        (
            {"prompt_eval_count": 0, "eval_count": 0},
            (UsagePart(uncached_input_tokens=0, output_tokens=0),),
            "final",
            (),
        ),
        (
            {"prompt_eval_count": "12", "eval_count": 55},
            (UsagePart(output_tokens=55),),
            "partial",
            (notes.BAD_COUNT,),
        ),
    ],
)
def test_a_count_that_is_not_there_is_not_0(
    counts: dict[str, Any], parts: tuple[UsagePart, ...], completeness: str, said: tuple[str, ...]
) -> None:
    """The server leaves out what is 0 and what it did not count, and does not say which it was."""
    reading = read(line("Good") + last(**counts))
    assert (reading.parts, reading.completeness, reading.notes) == (parts, completeness, said)
    assert reading.ended


@pytest.mark.parametrize("reason", ["load", "unload"])
def test_loading_a_model_is_no_answer(reason: str) -> None:
    reading = read(last(reason), "application/json")
    assert (reading.ended, reading.stop_reason, reading.parts) == (True, reason, ())
    assert reading.notes == ()


def test_tool_calls_of_either_api() -> None:
    generate = json.dumps({"model": "m", "done": False, "tool_calls": [TOOL]}).encode() + b"\n"
    assert read(generate + last()).tool_uses == read(line(tool_calls=[TOOL]) + last()).tool_uses
    assert len(read(generate).tool_uses) == 1
    for odd in ({"id": 7, "function": {"name": "x"}}, {"id": "a"}, {"id": "a", "function": None}):
        assert read(line(tool_calls=[odd])).tool_uses == ()


def test_what_cannot_be_read() -> None:
    assert read(b"<html>", "text/html").notes == (notes.BODY_UNREADABLE,)
    reading = read(b"[]\n" + last(**COUNTS))
    assert (reading.notes, reading.completeness) == ((notes.EVENT_UNREADABLE,), "final")


def test_content_begins_with_the_first_line() -> None:
    parser = open_parser()
    assert parser.feed(line("Good")[:-1]) is False
    assert parser.reading.content_started is False
    seen = [(parser.feed(each), parser.reading.content_started) for each in (b"\n", line("x"))]
    assert seen == [(True, True), (False, True)]


def test_requests() -> None:
    messages = [
        {"role": "user", "content": "do it"},
        {"role": "assistant", "tool_calls": [TOOL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "secret"},
    ]
    body = {
        "model": "llama3.2",
        "messages": messages,
        "tools": [{"type": "function"}],
        "options": {
            "num_predict": 9,
            "temperature": 0.3,
            "top_p": 0.75,
            "top_k": 40,
            "stop": ["END", "\n"],
        },
    }
    facts = CHAT.read_request(json.dumps(body).encode())
    assert facts == RequestFacts(
        model="llama3.2",
        stream=True,
        max_tokens=9,
        temperature=0.3,
        top_p=0.75,
        top_k=40,
        stop_sequences=("END",),
        offers_tools=True,
        tool_results=(ToolResult("call_1"),),
        prompt_digest=prompt_digest(json.dumps(messages).encode()),
    )


@pytest.mark.parametrize(
    ("body", "facts"),
    [
        (b"{}", RequestFacts(stream=True)),
        (b'{"stream":null}', RequestFacts(stream=True)),
        (b'{"stream":true}', RequestFacts(stream=True)),
        (b'{"stream":false}', RequestFacts(stream=False)),
        (b'{"options":{"num_predict":-1}}', RequestFacts(stream=True)),
        (b'{"prompt":"x"}', RequestFacts(stream=True, prompt_digest=prompt_digest(b'"x"'))),
        (b'{"input":"x"}', RequestFacts(stream=True, prompt_digest=prompt_digest(b'"x"'))),
        (b"[]", RequestFacts(malformed=True)),
        (b"", RequestFacts(malformed=True)),
    ],
)
def test_a_stream_is_what_it_makes_unless_told_otherwise(body: bytes, facts: RequestFacts) -> None:
    assert CHAT.read_request(body) == facts


def test_headers() -> None:
    assert CHAT.read_response_headers({}) == ResponseFacts()
    assert CHAT.read_response_headers({"retry-after": "2"}) == ResponseFacts(retry_after_s=2.0)


PIECES = (line("Good"), line(thinking="Hm"), line(tool_calls=[TOOL]), last(**COUNTS), last(None))


@given(
    body=st.lists(st.sampled_from(PIECES), max_size=5).map(b"".join),
    content_type=st.sampled_from([LINES["content-type"], "application/json"]),
    data=st.data(),
)
def test_any_chunking_reads_the_same(body: bytes, content_type: str, data: st.DataObject) -> None:
    parser = open_parser(content_type)
    for piece in chunked(body, data.draw(cuts(len(body)))):
        parser.feed(piece)
    parser.close()
    assert parser.reading == read(body, content_type)


@pytest.mark.parametrize("nothing", ["null", '""', "{}"])
def test_no_error_is_none(nothing: str) -> None:
    whole = read(b'{"model":"q","done":true,"prompt_eval_count":12,"eval_count":55,"error":%s}'
                 % nothing.encode())  # fmt: skip
    assert (whole.error, whole.completeness, whole.ended) == (None, "final", True)


@given(
    body=garbage(),
    before=st.sampled_from([b"", line("Good"), last(**COUNTS), b'{"error":']),
    content_type=st.sampled_from(["", LINES["content-type"], "application/json"]),
    status=st.sampled_from([200, 302, 404, 599]),
    operation=st.sampled_from(["chat", "embeddings"]),
    data=st.data(),
)
def test_garbage_never_raises(
    *,
    body: bytes,
    before: bytes,
    content_type: str,
    status: int,
    operation: str,
    data: st.DataObject,
) -> None:
    parser = open_parser(content_type, status=status, operation=operation)
    body = before + body
    for piece in chunked(body, data.draw(cuts(len(body)))):
        parser.feed(piece)
    parser.close()
    reading = parser.reading
    assert msgspec.json.decode(msgspec.json.encode(reading), type=Reading) == reading
    CHAT.read_request(body)
