"""What is asked for so that every attribute has a reason to be there.

Every operation of every provider (:mod:`tests.e2e.every_wire`), plain, streamed and on
WebSockets; faults and whatever a call can be billed for; and requests with every setting
that the conventions name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from tests.e2e import every_wire
from tests.e2e.every_wire import Operation, host_of
from tokenproxy.simulator import calls
from tokenproxy.simulator.reply import Reply, Request
from tokenproxy.simulator.scenarios import Scenario, by_header, calls_only, named

Json = dict[str, Any]

FAULTS = (
    "rate-limited",
    "unavailable",
    "error-mid-stream",
    "cut-fin",
    "malformed-json",
)
FAULTY = (
    "anthropic/stream",
    "openai/stream",
    "openai-responses/stream",
    "responses/socket",
    "gemini/stream",
    "bedrock/stream",
    "cohere/stream",
)
"""Operations that meet every fault."""
BILLED = (
    "web-search",
    "compaction",
    "advisor",
    "fallback",
    "fallback-mid-output",
    "refusal",
    "max-tokens",
    "fast",
)
"""Ways in which Claude answers, and bills, otherwise."""

SAY = [{"role": "user", "content": "hello"}]
_CLAUDE: Json = {"model": "claude-opus-5-5", "max_tokens": 100, "messages": SAY, "stream": True}

FETCHED = frozenset({"look-again", "later-look-again"})
"""Operations that fetch an answer which was made in the background: calls without a duration."""

STANDARD = {"temperature": 0.5, "top_p": 0.9}
_SAMPLING = ("gen_ai.request.temperature", "gen_ai.request.top_p", "gen_ai.request.max_tokens")
SETTINGS: dict[str, tuple[str, str, Json, frozenset[str]]] = {
    "anthropic": (
        "anthropic",
        "/v1/messages",
        {
            **_CLAUDE,
            **STANDARD,
            "top_k": 40,
            "stop_sequences": ["END"],
            "output_config": {"effort": "high"},
        },
        frozenset(
            {
                *_SAMPLING,
                "gen_ai.request.top_k",
                "gen_ai.request.stop_sequences",
                "gen_ai.request.reasoning.level",
            }
        ),
    ),
    "openai-chat": (
        "openai",
        "/v1/chat/completions",
        {
            "model": "gpt-6-sol",
            "messages": SAY,
            **STANDARD,
            "max_completion_tokens": 100,
            "n": 2,
            "seed": 7,
            "stop": ["END"],
            "frequency_penalty": 0.1,
            "presence_penalty": 0.2,
            "response_format": {"type": "json_object"},
            "reasoning_effort": "low",
            "service_tier": "flex",
        },
        frozenset(
            {
                *_SAMPLING,
                "gen_ai.request.choice.count",
                "gen_ai.request.seed",
                "gen_ai.request.stop_sequences",
                "gen_ai.request.frequency_penalty",
                "gen_ai.request.presence_penalty",
                "gen_ai.output.type",
                "gen_ai.request.reasoning.level",
                "openai.request.service_tier",
            }
        ),
    ),
    "openai-responses": (
        "openai",
        "/v1/responses",
        {
            "model": "gpt-6-sol",
            "input": "hello",
            **STANDARD,
            "max_output_tokens": 100,
            "text": {"format": {"type": "text"}},
            "reasoning": {"effort": "medium"},
            "previous_response_id": "resp_1",
            "service_tier": "auto",
        },
        frozenset(
            {
                *_SAMPLING,
                "gen_ai.output.type",
                "gen_ai.request.reasoning.level",
                "gen_ai.request.previous_response.id",
            }
        ),
    ),
    "gemini": (
        "google",
        "/v1beta/models/gemini-3-flash-preview:generateContent",
        {
            "contents": [{"role": "user", "parts": [{"text": "hello"}]}],
            "generationConfig": {
                "temperature": 0.5,
                "topP": 0.9,
                "topK": 40,
                "maxOutputTokens": 100,
                "stopSequences": ["END"],
                "candidateCount": 2,
                "seed": 7,
                "frequencyPenalty": 0.1,
                "presencePenalty": 0.2,
                "responseMimeType": "application/json",
                "thinkingConfig": {"thinkingLevel": "low"},
            },
        },
        frozenset(
            {
                *_SAMPLING,
                "gen_ai.request.top_k",
                "gen_ai.request.choice.count",
                "gen_ai.request.seed",
                "gen_ai.request.stop_sequences",
                "gen_ai.request.frequency_penalty",
                "gen_ai.request.presence_penalty",
                "gen_ai.output.type",
                "gen_ai.request.reasoning.level",
            }
        ),
    ),
    "embeddings": (
        "openai",
        "/v1/embeddings",
        {
            "model": "text-embedding-3-small",
            "input": "hello",
            "dimensions": 256,
            "encoding_format": "float",
        },
        frozenset({"gen_ai.embeddings.dimension.count", "gen_ai.request.encoding_formats"}),
    ),
}
"""Name -> provider, path, a body with every setting, and the attributes that it asks for."""


def operations() -> list[Operation]:
    """All of it, in order."""
    once = list(every_wire.once())
    plain = [*every_wire.answers(stream=False)]
    streamed = [*every_wire.answers(stream=True), *every_wire.sockets()]
    faulty = [
        one for one in every_wire.faulty(FAULTS) if one.name.rpartition("/")[0] in FAULTY
    ]  # fmt: skip
    return [*plain, *streamed, *once, *faulty, *_billed(), *_settings(), *_retried()]


def asked(name: str) -> frozenset[str] | None:
    """The attributes that an operation's request asks for, if that was written down."""
    head, _, tail = name.partition("/")
    return SETTINGS[tail][3] if head == "settings" else None


