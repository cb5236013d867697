"""Settings that only telemetry tells, of every language that has them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tokenproxy.wire.anthropic.request import read_request as anthropic
from tokenproxy.wire.google.request import read_request as google
from tokenproxy.wire.openai.chat_request import read_request as chat
from tokenproxy.wire.openai.responses_request import read_request as responses
from tokenproxy.wire.settings import NOTHING, Settings
from tokenproxy.wire.usage import RequestFacts

CASES: list[tuple[Any, dict[str, Any], Settings]] = [
    (anthropic, {"output_config": {"effort": "high"}}, Settings(reasoning_level="high")),
    (
        anthropic,
        {"output_config": {"format": {"type": "json_schema"}}},
        Settings(output_type="json"),
    ),
    (anthropic, {"output_format": {"type": "json_schema"}}, Settings(output_type="json")),
    (chat, {"n": 2, "seed": -7}, Settings(choice_count=2, seed=-7)),
    (chat, {"random_seed": 7}, Settings(seed=7)),
    (
        chat,
        {"frequency_penalty": 0.1, "presence_penalty": -0.2},
        Settings(frequency_penalty=0.1, presence_penalty=-0.2),
    ),
    (chat, {"response_format": {"type": "json_object"}}, Settings(output_type="json")),
    (chat, {"response_format": {"type": "text"}}, Settings(output_type="text")),
    (
        chat,
        {"modalities": ["text", "audio"], "response_format": {"type": "text"}},
        Settings(output_type="speech"),
    ),
    (
        chat,
        {"reasoning_effort": "low", "service_tier": "flex"},
        Settings(reasoning_level="low", service_tier="flex"),
    ),
    (
        chat,
        {"dimensions": 256, "encoding_format": "float"},
        Settings(dimensions=256, encoding_formats=("float",)),
    ),
    (
        responses,
        {"text": {"format": {"type": "json_schema"}}, "reasoning": {"effort": "low"}},
        Settings(output_type="json", reasoning_level="low"),
    ),
    (
        responses,
        {"previous_response_id": "resp_1", "service_tier": "auto"},
        Settings(previous_response_id="resp_1", service_tier="auto"),
    ),
    (
        google,
        {
            "generationConfig": {
                "candidateCount": 2,
                "seed": 7,
                "frequencyPenalty": 0.1,
                "presencePenalty": 0.2,
                "responseMimeType": "application/json",
                "thinkingConfig": {"thinkingLevel": "low"},
            }
        },
        Settings(
            choice_count=2,
            seed=7,
            frequency_penalty=0.1,
            presence_penalty=0.2,
            output_type="json",
            reasoning_level="low",
        ),
    ),
    (
        google,
        {"generationConfig": {"responseModalities": ["TEXT", "IMAGE"]}},
        Settings(output_type="image"),
    ),
]


@pytest.mark.parametrize(("read", "body", "expected"), CASES)
def test_what_is_asked_for_is_read(read: Any, body: dict[str, Any], expected: Settings) -> None:
    assert read(json.dumps(body).encode()).settings == expected


@pytest.mark.parametrize("read", [anthropic, chat, responses, google])
def test_what_is_not_asked_for_is_unknown(read: Any) -> None:
    facts: RequestFacts = read(b'{"model": "m"}')
    assert facts.settings == NOTHING


@pytest.mark.parametrize(
    ("read", "body"),
    [
        (chat, {"n": "2", "seed": 2**70, "response_format": "json", "encoding_format": 3}),
        (chat, {"seed": True, "modalities": "audio", "response_format": {"type": "grammar"}}),
        (responses, {"text": 3, "reasoning": [], "previous_response_id": {"id": "x"}}),
        (google, {"generationConfig": {"seed": 1.5, "responseMimeType": 3, "thinkingConfig": 1}}),
        (anthropic, {"output_config": "high", "output_format": {"type": 3}}),
    ],
)
def test_what_makes_no_sense_is_unknown(read: Any, body: dict[str, Any]) -> None:
    facts: RequestFacts = read(json.dumps({"model": "gemini-3", **body}).encode())
    assert facts.model == "gemini-3"
    assert facts.settings == NOTHING
