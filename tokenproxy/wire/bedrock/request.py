"""Bedrock's request bodies: Converse's, and those of each vendor.

The model stands in the path. A body with ``anthropic_version`` is Anthropic's
and read by its dialect; the settings of all others are known by their names.
"""

from __future__ import annotations

import msgspec

from tokenproxy.wire.anthropic import request as anthropic
from tokenproxy.wire.digest import prompt_digest
from tokenproxy.wire.lenient import Lenient, array_items, has_items
from tokenproxy.wire.usage import RequestFacts, ToolResult
from tokenproxy.wire.words import count, word

_MAX_STOP_SEQUENCES = 64


class _Config(msgspec.Struct):
    """``inferenceConfig`` (Converse, Nova), ``textGenerationConfig`` (Titan)."""

    max_tokens: int | None = msgspec.field(default=None, name="maxTokens")
    nova_max_tokens: int | None = msgspec.field(default=None, name="max_new_tokens")
    titan_max_tokens: int | None = msgspec.field(default=None, name="maxTokenCount")
    temperature: float | None = None
    top_p: float | None = msgspec.field(default=None, name="topP")
    top_k: int | None = msgspec.field(default=None, name="topK")
    stop_sequences: list[str] | None = msgspec.field(default=None, name="stopSequences")


class _Tools(msgspec.Struct):
    """``toolConfig``."""

    tools: msgspec.Raw = msgspec.Raw()


class _Request(msgspec.Struct):
    """A request of any kind but Anthropic's."""

    anthropic_version: str | None = None
    messages: msgspec.Raw = msgspec.Raw()
    prompt: msgspec.Raw = msgspec.Raw()
    message: msgspec.Raw = msgspec.Raw()
    input_text: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name="inputText")
    inference_config: _Config | None = msgspec.field(default=None, name="inferenceConfig")
    titan_config: _Config | None = msgspec.field(default=None, name="textGenerationConfig")
    tool_config: _Tools | None = msgspec.field(default=None, name="toolConfig")
    tools: msgspec.Raw = msgspec.Raw()
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    max_gen_len: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    p: float | None = None
    top_k: int | None = None
    k: int | None = None
    stop: list[str] | None = None
    stop_sequences: list[str] | None = None


class _Result(msgspec.Struct, rename="camel"):
    """``toolResult`` of a block."""

    tool_use_id: str | None = None
    status: str | None = None


class _Block(msgspec.Struct, rename="camel"):
    """A content block."""

    tool_result: _Result | None = None


class _Turn(msgspec.Struct):
    """One of ``messages``; ``content`` may be a string or blocks."""

    role: str | None = None
    content: msgspec.Raw = msgspec.Raw()
    tool_call_id: str | None = None
    """Of OpenAI's chat: this message is a tool's result."""


_REQUEST = Lenient(_Request)
_TURN = Lenient(_Turn)
_BLOCK = Lenient(_Block)


def read_request(body: bytes) -> RequestFacts:
    """Facts of a decoded body; what is no JSON object is ``malformed``."""
    request = _REQUEST.decode(body)
    if request is None:
        return RequestFacts(malformed=True)
    if request.anthropic_version is not None:
        return anthropic.read_request(body)
    config = request.inference_config or request.titan_config or _Config()
    tools = request.tool_config.tools if request.tool_config is not None else request.tools
    stops = config.stop_sequences or request.stop_sequences or request.stop or []
    limits = (
        config.max_tokens,
        config.nova_max_tokens,
        config.titan_max_tokens,
        request.max_completion_tokens,
        request.max_tokens,
        request.max_gen_len,
    )
    prompts = request.messages, request.prompt, request.message, request.input_text
    return RequestFacts(
        max_tokens=count(_first(*limits)),
        temperature=_first(config.temperature, request.temperature),
        top_p=_first(config.top_p, request.top_p, request.p),
        top_k=count(_first(config.top_k, request.top_k, request.k)),
        stop_sequences=tuple(
            [stop for text in stops if (stop := word(text)) is not None][:_MAX_STOP_SEQUENCES]
        ),
        offers_tools=has_items(tools),
        tool_results=_last_tool_results(bytes(request.messages)),
        prompt_digest=prompt_digest(next(filter(None, map(bytes, prompts)), b"")),
    )


def _first[T](*values: T | None) -> T | None:
    return next((value for value in values if value is not None), None)


def _last_tool_results(messages: bytes) -> tuple[ToolResult, ...]:
    """Tool results behind the model's last answer: those before it were answered already."""
    found: list[ToolResult] = []
    for raw in reversed(array_items(messages) or []):
        turn = _TURN.decode(raw)
        if turn is None or turn.role == "assistant":
            break
        found[:0] = _tool_results(turn)
    return tuple(found)


def _tool_results(turn: _Turn) -> list[ToolResult]:
    answered = word(turn.tool_call_id)
    if answered is not None:
        return [ToolResult(answered)]
    found: list[ToolResult] = []
    for item in array_items(bytes(turn.content)) or []:
        block = _BLOCK.decode(item)
        result = block.tool_result if block is not None else None
        identity = word(result.tool_use_id) if result is not None else None
        if result is not None and identity is not None:
            found.append(ToolResult(identity, is_error=result.status == "error"))
    return found
