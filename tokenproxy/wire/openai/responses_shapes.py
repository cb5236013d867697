"""Shapes of the Responses API's JSON, with only the fields that accounting needs.

Every field has a default and is read leniently. Of an item of input or output
only its type and what ties a tool's call to its result are among the fields.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tokenproxy.wire.lenient import Lenient


class IncompleteDetails(msgspec.Struct):
    """Why a response is incomplete."""

    reason: str | None = None


class Environment(msgspec.Struct):
    """Where a shell call runs: ``local``, or a container of the provider's."""

    type: str | None = None


class Item(msgspec.Struct):
    """An item of input or output, whatever its type."""

    type: str | None = None
    role: str | None = None
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    status: str | None = None
    execution: str | None = None
    """Who runs a tool search: ``server`` or ``client``."""
    environment: Environment | None = None
    svg_usage: dict[str, Any] | None = None


class Tool(msgspec.Struct):
    """A tool that a response was offered, as the response repeats it."""

    type: str | None = None
    model: str | None = None


class Response(msgspec.Struct):
    """A response or a compaction: a whole body, and ``response`` of a stream's events."""

    id: str | None = None
    object: str | None = None
    status: str | None = None
    background: bool | None = None
    model: str | None = None
    error: msgspec.Raw = msgspec.Raw()
    incomplete_details: IncompleteDetails | None = None
    service_tier: str | None = None
    usage: dict[str, Any] | None = None
    tool_usage: dict[str, Any] | None = None
    tools: list[Tool] | None = None
    output: list[Item] | None = None


class Event(msgspec.Struct):
    """Data of any event of a stream, and any message of the provider's on a WebSocket."""

    type: str | None = None
    stream_id: str | None = None
    """The lane of a WebSocket that it belongs to."""
    response_id: str | None = None
    response: Response | None = None
    item: Item | None = None
    code: str | int | None = None
    """Of an ``error`` event, which names its error here or below ``error``."""
    error: msgspec.Raw = msgspec.Raw()
    status: int | None = None
    """The HTTP status that an error's message on a WebSocket states."""
    status_code: int | None = None
    """The same, as some senders call it."""


class ClientMetadata(msgspec.Struct):
    """``client_metadata``, by which Codex says who asks."""

    session_id: str | None = None
    turn_id: str | None = None
    turn_metadata: str | None = msgspec.field(default=None, name="x-codex-turn-metadata")


class TurnMetadata(msgspec.Struct):
    """The JSON in ``x-codex-turn-metadata``."""

    session_id: str | None = None
    turn_id: str | None = None
    request_kind: str | None = None


class TextFormat(msgspec.Struct):
    """``format`` of ``text``."""

    type: str | None = None


class Text(msgspec.Struct):
    """``text`` of a request."""

    format: TextFormat | None = None


class Reasoning(msgspec.Struct):
    """``reasoning`` of a request."""

    effort: str | None = None


class Request(msgspec.Struct):
    """A request for a response; on a WebSocket the client's message that asks for one."""

    type: str | None = None
    """``response.create``, on a WebSocket only."""
    stream_id: str | None = None
    model: str | None = None
    stream: bool | None = None
    background: bool | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    service_tier: str | None = None
    text: Text | None = None
    reasoning: Reasoning | None = None
    client_metadata: ClientMetadata | None = None
    tools: msgspec.Raw = msgspec.Raw()
    input: msgspec.Raw = msgspec.Raw()
    previous_response_id: msgspec.Raw = msgspec.Raw()
    conversation: msgspec.Raw = msgspec.Raw()


RESPONSE = Lenient(Response)
EVENT = Lenient(Event)
ITEM = Lenient(Item)
REQUEST = Lenient(Request)
TURN_METADATA = Lenient(TurnMetadata)
