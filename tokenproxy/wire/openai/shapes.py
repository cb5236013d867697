"""Shapes of chat completions' JSON, with only the fields that accounting needs.

Every field has a default and is read leniently. Content is never kept: of a delta
it only matters whether there is any.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tokenproxy.wire.lenient import Lenient


class Function(msgspec.Struct):
    """``function`` of a tool call."""

    name: str | None = None


class ToolCall(msgspec.Struct):
    """A tool call, or a piece of one: id and name stand in the first piece of each index."""

    index: int | None = None
    id: str | None = None
    function: Function | None = None


class Said(msgspec.Struct):
    """``delta`` of a chunk, ``message`` of a whole completion."""

    content: msgspec.Raw = msgspec.Raw()
    reasoning_content: msgspec.Raw = msgspec.Raw()
    """DeepSeek's, xAI's and Moonshot's reasoning."""
    reasoning: msgspec.Raw = msgspec.Raw()
    """Groq's and OpenRouter's."""
    refusal: msgspec.Raw = msgspec.Raw()
    audio: msgspec.Raw = msgspec.Raw()
    function_call: msgspec.Raw = msgspec.Raw()
    tool_calls: list[ToolCall] | None = None


class Choice(msgspec.Struct):
    """One of the answers that were asked for."""

    index: int | None = None
    delta: Said | None = None
    message: Said | None = None
    text: msgspec.Raw = msgspec.Raw()
    """Of a legacy completion."""
    finish_reason: str | None = None
    usage: dict[str, Any] | None = None
    """Where Moonshot's streams have it."""
    error: msgspec.Raw = msgspec.Raw()


class Answer(msgspec.Struct):
    """A chunk of a stream, a whole completion, or an error in place of either."""

    id: str | None = None
    object: str | None = None
    model: str | None = None
    service_tier: str | None = None
    choices: list[Choice] | None = None
    usage: dict[str, Any] | None = None
    error: msgspec.Raw = msgspec.Raw()
    type: str | None = None
    code: str | int | None = None


class StreamOptions(msgspec.Struct):
    """``stream_options`` of a request."""

    include_usage: bool | None = None


class ResponseFormat(msgspec.Struct):
    """``response_format`` of a request."""

    type: str | None = None


class Request(msgspec.Struct):
    """A request for a chat completion, a legacy completion, or an embedding."""

    model: str | None = None
    stream: bool | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: msgspec.Raw = msgspec.Raw()
    """A string or a list of strings."""
    stream_options: StreamOptions | None = None
    session_id: str | None = None
    """OpenRouter's name for a group of requests."""
    n: int | None = None
    seed: int | None = None
    random_seed: int | None = None
    """Mistral's name for it."""
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    response_format: ResponseFormat | None = None
    modalities: list[str] | None = None
    reasoning_effort: str | None = None
    service_tier: str | None = None
    dimensions: int | None = None
    encoding_format: str | None = None
    tools: msgspec.Raw = msgspec.Raw()
    functions: msgspec.Raw = msgspec.Raw()
    messages: msgspec.Raw = msgspec.Raw()
    prompt: msgspec.Raw = msgspec.Raw()
    input: msgspec.Raw = msgspec.Raw()
    inputs: msgspec.Raw = msgspec.Raw()
    """Mistral's name for a conversation's new entries."""


class Turn(msgspec.Struct):
    """One of a request's messages."""

    role: str | None = None
    type: str | None = None
    tool_call_id: str | None = None


ANSWER = Lenient(Answer)
REQUEST = Lenient(Request)
TURN = Lenient(Turn)