def streaming(name: str) -> bool | None:
    """Whether an operation asks for a stream, if its name tells."""
    parts = name.split("/")
    return True if "stream" in parts else False if "plain" in parts else None


def scenario() -> Scenario:
    """The simulator: by header; what Claude Code's headers mark is the demo's agent."""
    names = {*FAULTS, *BILLED, "plain", "stream", "tool-use", "slow"}
    parts = {name: named(name) for name in names - {"fast"}} | {"fast": calls_only(_fast)}
    by_name = by_header(every_wire.HEADER, parts, named("stream"))
    demo = named("demo")

    def reply(request: Request) -> Reply | None:
        agent = request.header("x-claude-code-session-id") and not request.header(every_wire.HEADER)
        return (demo if agent else by_name)(request)

    return reply


def _fast(request: Request) -> Reply:
    """Served at another speed, to an account that has a workspace."""
    message = msgspec.structs.replace(calls.plain_message(request), speed="fast")
    reply = calls.answer(request, message)
    headers = (*reply.headers, ("anthropic-workspace-id", "wrkspc_1"))
    return msgspec.structs.replace(reply, headers=headers)


def _billed() -> Iterator[Operation]:
    for name in BILLED:
        yield Operation(
            name=f"billed/{name}",
            host=host_of("anthropic"),
            path="/v1/messages",
            body=_CLAUDE,
            scenario=name,
        )


def _settings() -> Iterator[Operation]:
    for name, (flavour, path, body, _) in SETTINGS.items():
        yield Operation(name=f"settings/{name}", host=host_of(flavour), path=path, body=body)


def _retried() -> Iterator[Operation]:
    """The same request twice: refused, then answered; and one that is no call."""
    again = {**_CLAUDE, "messages": [{"role": "user", "content": "hello again"}]}
    refused = Operation(
        name="retried/1",
        host=host_of("anthropic"),
        path="/v1/messages",
        body=again,
        scenario="rate-limited",
    )
    yield refused
    yield msgspec.structs.replace(refused, name="retried/2", scenario="plain")
    yield Operation(name="passed", host=host_of("anthropic"), path="/v1/models", method="GET")
