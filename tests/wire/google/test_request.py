from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.fixtures.code_assist import request as code_assist_request
from tests.wire.strategies import garbage
from tokenproxy.wire.google.generate_content import GENERATE_CONTENT
from tokenproxy.wire.google.request import read_request
from tokenproxy.wire.usage import RequestFacts, ToolResult


def body(**more: Any) -> bytes:
    return json.dumps({"contents": turns("hello"), **more}).encode()


def turns(*texts: str) -> list[dict[str, Any]]:
    return [
        {"role": ("user", "model")[at % 2], "parts": [{"text": text}]}
        for at, text in enumerate(texts)
    ]


def answer(identity: str | None, response: Any = None) -> dict[str, Any]:
    named = {} if identity is None else {"id": identity}
    return {"functionResponse": {**named, "name": "read", "response": response}}


def test_settings() -> None:
    facts = read_request(
        body(
            systemInstruction={"parts": [{"text": "secret"}]},
            tools=[{"googleSearch": {}}, {"functionDeclarations": [{"name": "read"}]}],
            generationConfig={
                "maxOutputTokens": 1024,
                "temperature": 1,
                "topP": 0.95,
                "topK": 64.0,
                "stopSequences": ["END", "\n"],
                "thinkingConfig": {"thinkingBudget": -1},
            },
        )
    )
    assert facts == RequestFacts(
        max_tokens=1024,
        temperature=1.0,
        top_p=0.95,
        top_k=64,
        stop_sequences=("END",),
        offers_tools=True,
        prompt_digest=facts.prompt_digest,
    )
    assert facts.prompt_digest is not None
    assert "secret" not in repr(facts)


def test_code_assist_says_in_the_body_what_others_say_in_the_path() -> None:
    facts = read_request(code_assist_request(generationConfig={"temperature": 0}))
    assert facts == RequestFacts(
        model="gemini-2.5-flash",
        turn_id="0b3c########7",
        session_id="3f0a2c1e-77aa-4a55-8f9c-2b7b0d1d9f11",
        temperature=0.0,
        prompt_digest=facts.prompt_digest,
    )
    assert facts.prompt_digest is not None


def test_counting_at_code_assist() -> None:
    asked = b'{"request":{"model":"models/gemini-2.5-pro","contents":[]}}'
    assert read_request(asked).model == "gemini-2.5-pro"


@pytest.mark.parametrize(
    ("tools", "offers"),
    [
        ([{"functionDeclarations": [{"name": "read"}]}], True),
        ([{"googleSearch": {}}, {"codeExecution": {}}], False),
        ([{"functionDeclarations": []}], False),
        ([], False),
        ("x", False),
    ],
)
def test_only_the_client_s_tools_make_an_agent(tools: Any, offers: bool) -> None:
    assert read_request(body(tools=tools)).offers_tools is offers


def test_the_digest_is_of_the_contents_alone() -> None:
    one = read_request(body()).prompt_digest
    assert read_request(body(generationConfig={"temperature": 1})).prompt_digest == one
    assert read_request(body(contents=turns("hello", "x"))).prompt_digest != one
    assert read_request(b"{}").prompt_digest is None


def test_tool_results_behind_the_model_s_last_turn() -> None:
    facts = read_request(
        body(
            contents=[
                {"role": "user", "parts": [answer("old", {"output": "x"})]},
                {"role": "model", "parts": [{"functionCall": {"name": "read"}}]},
                {"role": "user", "parts": [answer("one", {"output": "x"}), answer(None)]},
                {"role": "function", "parts": [{"text": "x"}, answer("two", {"error": "no"})]},
                {"parts": [answer("three", {"error": None}), answer("four", "text")]},
            ]
        )
    )
    assert facts.tool_results == (
        ToolResult("one"),
        ToolResult("two", is_error=True),
        ToolResult("three"),
        ToolResult("four"),
    )


@pytest.mark.parametrize("contents", [None, [], {}, "x", [None], ["x"], [{}], [[]]])
def test_odd_contents_have_no_tool_results(contents: Any) -> None:
    facts = read_request(body(contents=contents))
    assert facts.tool_results == ()
    assert not facts.malformed


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b"{", b"\xff\xfe{}", b"contents=x"])
def test_malformed(data: bytes) -> None:
    assert GENERATE_CONTENT.read_request(data) == RequestFacts(malformed=True)


def test_wrong_types_cost_only_their_fields() -> None:
    facts = read_request(
        body(
            generationConfig={"maxOutputTokens": "1", "temperature": "hot", "topK": 1.5, "topP": 1},
            model=["m"],
            request="x",
        )
    )
    assert facts == RequestFacts(top_p=1.0, prompt_digest=facts.prompt_digest)


@given(garbage() | st.binary())
def test_garbage_never_raises(data: bytes) -> None:
    read_request(data)
    read_request(b'{"contents":[' + data + b"]}")
    read_request(b'{"request":{"contents":[{"parts":[' + data + b"]}]}}")
