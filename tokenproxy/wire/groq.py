"""Groq's accent of chat completions.

A stream's last chunk has the usage in ``x_groq.usage``, unasked; with
``include_usage`` it stands in OpenAI's place too, and is the same (SDK,
``types/chat/chat_completion_chunk.py``). ``usage_breakdown.models[]``, at the top
or inside ``x_groq``, tells for compound systems which model used what: each is
billed at its own price. ``x_groq.error`` is an error in mid-stream.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tokenproxy.wire.dialect import Dialect
from tokenproxy.wire.lenient import Lenient
from tokenproxy.wire.openai.accent import Accent, ModelUsage, Piece, piece_of
from tokenproxy.wire.openai.chat import ChatCompletions
from tokenproxy.wire.openai.errors import IN_STREAM, error_word, is_error
from tokenproxy.wire.openai.merge import merge
from tokenproxy.wire.openai.shapes import Answer
from tokenproxy.wire.words import word


class Breakdown(msgspec.Struct):
    """``usage_breakdown``."""

    models: list[ModelUsage] | None = None


class XGroq(msgspec.Struct):
    """``x_groq``."""

    usage: dict[str, Any] | None = None
    usage_breakdown: Breakdown | None = None
    error: msgspec.Raw = msgspec.Raw()


class GroqAnswer(Answer):
    """An answer with Groq's own fields."""

    usage_breakdown: Breakdown | None = None
    x_groq: XGroq | None = None


def _piece(answer: GroqAnswer) -> Piece:
    piece = piece_of(answer)
    own = answer.x_groq if answer.x_groq is not None else XGroq()
    if own.usage is not None:
        piece.usage = merge(own.usage, piece.usage or {})
    breakdown = answer.usage_breakdown or own.usage_breakdown
    if breakdown is not None:
        piece.breakdown = [
            ModelUsage(word(each.model), each.usage) for each in breakdown.models or []
        ]
    if piece.error is None and is_error(own.error):
        piece.error = error_word(own.error, IN_STREAM)
    return piece


CHAT: Dialect = ChatCompletions(
    Accent(
        name="groq.chat",
        shape=Lenient(GroqAnswer),
        piece=_piece,
        keys=("x_groq", "usage_breakdown"),
    )
)
