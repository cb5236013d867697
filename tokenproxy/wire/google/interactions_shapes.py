"""Shapes of the Interactions API's JSON, with only the fields that accounting needs.

The first version (2025) named its events ``interaction.start``, ``content.start``
and so on and called steps ``outputs``; the shapes fit both.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tokenproxy.wire.lenient import Lenient


class InteractionError(msgspec.Struct):
    """An error of an interaction; ``code`` is a URI that ends in its kind."""

    code: str | None = None


class Step(msgspec.Struct):
    """A step, a content block or a delta of one, whatever its type."""

    type: str | None = None
    id: str | None = None
    name: str | None = None
    call_id: str | None = None
    is_error: bool | None = None


class Interaction(msgspec.Struct):
    """An interaction: a whole answer, or what an event tells of one."""

    id: str | None = None
    model: str | None = None
    agent: str | None = None
    status: str | None = None
    service_tier: str | None = None
    usage: dict[str, Any] | None = None
    steps: list[Step] | None = None
    outputs: list[Step] | None = None
    errors: list[InteractionError] | None = None
    error: InteractionError | None = None


class EventMetadata(msgspec.Struct):
    """``metadata`` of any event."""

    total_usage: dict[str, Any] | None = None


class InteractionEvent(msgspec.Struct):
    """Data of any event of a stream."""

    event_type: str | None = None
    interaction: Interaction | None = None
    interaction_id: str | None = None
    status: str | None = None
    step: Step | None = None
    content: Step | None = None
    delta: Step | None = None
    usage: dict[str, Any] | None = None
    metadata: EventMetadata | None = None
    error: InteractionError | None = None


class InteractionConfig(msgspec.Struct):
    """``generation_config`` of a request."""

    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: float | None = None
    stop_sequences: list[str] | None = None


class InteractionRequest(msgspec.Struct):
    """A request for an interaction."""

    model: str | None = None
    agent: str | None = None
    stream: bool | None = None
    background: bool | None = None
    input: msgspec.Raw = msgspec.Raw()
    tools: list[Step] | None = None
    generation_config: InteractionConfig | None = None


INTERACTION = Lenient(Interaction)
EVENT = Lenient(InteractionEvent)
REQUEST = Lenient(InteractionRequest)
STEP = Lenient(Step)
