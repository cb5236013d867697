from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.fixtures.cohere import (
    EVENTS,
    LINES,
    START,
    TEXT,
    THINKING,
    TOOL,
    USAGE,
    V1_BEGUN,
    end,
    events,
    lines,
    stream_end,
    units,
    v1,
    v2,
)
from tests.wire.strategies import chunked, cuts, garbage
from tokenproxy.wire import notes
from tokenproxy.wire.cohere import CHAT
from tokenproxy.wire.dialect import Head, ResponseParser
from tokenproxy.wire.digest import prompt_digest
from tokenproxy.wire.usage import Reading, RequestFacts, ResponseFacts, ToolResult, UsagePart


def open_parser(
    content_type: str = "application/json", *, status: int = 200, operation: str = "chat"
) -> ResponseParser:
    return CHAT.open_response(Head(status=status, content_type=content_type, operation=operation))


def read(body: Any, content_type: str = "application/json", operation: str = "chat") -> Reading:
    parser = open_parser(content_type, operation=operation)
    parser.feed(body if isinstance(body, bytes) else json.dumps(body).encode())
    parser.close()
    parser.close()
    assert parser.take_items() == []
    return parser.reading


def test_what_is_billed_counts_and_not_what_the_model_saw() -> None:
    usage = units(12, 55, cached_tokens=0)
    reading = read(v2(usage))
    assert reading.parts == (
        UsagePart(uncached_input_tokens=12, cache_read_input_tokens=0, output_tokens=55),
    )
    assert reading.usage == [usage]


@pytest.mark.parametrize(
    ("usage", "parts", "completeness", "said"),
    [
        ({}, (), "none", (notes.USAGE_ABSENT,)),
        ({"billed_units": 7, "tokens": None}, (), "none", (notes.USAGE_ABSENT,)),
        ({"billed_units": {}}, (), "none", (notes.USAGE_ABSENT,)),
        (
            {"billed_units": {"output_tokens": 5}, "tokens": {"input_tokens": 9}},
            (UsagePart(output_tokens=5),),
            "partial",
            (),
        ),
        (
            {"billed_units": {"search_units": 1, "input_tokens": 1, "output_tokens": 2}},
            (
                UsagePart(
                    uncached_input_tokens=1, output_tokens=2, server_tool_use={"search_units": 1}
                ),
            ),
            "final",
            (),
        ),
        (
            {"billed_units": {"input_tokens": 1, "output_tokens": 2, "search_units": 0}},
            (UsagePart(uncached_input_tokens=1, output_tokens=2),),
            "final",
            (),
        ),
        (
            {"billed_units": {"input_tokens": 1.5, "output_tokens": 2}},
            (UsagePart(output_tokens=2),),
            "partial",
            (notes.BAD_COUNT,),
        ),
    ],
)
def test_usage(
    usage: dict[str, Any], parts: tuple[UsagePart, ...], completeness: str, said: tuple[str, ...]
) -> None:
    reading = read(v2(usage))
    assert (reading.parts, reading.completeness, reading.notes) == (parts, completeness, said)


def test_the_reasons_that_are_errors() -> None:
    for reason in ("ERROR", "ERROR_TOXIC", "ERROR_LIMIT", "TIMEOUT"):
        reading = read(v2(USAGE, finish_reason=reason))
        assert (reading.error, reading.stop_reason) == (reason.lower(), reason)
    for reason in ("COMPLETE", "STOP_SEQUENCE", "MAX_TOKENS", "TOOL_CALL", "USER_CANCEL"):
        assert read(v2(USAGE, finish_reason=reason)).error is None


def test_content_begins_after_the_beginning() -> None:
    for content_type, begun, content in (
        (EVENTS, events(START), events(*TEXT)),
        (EVENTS, events(START), events(TEXT[1])),
        (LINES, lines(V1_BEGUN[0]), lines(V1_BEGUN[1])),
    ):
        parser = open_parser(content_type["content-type"])
        seen = [(parser.feed(body), parser.reading.content_started) for body in (begun, content)]
        assert seen == [(True, False), (False, True)]


def test_version_1_over_server_sent_events() -> None:
    body = b"".join(
        b"data: " + line + b"\n\n" for line in lines(*V1_BEGUN, stream_end(USAGE)).splitlines()
    )
    reading = read(body, "text/event-stream")
    assert reading.parts == (UsagePart(uncached_input_tokens=12, output_tokens=55),)
    assert (reading.completeness, reading.ended) == ("final", True)


def test_a_whole_answer_where_lines_were_said_to_come() -> None:
    reading = read(v1(USAGE), LINES["content-type"])
    assert (reading.completeness, reading.response_id) == ("final", "r-1")


