"""What differs between those who speak OpenAI's chat completions: data, one value a provider.

An accent says where counts stand (:class:`Fields`), what the provider itself
calls the cost, and, where its JSON has a place of its own for something, how an
answer is turned into a :class:`Piece`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from tokenproxy.wire.lenient import Lenient
from tokenproxy.wire.openai.errors import IN_STREAM, ErrorFields, ErrorWord, error_word, is_error
from tokenproxy.wire.openai.errors import word_of as word_of_error
from tokenproxy.wire.openai.fields import CHAT_FIELDS, Fields
from tokenproxy.wire.openai.merge import Path, lookup
from tokenproxy.wire.openai.shapes import ANSWER, Answer, Choice
from tokenproxy.wire.openai.tool_calls import Call
from tokenproxy.wire.words import word

_EMPTY = frozenset({b"", b"null", b'""', b"[]", b"{}"})


class ModelUsage(msgspec.Struct):
    """What one model used inside a call that several answered."""

    model: str | None = None
    usage: dict[str, Any] | None = None


class Piece(msgspec.Struct, kw_only=True):
    """What a chunk, or a whole completion, says."""

    id: str | None = None
    model: str | None = None
    service_tier: str | None = None
    usage: dict[str, Any] | None = None
    breakdown: list[ModelUsage] = msgspec.field(default_factory=list)
    """The usage by model, where several worked."""
    error: ErrorWord | None = None
    finish_reason: str | None = None
    calls: list[Call] = msgspec.field(default_factory=list)
    content: bool = False
    """There is some."""
    over: bool = False
    """The response ends here, by the provider's own word for it."""


class Cost(NamedTuple):
    """What the provider says that the response costs."""

    usd: float | None = None
    notes: tuple[str, ...] = ()


def no_cost(_usage: Mapping[str, Any]) -> Cost:
    """The provider states none."""
    return Cost()


def amount(usage: Mapping[str, Any], path: Path) -> float | None:
    """The amount of money at a path, or None."""
    value = lookup(usage, path)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= _MOST and math.isfinite(value) else None


_MOST = 1e18


def stated_cost(path: Path, per_usd: int = 1) -> Callable[[Mapping[str, Any]], Cost]:
    """The cost that stands at a path, in units of which so many are a US dollar."""

    def cost(usage: Mapping[str, Any]) -> Cost:
        stated = amount(usage, path)
        return Cost(stated / per_usd if stated is not None else None)

    return cost


def piece_of(answer: Answer) -> Piece:
    """What an answer says in OpenAI's own places."""
    piece = Piece(
        id=word(answer.id),
        model=word(answer.model),
        service_tier=word(answer.service_tier),
        usage=answer.usage,
        error=_error(answer),
    )
    for position, choice in enumerate(answer.choices or []):
        piece.finish_reason = word(choice.finish_reason) or piece.finish_reason
        piece.content = _add_calls(piece, choice, position) or piece.content
        piece.usage = piece.usage if piece.usage is not None else choice.usage
        if piece.error is None and is_error(choice.error):
            piece.error = error_word(choice.error, IN_STREAM)
    return piece


class Accent(msgspec.Struct, frozen=True, kw_only=True):
    """One provider's way to speak chat completions."""

    name: str
    """Of its dialect, ``groq.chat``."""
    fields: Fields = CHAT_FIELDS
    cost: Callable[[Mapping[str, Any]], Cost] = no_cost
    shape: Lenient[Any] = ANSWER
    """Of an answer, with the provider's own fields."""
    piece: Callable[[Any], Piece] = piece_of
    """What an answer of that shape says."""
    keys: tuple[str, ...] = ()
    """The provider's own keys: a chunk that has one is never passed over."""


def _add_calls(piece: Piece, choice: Choice, position: int) -> bool:
    """Add a choice's tool calls; return whether the choice has any content."""
    said = choice.delta if choice.delta is not None else choice.message
    if said is None:
        return _filled(choice.text)
    at = choice.index if choice.index is not None else position
    for order, call in enumerate(said.tool_calls or []):
        index = call.index if call.index is not None else order
        name = call.function.name if call.function is not None else None
        piece.calls.append(Call((at, index), word(call.id), word(name)))
    parts = (
        said.content,
        said.reasoning_content,
        said.reasoning,
        said.refusal,
        said.audio,
        said.function_call,
    )
    return bool(said.tool_calls) or any(map(_filled, parts))


def _filled(value: msgspec.Raw) -> bool:
    return bytes(value) not in _EMPTY


def _error(answer: Answer) -> ErrorWord | None:
    """The error that an answer is, if it is one."""
    outer = ErrorFields(type=answer.type, code=answer.code)
    if is_error(answer.error):
        return word_of_error(answer.error, outer, IN_STREAM)
    if answer.object == "error":
        return word_of_error(b"", outer, IN_STREAM)
    return None
