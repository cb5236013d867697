"""Shapes of Google's JSON, with only the fields that accounting needs.

Every field has a default and is read leniently. Content is never among the
fields: of a part only the names that lead to a tool.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tokenproxy.wire.google.errors import Error
from tokenproxy.wire.lenient import Lenient


class FunctionCall(msgspec.Struct):
    """``functionCall``; the Gemini API leaves ``id`` out on older models."""

    id: str | None = None
    name: str | None = None


class FunctionOutput(msgspec.Struct):
    """``response`` of a function: by convention ``output`` or ``error``."""

    error: Any = None


class FunctionResponse(msgspec.Struct):
    """``functionResponse``."""

    id: str | None = None
    response: FunctionOutput | None = None


class Part(msgspec.Struct, rename="camel"):
    """A part of a content, whatever its kind."""

    function_call: FunctionCall | None = None
    function_response: FunctionResponse | None = None


class Content(msgspec.Struct):
    """Parts, and whose they are: ``user`` or ``model``."""

    role: str | None = None
    parts: list[Part] | None = None


class Place(msgspec.Struct):
    """``maps`` of a grounding chunk; nothing in it matters."""


class Source(msgspec.Struct):
    """One of ``groundingChunks``."""

    maps: Place | None = None


class Grounding(msgspec.Struct, rename="camel"):
    """``groundingMetadata``."""

    web_search_queries: list[Any] | None = None
    image_search_queries: list[Any] | None = None
    grounding_chunks: list[Source] | None = None
    google_maps_widget_context_token: str | None = None


class Candidate(msgspec.Struct, rename="camel"):
    """One answer, or the next piece of it."""

    index: int = 0
    content: Content | None = None
    finish_reason: str | None = None
    grounding_metadata: Grounding | None = None


class PromptFeedback(msgspec.Struct, rename="camel"):
    """Why a prompt was not answered."""

    block_reason: str | None = None


class Chunk(msgspec.Struct, rename="camel"):
    """A whole response or one object of its stream."""

    candidates: list[Candidate] | None = None
    usage_metadata: dict[str, Any] | None = None
    model_version: str | None = None
    response_id: str | None = None
    prompt_feedback: PromptFeedback | None = None
    error: Error | None = None


class Envelope(Chunk):
    """A chunk; Code Assist's stands in ``response``."""

    response: Chunk | None = None
    trace_id: str | None = None

    def chunk(self) -> Chunk:
        """What is in the envelope, or the envelope itself if it is none."""
        inner = self.response
        if inner is None:
            return self
        inner.response_id = inner.response_id or self.trace_id
        inner.error = inner.error or self.error
        return inner


ENVELOPE = Lenient(Envelope)
CONTENT = Lenient(Content)
