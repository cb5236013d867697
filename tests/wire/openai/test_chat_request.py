from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from tests.wire.strategies import garbage
from tokenproxy.wire.digest import prompt_digest
from tokenproxy.wire.openai.chat_request import read_request
from tokenproxy.wire.usage import RequestFacts, ToolResult


def read(**fields: Any) -> RequestFacts:
    return read_request(json.dumps(fields, separators=(",", ":")).encode())


def test_everything_that_a_request_says() -> None:
    messages = [{"role": "user", "content": "Hello?"}]
    assert read(
        model="gpt-5.5",
        stream=True,
        max_completion_tokens=100,
        max_tokens=7,
        temperature=0.5,
        top_p=0.9,
        stop=["END", "\n"],
        stream_options={"include_usage": True, "include_obfuscation": False},
        tools=[{"type": "function", "function": {"name": "bash"}}],
        messages=messages,
    ) == RequestFacts(
        model="gpt-5.5",
        stream=True,
        max_tokens=100,
        temperature=0.5,
        top_p=0.9,
        stop_sequences=("END",),
        include_usage=True,
        offers_tools=True,
        prompt_digest=prompt_digest(b'[{"role":"user","content":"Hello?"}]'),
    )


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"include_usage": True}, True),
        ({"include_usage": False}, False),
        ({}, None),
        (None, None),
        ({"include_usage": None}, None),
    ],
)
def test_whether_usage_is_asked_for(options: object, wanted: bool | None) -> None:
    assert read(stream_options=options).include_usage is wanted


def test_the_older_limit_and_the_older_tools() -> None:
    facts = read(max_tokens=7, functions=[{"name": "f"}], stop="END")
    assert (facts.max_tokens, facts.offers_tools, facts.stop_sequences) == (7, True, ("END",))


def test_no_tools_are_none() -> None:
    assert not read(tools=[]).offers_tools
    assert not read().offers_tools


def test_results_behind_the_last_answer() -> None:
    messages = [
        {"role": "assistant", "tool_calls": [{"id": "call_0"}]},
        {"role": "tool", "tool_call_id": "call_0", "content": "old"},
        {"role": "assistant", "tool_calls": [{"id": "call_1"}, {"id": "call_2"}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "one"},
        {"role": "tool", "tool_call_id": "call_2", "content": "two"},
        {"role": "user", "content": "go on"},
    ]
    assert read(messages=messages).tool_results == (ToolResult("call_1"), ToolResult("call_2"))


def test_results_in_a_conversation_of_mistrals() -> None:
    inputs = [{"type": "function.result", "tool_call_id": "call_1", "result": "x"}]
    assert read(inputs=inputs).tool_results == (ToolResult("call_1"),)


def test_a_user_is_no_session_and_a_session_is_one() -> None:
    assert read(user="me", prompt_cache_key="k").session_id is None
    assert read(session_id="s-1").session_id == "s-1"


def test_the_digest_is_of_what_the_model_is_asked() -> None:
    asked = [{"role": "user", "content": "Hello?"}]
    same = {read(model=model, messages=asked).prompt_digest for model in ("a", "b")}
    assert len(same) == 1
    assert None not in same
    digests = {
        read(messages=[*asked, *asked]).prompt_digest,
        read(prompt="Hello?").prompt_digest,
        read(input="Hello there?").prompt_digest,
        read(inputs="Hi?").prompt_digest,
    }
    assert len(digests | same) == 5
    assert read().prompt_digest is None


def test_a_wrong_field_costs_itself_alone() -> None:
    facts = read_request(b'{"model":"m","max_tokens":"7","temperature":[],"stop":7,"stream":true}')
    assert facts == RequestFacts(model="m", stream=True)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 5000])
def test_what_is_no_object_is_malformed(body: bytes) -> None:
    assert read_request(body) == RequestFacts(malformed=True)


@given(garbage())
def test_garbage_never_raises(body: bytes) -> None:
    assert isinstance(read_request(body), RequestFacts)
