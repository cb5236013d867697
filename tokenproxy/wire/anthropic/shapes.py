"""Shapes of Anthropic's JSON, with only the fields that accounting needs.

Every field has a default and is read leniently. Content is never among the
fields: of a block only its type and the names that lead to a tool or a model.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tokenproxy.wire.lenient import Lenient


class Refusal(msgspec.Struct):
    """``stop_details`` of a refusal, ``trigger`` of a fallback block."""

    category: str | None = None
    """Null where the refusal maps to no named category: a normal value."""


class ModelName(msgspec.Struct):
    """``from`` and ``to`` of a fallback block."""

    model: str | None = None


class Block(msgspec.Struct):
    """A content block, whatever its type."""

    type: str | None = None
    id: str | None = None
    name: str | None = None
    from_: ModelName | None = msgspec.field(default=None, name="from")
    to: ModelName | None = None
    trigger: Refusal | None = None
    tool_use_id: str | None = None
    is_error: bool | None = None


class ErrorDetails(msgspec.Struct):
    """``error.details``."""

    error_code: str | None = None


class Error(msgspec.Struct):
    """``error`` of the error envelope and of the mid-stream ``error`` event."""

    type: str | None = None
    details: ErrorDetails | None = None


class Message(msgspec.Struct):
    """A message, an error envelope or a token count: a whole JSON response."""

    type: str | None = None
    id: str | None = None
    model: str | None = None
    stop_reason: str | None = None
    stop_details: Refusal | None = None
    usage: dict[str, Any] | None = None
    content: list[Block] | None = None
    error: Error | None = None
    input_tokens: int | None = None


class Delta(msgspec.Struct):
    """``delta`` of a message_delta."""

    stop_reason: str | None = None
    stop_details: Refusal | None = None


class StreamEvent(msgspec.Struct):
    """Data of any event of a stream."""

    type: str | None = None
    message: Message | None = None
    content_block: Block | None = None
    delta: Delta | None = None
    usage: dict[str, Any] | None = None
    error: Error | None = None


class BatchResult(msgspec.Struct):
    """``result`` of a line of batch results."""

    type: str | None = None
    message: Message | None = None


class BatchLine(msgspec.Struct):
    """A line of batch results."""

    result: BatchResult | None = None


class Metadata(msgspec.Struct):
    """``metadata`` of a request."""

    user_id: str | None = None


class OutputFormat(msgspec.Struct):
    """``format`` of ``output_config``; ``output_format`` before that."""

    type: str | None = None


class OutputConfig(msgspec.Struct):
    """``output_config`` of a request."""

    effort: str | None = None
    format: OutputFormat | None = None


class Request(msgspec.Struct):
    """A request for a message."""

    model: str | None = None
    stream: bool | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: list[str] | None = None
    metadata: Metadata | None = None
    output_config: OutputConfig | None = None
    output_format: OutputFormat | None = None
    tools: msgspec.Raw = msgspec.Raw()
    messages: msgspec.Raw = msgspec.Raw()


class Turn(msgspec.Struct):
    """One of a request's messages; ``content`` may be a string or blocks."""

    role: str | None = None
    content: msgspec.Raw = msgspec.Raw()


MESSAGE = Lenient(Message)
EVENT = Lenient(StreamEvent)
BATCH_LINE = Lenient(BatchLine)
REQUEST = Lenient(Request)
TURN = Lenient(Turn)
BLOCK = Lenient(Block)
