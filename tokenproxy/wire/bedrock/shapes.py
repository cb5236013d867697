"""Shapes of Bedrock's JSON, with only the fields that accounting needs."""

from __future__ import annotations

from typing import Any

import msgspec

from tokenproxy.wire.bedrock.counts import METRICS
from tokenproxy.wire.lenient import Lenient


class ToolCall(msgspec.Struct, rename="camel"):
    """``toolUse`` of a block or of its beginning in a stream."""

    tool_use_id: str | None = None
    name: str | None = None
    type: str | None = None
    """``server_tool_use``: AWS runs it."""


class Block(msgspec.Struct, rename="camel"):
    """A content block."""

    tool_use: ToolCall | None = None


class Content(msgspec.Struct):
    """``output.message``."""

    content: list[Block] | None = None


class Output(msgspec.Struct):
    """``output`` of a whole answer."""

    message: Content | None = None


class Named(msgspec.Struct):
    """``serviceTier``, whose ``type`` is its name."""

    type: str | None = None


class Performance(msgspec.Struct):
    """``performanceConfig``."""

    latency: str | None = None


class Router(msgspec.Struct, rename="camel"):
    """``trace.promptRouter``."""

    invoked_model_id: str | None = None


class Trace(msgspec.Struct, rename="camel"):
    """``trace``."""

    prompt_router: Router | None = None


class Converse(msgspec.Struct, rename="camel"):
    """An answer of Converse; the data of any event of ConverseStream."""

    output: Output | None = None
    start: Block | None = None
    stop_reason: str | None = None
    usage: dict[str, Any] | None = None
    service_tier: Named | None = None
    performance_config: Performance | None = None
    trace: Trace | None = None


class Payload(msgspec.Struct):
    """The data of a ``chunk`` event. Beside it stands padding, ``p``."""

    data: bytes | None = msgspec.field(default=None, name="bytes")
    """Base64 in the JSON."""


class Function(msgspec.Struct):
    """``function`` of a tool call of OpenAI's chat."""

    name: str | None = None


class ChatToolCall(msgspec.Struct):
    """One of ``tool_calls``."""

    id: str | None = None
    function: Function | None = None


class ChatMessage(msgspec.Struct):
    """``message`` or ``delta`` of a choice."""

    tool_calls: list[ChatToolCall] | None = None


class Choice(msgspec.Struct):
    """One of ``choices`` (OpenAI's chat) or of ``outputs`` (Mistral's completion)."""

    message: ChatMessage | None = None
    delta: ChatMessage | None = None
    finish_reason: str | None = None
    stop_reason: str | None = None


class Result(msgspec.Struct, rename="camel"):
    """One of Titan's ``results``."""

    token_count: int | None = None
    completion_reason: str | None = None


class Metadata(msgspec.Struct):
    """``metadata`` in Nova's stream."""

    usage: dict[str, Any] | None = None


class Stop(msgspec.Struct, rename="camel"):
    """``messageStop`` in Nova's stream."""

    stop_reason: str | None = None


class BlockStart(msgspec.Struct):
    """``contentBlockStart`` in Nova's stream."""

    start: Block | None = None


class Answer(msgspec.Struct):
    """An answer, or an event of a stream, of any vendor but Anthropic."""

    id: str | None = None
    response_id: str | None = None
    model: str | None = None
    usage: dict[str, Any] | None = None
    metrics: dict[str, Any] | None = msgspec.field(default=None, name=METRICS)
    # OpenAI's chat, Mistral, Cohere, Meta
    choices: list[Choice] | None = None
    outputs: list[Choice] | None = None
    finish_reason: str | None = None
    stop_reason: str | None = None
    prompt_token_count: int | None = None
    generation_token_count: int | None = None
    # Amazon Nova
    output: Output | None = None
    nova_stop: str | None = msgspec.field(default=None, name="stopReason")
    message_start: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name="messageStart")
    message_stop: Stop | None = msgspec.field(default=None, name="messageStop")
    block_start: BlockStart | None = msgspec.field(default=None, name="contentBlockStart")
    metadata: Metadata | None = None
    # Amazon Titan
    titan_input: int | None = msgspec.field(default=None, name="inputTextTokenCount")
    titan_output: int | None = msgspec.field(default=None, name="totalOutputTextTokenCount")
    titan_stop: str | None = msgspec.field(default=None, name="completionReason")
    results: list[Result] | None = None
    # embeddings
    embedding: msgspec.Raw = msgspec.Raw()
    embeddings: msgspec.Raw = msgspec.Raw()


class Kind(msgspec.Struct):
    """What any vendor's answer may tell of itself, and AWS beside it."""

    type: str | None = None
    metrics: dict[str, Any] | None = msgspec.field(default=None, name=METRICS)


CONVERSE = Lenient(Converse)
PAYLOAD = Lenient(Payload)
ANSWER = Lenient(Answer)
KIND = Lenient(Kind)