@pytest.mark.parametrize(
    ("body", "content_type", "said"),
    [
        (b"<html>", "application/json", (notes.BODY_UNREADABLE,)),
        (b"event: message-end\ndata: {x\n\n", "text/event-stream", (notes.EVENT_UNREADABLE,)),
        (b"event: message-end\ndata: {x", "text/event-stream", ()),
        (b"{x\n{", "application/stream+json", (notes.EVENT_UNREADABLE,)),
    ],
)
def test_what_cannot_be_read(body: bytes, content_type: str, said: tuple[str, ...]) -> None:
    reading = read(body, content_type)
    assert (reading.completeness, reading.ended) == ("none", False)
    assert reading.notes == said


def test_requests() -> None:
    messages = [
        {"role": "user", "content": "do it"},
        {"role": "assistant", "tool_calls": [{"id": "Bash_1"}]},
        {"role": "tool", "tool_call_id": "Bash_1", "content": "secret"},
    ]
    facts = CHAT.read_request(
        json.dumps(
            {
                "model": "command-a-03-2025",
                "stream": True,
                "messages": messages,
                "max_tokens": 9,
                "temperature": 0.3,
                "p": 0.75,
                "k": 40,
                "stop_sequences": ["END", "\n"],
                "tools": [{"type": "function"}],
            }
        ).encode()
    )
    assert facts == RequestFacts(
        model="command-a-03-2025",
        stream=True,
        max_tokens=9,
        temperature=0.3,
        top_p=0.75,
        top_k=40,
        stop_sequences=("END",),
        offers_tools=True,
        tool_results=(ToolResult("Bash_1"),),
        prompt_digest=prompt_digest(json.dumps(messages).encode()),
    )


@pytest.mark.parametrize("field", ["message", "prompt", "texts", "inputs", "query"])
def test_what_else_is_asked(field: str) -> None:
    facts = CHAT.read_request(json.dumps({field: "hello"}).encode())
    assert facts == RequestFacts(prompt_digest=prompt_digest(b'"hello"'))


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b"{", b"\xff"])
def test_malformed(data: bytes) -> None:
    assert CHAT.read_request(data) == RequestFacts(malformed=True)


def test_headers() -> None:
    headers = {
        "x-debug-trace-id": "abc",
        "x-trial-endpoint-call-limit": "10",
        "x-other": "1",
        "retry-after": "2",
    }
    assert CHAT.read_response_headers(headers) == ResponseFacts(
        request_id="abc", rate_limits={"x-trial-endpoint-call-limit": "10"}, retry_after_s=2.0
    )


@st.composite
def streams(draw: st.DrawFn) -> tuple[str, bytes]:
    if draw(st.booleans()):
        last = draw(st.sampled_from([(), (stream_end(USAGE),), (stream_end({}),)]))
        return LINES["content-type"], lines(*V1_BEGUN, *last)
    middle = [each for each in (THINKING, TEXT, TOOL) if draw(st.booleans())]
    last = draw(st.sampled_from([(), (end(USAGE),), (end({}, "ERROR"),)]))
    data = [START, *(each for block in middle for each in block), *last]
    line_end = draw(st.sampled_from([b"\n", b"\r\n"]))
    return EVENTS["content-type"], events(*data).replace(b"\n", line_end)


@given(made=streams(), data=st.data())
def test_any_chunking_reads_the_same(made: tuple[str, bytes], data: st.DataObject) -> None:
    content_type, body = made
    parser = open_parser(content_type)
    for piece in chunked(body, data.draw(cuts(len(body)))):
        parser.feed(piece)
    parser.close()
    assert parser.reading == read(body, content_type)


@given(
    body=garbage(),
    before=st.sampled_from([b"", events(START, *TEXT), lines(*V1_BEGUN)]),
    content_type=st.sampled_from(["", "text/event-stream", "application/stream+json", "a/json"]),
    status=st.sampled_from([200, 302, 429, 599]),
    data=st.data(),
)
def test_garbage_never_raises(
    *, body: bytes, before: bytes, content_type: str, status: int, data: st.DataObject
) -> None:
    parser = open_parser(content_type, status=status)
    body = before + body
    for piece in chunked(body, data.draw(cuts(len(body)))):
        parser.feed(piece)
    parser.close()
    reading = parser.reading
    assert msgspec.json.decode(msgspec.json.encode(reading), type=Reading) == reading
    CHAT.read_request(body)


def test_warnings_may_repeat_what_was_asked_and_are_not_kept() -> None:
    meta = {"billed_units": {"input_tokens": 5}, "warnings": ["unknown field: my secret"]}
    parser = open_parser("application/json")
    parser.feed(json.dumps({"id": "c", "meta": meta}).encode())
    parser.close()
    assert parser.reading.usage == [{"billed_units": {"input_tokens": 5}}]


def test_a_line_of_no_kind_in_a_stream_is_no_whole_answer() -> None:
    begun = lines(*V1_BEGUN, {})
    open_end = read(begun, "application/stream+json")
    assert (open_end.ended, open_end.notes) == (False, ())
    whole = read(begun + lines(stream_end(USAGE)), "application/stream+json")
    assert (whole.ended, whole.completeness, whole.notes) == (True, "final", ())
