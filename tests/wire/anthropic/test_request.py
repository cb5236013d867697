from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.strategies import garbage
from tokenproxy.wire.anthropic.request import read_request
from tokenproxy.wire.usage import RequestFacts, ToolResult

SESSION = "0b3c1c0e-6d53-4f0e-9d3e-0d5f7a6f1a11"


def result(identity: str, **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": identity, "content": "secret", **more}


def body(**more: Any) -> bytes:
    return json.dumps({"model": "claude-opus-5-5", "max_tokens": 1024, **more}).encode()


def turns(*contents: Any) -> list[dict[str, Any]]:
    return [
        {"role": ("user", "assistant")[at % 2], "content": content}
        for at, content in enumerate(contents)
    ]


def test_settings() -> None:
    facts = read_request(
        body(
            stream=True,
            temperature=1,
            top_p=0.5,
            top_k=40,
            stop_sequences=["END", "\n\n", "STOP"],
            system=[{"type": "text", "text": "secret"}],
            tools=[{"name": "Bash"}],
            metadata={"user_id": json.dumps({"device_id": "d", "session_id": SESSION})},
            messages=turns("hello"),
        )
    )
    assert facts == RequestFacts(
        model="claude-opus-5-5",
        stream=True,
        max_tokens=1024,
        temperature=1.0,
        top_p=0.5,
        top_k=40,
        stop_sequences=("END", "STOP"),
        session_id=SESSION,
        offers_tools=True,
        prompt_digest=facts.prompt_digest,
    )
    assert "secret" not in repr(facts)


def test_what_was_not_said_is_absent() -> None:
    assert read_request(b'{"model":"m"}') == RequestFacts(model="m")
    assert read_request(b"{}") == RequestFacts()


def test_the_digest_is_of_the_messages_alone() -> None:
    one = read_request(body(messages=turns("hello")))
    assert one.prompt_digest is not None
    assert len(one.prompt_digest) == 32
    assert read_request(body(messages=turns("hello"), model="other")) != one
    other_model = read_request(body(messages=turns("hello"), stream=True, system="x"))
    assert other_model.prompt_digest == one.prompt_digest
    assert read_request(body(messages=turns("hello", "x"))).prompt_digest != one.prompt_digest
    padded = read_request(b'{"messages" :  ' + json.dumps(turns("hello")).encode() + b" }")
    assert padded.prompt_digest == one.prompt_digest
    respelled = read_request(b'{"messages":[{"role":"user", "content" :"hello"}]}')
    assert respelled.prompt_digest != one.prompt_digest


def test_tool_results_before_a_trailing_system_message() -> None:
    """Claude Code 2.1.330 may put a system message behind the user's."""
    facts = read_request(
        body(
            messages=[
                {"role": "user", "content": [result("toolu_0")]},
                {"role": "assistant", "content": []},
                {"role": "user", "content": [result("toolu_1")]},
                {"role": "system", "content": "a reminder"},
                {"role": "user", "content": [result("toolu_2")]},
            ]
        )
    )
    assert facts.tool_results == (ToolResult("toolu_1"), ToolResult("toolu_2"))


def test_tool_results_of_the_last_message_only() -> None:
    facts = read_request(
        body(
            messages=turns(
                "do it",
                [{"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {}}],
                [result("toolu_1")],
                [{"type": "tool_use", "id": "toolu_2", "name": "Bash", "input": {}}],
                [
                    result("toolu_2"),
                    {"type": "text", "text": "and then"},
                    result("toolu_3", is_error=True),
                    result("toolu_4", is_error=None),
                    result("toolu_5", is_error="yes"),
                    {"type": "tool_result"},
                    7,
                ],
            )
        )
    )
    assert facts.tool_results == (
        ToolResult("toolu_2"),
        ToolResult("toolu_3", is_error=True),
        ToolResult("toolu_4"),
        ToolResult("toolu_5"),
    )


@pytest.mark.parametrize(
    "messages",
    [None, [], {}, "x", [None], ["x"], [{}], turns("x"), turns({"type": "tool_result"}), [[]]],
)
def test_odd_messages_have_no_tool_results(messages: Any) -> None:
    facts = read_request(body(messages=messages))
    assert facts.tool_results == ()
    assert not facts.malformed


@pytest.mark.parametrize(
    "data", [b"", b"null", b"[]", b"{", b"\xff\xfe{}", b'{"model":"m"} trailing', b"model=m"]
)
def test_malformed(data: bytes) -> None:
    assert read_request(data) == RequestFacts(malformed=True)


def test_wrong_types_cost_only_their_fields() -> None:
    facts = read_request(
        body(
            model=["m"],
            stream="yes",
            temperature="hot",
            top_k=-1,
            stop_sequences="END",
            metadata={"user_id": 7},
            messages=turns([result("toolu_1")]),
        )
    )
    assert facts == RequestFacts(
        max_tokens=1024,
        tool_results=(ToolResult("toolu_1"),),
        prompt_digest=facts.prompt_digest,
    )


@given(garbage() | st.binary())
def test_garbage_never_raises(data: bytes) -> None:
    read_request(data)
    read_request(b'{"messages":[' + data + b"]}")
