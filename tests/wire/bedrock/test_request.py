from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from tests.wire.strategies import garbage
from tokenproxy.wire.bedrock.request import read_request
from tokenproxy.wire.digest import prompt_digest
from tokenproxy.wire.usage import RequestFacts, ToolResult

MESSAGES = [{"role": "user", "content": [{"text": "hello"}]}]


def read(**body: Any) -> RequestFacts:
    return read_request(json.dumps(body).encode())


def digest(value: Any) -> str | None:
    return prompt_digest(json.dumps(value).encode())


def result(identity: str, **more: str) -> dict[str, Any]:
    return {"toolResult": {"toolUseId": identity, "content": [{"text": "secret"}], **more}}


def test_converse() -> None:
    facts = read(
        messages=[
            *MESSAGES,
            {"role": "assistant", "content": [{"toolUse": {"toolUseId": "a", "name": "Bash"}}]},
            {"role": "user", "content": [result("a"), result("b", status="error"), {"text": "x"}]},
        ],
        system=[{"text": "secret"}],
        inferenceConfig={
            "maxTokens": 1024, "temperature": 1, "topP": 0.5, "stopSequences": ["END", "\n"],
        },
        toolConfig={"tools": [{"toolSpec": {"name": "Bash"}}]},
    )  # fmt: skip
    assert facts == RequestFacts(
        max_tokens=1024,
        temperature=1.0,
        top_p=0.5,
        stop_sequences=("END",),
        offers_tools=True,
        tool_results=(ToolResult("a"), ToolResult("b", is_error=True)),
        prompt_digest=facts.prompt_digest,
    )
    assert facts.prompt_digest is not None
    assert "secret" not in repr(facts)


def test_anthropic_without_a_model() -> None:
    turns = [
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a"}]},
    ]
    facts = read(
        anthropic_version="bedrock-2023-05-31", max_tokens=10, messages=turns, top_k=3, tools=[{}]
    )
    assert facts == RequestFacts(
        max_tokens=10, top_k=3, offers_tools=True, tool_results=(ToolResult("a"),),
        prompt_digest=digest(turns),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("body", "facts"),
    [
        ({"messages": MESSAGES, "inferenceConfig": {"max_new_tokens": 9, "topK": 5}},
         RequestFacts(max_tokens=9, top_k=5, prompt_digest=digest(MESSAGES))),
        ({"prompt": "hello", "max_gen_len": 9, "temperature": 0.5, "top_p": 0.9},
         RequestFacts(max_tokens=9, temperature=0.5, top_p=0.9, prompt_digest=digest("hello"))),
        ({"prompt": "hello", "max_tokens": 9, "top_k": 5, "stop": ["END"]},
         RequestFacts(max_tokens=9, top_k=5, stop_sequences=("END",),
                      prompt_digest=digest("hello"))),
        ({"message": "hello", "max_tokens": 9, "p": 0.5, "k": 5, "stop_sequences": ["END"]},
         RequestFacts(max_tokens=9, top_p=0.5, top_k=5, stop_sequences=("END",),
                      prompt_digest=digest("hello"))),
        ({"inputText": "hello", "textGenerationConfig": {"maxTokenCount": 9, "topP": 0.5,
                                                         "stopSequences": ["END"]}},
         RequestFacts(max_tokens=9, top_p=0.5, stop_sequences=("END",),
                      prompt_digest=digest("hello"))),
        ({"messages": [{"role": "tool", "tool_call_id": "call_1", "content": "x"}],
          "max_completion_tokens": 9, "tools": [{"type": "function"}]},
         RequestFacts(max_tokens=9, offers_tools=True, tool_results=(ToolResult("call_1"),),
                      prompt_digest=digest([{"role": "tool", "tool_call_id": "call_1",
                                             "content": "x"}]))),
        ({"input": {"converse": {"messages": MESSAGES}}}, RequestFacts()),
        ({}, RequestFacts()),
    ],
    ids=["nova", "llama", "mistral", "cohere", "titan", "gpt-oss", "count-tokens", "empty"],
)  # fmt: skip
def test_vendors(body: dict[str, Any], facts: RequestFacts) -> None:
    assert read(**body) == facts


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b"{", b"\xff", b"{} x"])
def test_malformed(data: bytes) -> None:
    assert read_request(data) == RequestFacts(malformed=True)


@given(garbage())
def test_garbage_never_raises(body: bytes) -> None:
    read_request(body)
    read_request(b'{"messages":[{"content":' + body + b"}]}")
