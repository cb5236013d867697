"""Mistral's accents: chat, code completion, agents, conversations, OCR; also on Vertex.

Chat is OpenAI's, inclusive (SDK, ``client/models/usageinfo.py``); in streams usage
comes with the last chunk, unasked. A conversation (``conversationusageinfo.py``)
adds ``connector_tokens``, what tools on Mistral's side put into the input, which the
total has beside the prompt (95 + 209 + 95 = 399), and ``connectors``, their runs.
Its stream has named events: ``conversation.response.done`` has the usage and ends
it, ``conversation.response.error`` is an error. OCR is billed by
``usage_info.pages_processed``, which is kept under that name.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tokenproxy.wire.dialect import Dialect
from tokenproxy.wire.lenient import Lenient
from tokenproxy.wire.openai.accent import Accent, Piece, piece_of
from tokenproxy.wire.openai.chat import ChatCompletions
from tokenproxy.wire.openai.errors import IN_STREAM, ErrorFields, word_of
from tokenproxy.wire.openai.fields import CHAT_FIELDS, Beside
from tokenproxy.wire.openai.shapes import Answer
from tokenproxy.wire.openai.tool_calls import Call
from tokenproxy.wire.words import word


class Entry(msgspec.Struct):
    """One of a conversation's outputs."""

    type: str | None = None
    name: str | None = None
    tool_call_id: str | None = None
    model: str | None = None


class MistralAnswer(Answer):
    """An answer with the fields of conversations, their events, and OCR."""

    conversation_id: str | None = None
    outputs: list[Entry] | None = None
    usage_info: dict[str, Any] | None = None
    name: str | None = None
    tool_call_id: str | None = None


def _piece(answer: MistralAnswer) -> Piece:
    piece = piece_of(answer)
    if piece.usage is None:
        piece.usage = answer.usage_info
    if answer.conversation_id is not None:
        piece.id = word(answer.conversation_id)
    for position, entry in enumerate(answer.outputs or []):
        piece.model = piece.model or word(entry.model)
        _add_call(piece, entry, position)
    if answer.type is not None:
        _take_event(piece, answer, answer.type)
    return piece


def _take_event(piece: Piece, answer: MistralAnswer, kind: str) -> None:
    """An event of a conversation's stream, whose ``id`` is an entry's."""
    if not kind.startswith("conversation.response."):
        piece.id = None if kind.partition(".")[0] in _ENTRIES else piece.id
        piece.content = piece.content or kind.endswith(".delta")
        _add_call(piece, Entry(kind, answer.name, answer.tool_call_id), 0)
    elif kind.endswith(".error"):
        piece.error = word_of(b"", ErrorFields(code=answer.code), IN_STREAM)
    piece.over = kind == "conversation.response.done"


_ENTRIES: Final = frozenset({"message", "function", "tool", "agent"})


def _add_call(piece: Piece, entry: Entry, position: int) -> None:
    if entry.type in {"function.call", "function.call.delta"}:
        call = Call((0, position), word(entry.tool_call_id), word(entry.name))
        piece.calls.append(call)


_FIELDS: Final = msgspec.structs.replace(
    CHAT_FIELDS,
    beside=(Beside(("connector_tokens",), "input"),),
    server_tools={"pages_processed": ("pages_processed",)},
    server_tool_tables=(("connectors",),),
)

CHAT: Dialect = ChatCompletions(
    Accent(
        name="mistral.chat",
        fields=_FIELDS,
        shape=Lenient(MistralAnswer),
        piece=_piece,
        keys=("type", "usage_info"),
    )
)
