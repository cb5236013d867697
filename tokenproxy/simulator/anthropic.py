"""Anthropic's Messages API, wherever it is served: at home, Vertex, Foundry, in others' skins."""

from __future__ import annotations

import msgspec

from tokenproxy.simulator import messages, openai_usage, script
from tokenproxy.simulator.messages import Event, Message, Tokens
from tokenproxy.simulator.reply import Piece, Reply, Request, error_reply, message_reply
from tokenproxy.simulator.wires import OVERLOADED, WIRES, Failure, Wire

ESTIMATED_INPUT = 17
"""``input_tokens`` with which Ollama begins a stream, before it has counted."""
COUNTS_LATE = frozenset({"ollama"})
"""Flavours whose ``message_start`` has no true input yet."""
CACHELESS = frozenset({"ollama"})
WRITELESS = frozenset({"deepseek", "xai", "moonshot", "zai", "minimax"})
"""Flavours in whose skin a cache write is plain input."""


class Messages(Wire):
    """``/v1/messages``."""

    def scripted(self, request: Request) -> Message:
        """The script that knows Claude Code."""
        return script.answer(request)

    def reply(self, request: Request, message: Message) -> Reply:
        """A message, whole or as events."""
        return message_reply(as_served(request, message), streamed=request.streamed)

    def failure(self, request: Request, failure: Failure) -> Reply:
        """The envelope with a request's id."""
        status = failure.status
        kind = failure.kind
        if status == 503:
            status = OVERLOADED if request.target.flavour == "anthropic" else status
        return error_reply(
            status, kind, failure.text, headers=list(failure.headers), code=failure.code
        )

    def breakdown(self, _request: Request, failure: Failure) -> tuple[Piece, ...]:
        """An error event."""
        return (Piece(messages.error_event(failure.kind, failure.text).encode()),)

    def keep_alive(self, _request: Request) -> bytes:
        """A ping event."""
        return Event("ping", {"type": "ping"}).encode()

    def garbage(self) -> tuple[Piece, ...]:
        """Events that are none."""
        return (
            Piece(b'event: content_block_delta\ndata: {"type": nonsense\xff}\n\n'),
            Piece(Event("astonishment", {}).encode()),
            Piece(b": a comment\n\n"),
        )


def as_served(request: Request, message: Message) -> Message:
    """``message`` as the provider of ``request`` counts and states it."""
    flavour = request.target.flavour
    if flavour == "anthropic":
        return message
    parts = tuple(_own(part, flavour) for part in message.parts)
    changed = msgspec.structs.replace(message, parts=parts)
    if flavour in COUNTS_LATE:
        changed = msgspec.structs.replace(changed, start_input=ESTIMATED_INPUT)
    return changed


def _own(tokens: Tokens, flavour: str) -> Tokens:
    if flavour in CACHELESS:
        return tokens.uncached()
    if flavour in WRITELESS:
        return tokens.written_free()
    if flavour == "openrouter":
        return msgspec.structs.replace(tokens, cost_usd=openai_usage.cost(tokens))
    return tokens


WIRES["anthropic.messages"] = Messages()
