"""What a provider's wire must be able to do, and the table of all of them.

A scenario says *what* is answered (a ``Message`` with its billed tokens, or a
``Failure``); the wire of the request says it in its provider's words. So every
scenario, modifier and fault works on every wire.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tokenproxy.simulator.exchange import Exchange
from tokenproxy.simulator.messages import Json, Known, Message, Tokens
from tokenproxy.simulator.reply import Piece, Reply, Request, json_reply
from tokenproxy.simulator.session import Session

WIRES: dict[str, Wire] = {}
"""Name, as ``targets`` has it -> wire; each file enters its own on import."""


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A refusal, in words that each wire turns into its own."""

    status: int
    kind: str
    """Anthropic's name for it; other wires go by ``status``."""
    text: str
    headers: tuple[tuple[str, str], ...] = ()
    code: str | None = None


RATE_LIMITED = Failure(
    status=429,
    kind="rate_limit_error",
    text="Too many requests. Try again later.",
    headers=(("retry-after", "1"),),
)
SERVER_ERROR = Failure(status=500, kind="api_error", text="Internal server error")
UNAVAILABLE = Failure(
    status=503,
    kind="overloaded_error",
    text="The service is overloaded. Try again later.",
    headers=(("retry-after", "1"),),
)
NOT_FOUND = Failure(status=404, kind="not_found_error", text="Not found")
UPGRADE_REQUIRED = Failure(
    status=426, kind="invalid_request_error", text="This needs a WebSocket that is not served here."
)
UNAUTHORIZED = Failure(status=401, kind="authentication_error", text="Invalid credentials")
OVERLOADED = 529
"""Anthropic's own status; 503 elsewhere."""


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that the client offers."""

    name: str
    kind: str = "function"
    """``function``, or the type of a tool that needs no schema (``local_shell``)."""
    schema: Json = msgspec.field(default_factory=dict)
    namespace: str = ""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What a request asks of the model, whatever its wire."""

    prompt: str = ""
    """Text of the last message of the user's."""
    tools: tuple[Tool, ...] = ()
    answered: bool = False
    """Whether the request brings a tool's result since that message."""
    schema: Json | None = None
    """JSON schema that the answer must match."""


class Wire:
    """One API of one family; subclasses say things in its words."""

    def turn(self, _request: Request) -> Turn:
        """What ``request`` asks."""
        return Turn()

    def scripted(self, request: Request) -> Message:
        """The scripted model's answer to ``request``."""
        # Here because the script reads what this module describes.
        from tokenproxy.simulator import agents

        return agents.answer(self.turn(request), request.model)

    def reply(self, request: Request, message: Message) -> Reply:
        """``message``, as a stream or whole, as the request asks for it."""
        raise NotImplementedError

    def failure(self, request: Request, failure: Failure) -> Reply:
        """``failure`` instead of an answer."""
        raise NotImplementedError

    def breakdown(self, request: Request, failure: Failure) -> tuple[Piece, ...]:
        """``failure`` in the midst of a stream: what comes last."""
        raise NotImplementedError

    def garbage(self) -> tuple[Piece, ...]:
        """Pieces in the midst of a stream that nobody can read."""
        return (
            Piece(b'data: {"odd": nonsense\xff}\n\n'),
            Piece(b"event: astonishment\ndata: {}\n\n"),
            Piece(b": a comment\n\n"),
        )

    def keep_alive(self, request: Request) -> bytes:
        """What keeps a silent stream open; nothing where there is no such thing."""
        return b": keep-alive\n\n" if request.streamed and request.method == "POST" else b""

    def aside(self, request: Request, past: Sequence[Exchange]) -> Reply | None:  # noqa: ARG002
        """Answer to a request of this API that asks no model; None: there is none."""
        return None

    binary = False
    """Whether messages of its WebSockets are sent as binary ones."""

    def upgrade(self, request: Request) -> Reply:
        """101 to who asks for a WebSocket, 426 to who does not."""
        if (request.header("upgrade") or "").lower() == "websocket":
            return Reply(status=101)
        return self.failure(request, UPGRADE_REQUIRED)

    def session(self, upgrade: Request) -> Session:
        """A connection that ``upgrade`` opened."""
        raise NotImplementedError


def wire_of(request: Request) -> Wire:
    """The wire that ``request`` speaks."""
    load()
    return WIRES.get(request.target.wire) or WIRES[_BY_FLAVOUR.get(request.target.flavour, _OPENAI)]


def load() -> None:
    """Fill the table."""
    # Here because the wires need this module.
    from tokenproxy.simulator import (  # noqa: F401
        anthropic,
        bedrock,
        bedrock_invoke,
        cohere,
        gemini,
        gemini_embed,
        gemini_interactions,
        gemini_live,
        mistral,
        ollama,
        openai_chat,
        openai_media,
        openai_realtime,
        openai_responses,
    )


_OPENAI = "openai.chat"
_BY_FLAVOUR = {
    "anthropic": "anthropic.messages",
    "google": "google.generate",
    "code-assist": "google.generate",
    "vertex": "google.generate",
    "vertex-anthropic": "google.generate",
    "bedrock": "bedrock.converse",
    "bedrock-sdk": "bedrock.converse",
    "ollama": "ollama.chat",
    "cohere": "cohere.chat",
}
"""Flavour -> the wire whose envelope its errors have on paths that nobody knows."""


def objects(value: Any) -> list[Json]:
    """The JSON objects in a list; none if it is no list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def texts(content: Any) -> str:
    """The text of a message's content: a string, or parts that have ``text``."""
    if isinstance(content, str):
        return content
    return "\n".join(str(part["text"]) for part in objects(content) if "text" in part)


def plain_text(message: Message) -> str:
    """All text of an answer."""
    return "".join(block["text"] for block in message.blocks if block["type"] == "text")


def thought(message: Message) -> str:
    """All reasoning of an answer."""
    return "".join(b["thinking"] for b in message.blocks if b["type"] == "thinking")


def tool_calls(message: Message) -> list[Json]:
    """The calls of a client's tools in an answer."""
    return [block for block in message.blocks if block["type"] == "tool_use"]


def whole(value: Any, *, known: Tokens, headers: Mapping[str, str] | None = None) -> Reply:
    """A JSON body that states ``known``, and is billed so."""
    plain = json_reply(value, headers=list((headers or {}).items()))
    piece = msgspec.structs.replace(plain.pieces[0], known=Known((known,), final=True))
    return msgspec.structs.replace(plain, pieces=(piece,), billed=(known,))


def sse(value: Any, name: str = "") -> bytes:
    """One server-sent event."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + msgspec.json.encode(value) + b"\n\n"
