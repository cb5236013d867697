from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.fixtures.openai_chat import (
    CALL,
    ID,
    MODEL,
    completion,
    open_parser,
    read_json,
    usage,
)
from tests.wire.strategies import chunked, cuts
from tokenproxy.wire import notes
from tokenproxy.wire.usage import Reading, ToolUse, UsagePart

PART = UsagePart(uncached_input_tokens=20, output_tokens=7)


def test_an_ordinary_completion() -> None:
    assert read_json(completion(usage(20, 7))) == Reading(
        model=MODEL,
        response_id=ID,
        stop_reason="stop",
        parts=(PART,),
        usage=[usage(20, 7)],
        completeness="final",
        ended=True,
    )


def test_no_usage_in_it() -> None:
    reading = read_json(completion(None))
    assert (reading.completeness, reading.parts, reading.ended) == ("none", (), True)
    assert reading.notes == (notes.USAGE_ABSENT,)


def test_a_count_that_is_missing() -> None:
    reading = read_json(completion({"completion_tokens": 7}))
    assert reading.parts == (UsagePart(output_tokens=7),)
    assert reading.completeness == "partial"


def test_several_answers_and_several_tools() -> None:
    second = {**CALL, "id": "call_2"}
    choices = [
        {"message": {"tool_calls": [CALL, second]}, "finish_reason": "tool_calls"},
        {"message": {"tool_calls": [{**CALL, "id": "call_3"}]}, "finish_reason": "length"},
    ]
    reading = read_json(completion(usage(20, 7), choices=choices))
    assert [use.id for use in reading.tool_uses] == ["call_1", "call_2", "call_3"]
    assert reading.stop_reason == "length"


def test_a_tool_call_without_a_name_is_none() -> None:
    calls = [{"id": "call_1", "type": "custom"}, {**CALL, "id": None}, CALL]
    reading = read_json(completion(usage(1, 1), message={"tool_calls": calls}))
    assert reading.tool_uses == (ToolUse("call_1", "bash"),)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"error": {"type": "overloaded", "message": "Oh."}}, "overloaded"),
        ({"error": {"code": 429, "message": "Oh."}}, "rate_limit_error"),
        ([{"error": {"code": 400, "status": "INVALID_ARGUMENT"}}], "INVALID_ARGUMENT"),
        ({"error": "Oh dear."}, "server_error"),
    ],
)
def test_an_error_under_status_200(body: object, word: str) -> None:
    reading = read_json(body)
    assert (reading.error, reading.ended, reading.completeness) == (word, True, "none")
    assert reading.notes == ()


@pytest.mark.parametrize("body", [b"<html>", b'{"id":"a"', b"[1]", b"[]", b"\xff", b"[" * 3000])
def test_what_cannot_be_read(body: bytes) -> None:
    reading = read_json(body)
    assert (reading.ended, reading.error, reading.parts) == (False, None, ())
    assert reading.notes == (notes.BODY_UNREADABLE,)


def test_a_body_that_was_cut() -> None:
    reading = read_json(completion(usage(20, 7))[:-2])
    assert (reading.ended, reading.completeness) == (False, "none")
    assert reading.notes == (notes.BODY_UNREADABLE,)


def test_an_empty_body_says_nothing() -> None:
    assert read_json(b"") == Reading()


def test_wrong_types_cost_themselves_alone() -> None:
    body = completion(
        usage(20, 7), choices=[{"finish_reason": 7, "message": []}, 3], id=5, service_tier=[]
    )
    reading = read_json(body)
    assert reading.parts == (PART,)
    assert (reading.response_id, reading.model, reading.stop_reason) == (None, MODEL, None)


def test_a_stream_that_calls_itself_json() -> None:
    body = b"data: " + completion(usage(20, 7)) + b"\n\ndata: [DONE]\n\n"
    assert read_json(body).parts == (PART,)


@given(
    counts=st.fixed_dictionaries(
        {}, optional={"prompt_tokens": st.integers(0, 99), "completion_tokens": st.integers(0, 99)}
    ),
    data=st.data(),
)
def test_any_chunking_reads_the_same(counts: dict[str, Any], data: st.DataObject) -> None:
    body = json.dumps({"id": "a", "usage": counts, "choices": []}).encode()
    parser = open_parser(content_type="application/json")
    for piece in chunked(body, data.draw(cuts(len(body)))):
        parser.feed(piece)
    parser.close()
    parser.close()
    assert parser.reading == read_json(body)
    assert parser.reading.usage == ([counts] if counts else [])
