"""Shapes of the Live API's messages, with only the fields that accounting needs."""

from __future__ import annotations

from typing import Any

import msgspec

from tokenproxy.wire.google.errors import Error
from tokenproxy.wire.google.request import GenerationConfig, Tool
from tokenproxy.wire.google.shapes import Content, FunctionCall, FunctionResponse, Grounding
from tokenproxy.wire.lenient import Lenient


class Marker(msgspec.Struct):
    """An object of which only matters that it is there."""


class Setup(msgspec.Struct, rename="camel"):
    """``setup``."""

    model: str | None = None
    generation_config: GenerationConfig | None = None
    tools: list[Tool] | None = None


class ClientContent(msgspec.Struct, rename="camel"):
    """``clientContent``."""

    turn_complete: bool | None = None


class RealtimeInput(msgspec.Struct, rename="camel"):
    """``realtimeInput``."""

    text: str | None = None
    activity_end: Marker | None = None


class ToolResponse(msgspec.Struct, rename="camel"):
    """``toolResponse``."""

    function_responses: list[FunctionResponse] | None = None


class ClientMessage(msgspec.Struct, rename="camel"):
    """A message from the client."""

    setup: Setup | None = None
    client_content: ClientContent | None = None
    realtime_input: RealtimeInput | None = None
    tool_response: ToolResponse | None = None

    @property
    def asks(self) -> bool:
        """Whether it asks for a generation."""
        content, spoken = self.client_content, self.realtime_input
        return (
            (content is not None and content.turn_complete is True)
            or (spoken is not None and (bool(spoken.text) or spoken.activity_end is not None))
            or self.tool_response is not None
        )


class ServerContent(msgspec.Struct, rename="camel"):
    """``serverContent``."""

    model_turn: Content | None = None
    output_transcription: Marker | None = None
    turn_complete: bool | None = None
    turn_complete_reason: str | None = None
    grounding_metadata: Grounding | None = None


class ToolCall(msgspec.Struct, rename="camel"):
    """``toolCall``."""

    function_calls: list[FunctionCall] | None = None


class ServerMessage(msgspec.Struct, rename="camel"):
    """A message from the provider."""

    server_content: ServerContent | None = None
    tool_call: ToolCall | None = None
    usage_metadata: dict[str, Any] | None = None
    error: Error | None = None

    @property
    def generates(self) -> bool:
        """Whether the model says something in it."""
        content = self.server_content
        return self.tool_call is not None or (
            content is not None
            and (content.model_turn is not None or content.output_transcription is not None)
        )


CLIENT = Lenient(ClientMessage)
SERVER = Lenient(ServerMessage)
