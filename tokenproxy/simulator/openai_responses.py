"""OpenAI's Responses API: over HTTP whole, streamed or in the background, and over a WebSocket.

A response is built once as its final object and its events (numbered from 0);
what is sent are views of those: the object, the events as server-sent events or
as text messages, the events after a number. It is kept (``Reply.stored``), so
that a GET can have it again; that bills nothing more.

Sources: openai-python ``types/responses``, ``resources/responses/responses.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from tokenproxy.simulator import openai_aside, openai_usage
from tokenproxy.simulator.exchange import Exchange
from tokenproxy.simulator.messages import Json, Message, plain_id
from tokenproxy.simulator.openai_chat import CREATED, STREAM_HEADERS
from tokenproxy.simulator.openai_errors import envelope, failed, status_of
from tokenproxy.simulator.openai_response import Made, lane_of, usage_of
from tokenproxy.simulator.reply import Piece, Reply, Request, Stored, json_reply
from tokenproxy.simulator.session import Asked, Session, message_of
from tokenproxy.simulator.wires import (
    NOT_FOUND,
    WIRES,
    Failure,
    Tool,
    Turn,
    Wire,
    objects,
    sse,
    texts,
    whole,
)

ASKING = "response.create"
"""Type of a WebSocket's messages that are answered."""
RESULTS = "_output"
"""Ends the types of input items that bring a tool's result."""


class Responses(Wire):
    """``/responses``, and what hangs below it."""

    def turn(self, request: Request) -> Turn:
        """What the last message of the user's asks."""
        body = request.json
        given = body.get("input")
        if isinstance(given, str):
            given = [{"role": "user", "content": given}]
        items = objects(given)
        at = max((i for i, item in enumerate(items) if item.get("role") == "user"), default=-1)
        text = body.get("text")
        wanted = text.get("format") if isinstance(text, dict) else None
        is_json = isinstance(wanted, dict) and wanted.get("type") == "json_schema"
        return Turn(
            prompt=texts(items[at].get("content")) if at >= 0 else "",
            tools=tuple(_tools(objects(body.get("tools")))),
            answered=any(str(item.get("type")).endswith(RESULTS) for item in items[at + 1 :]),
            schema=wanted.get("schema") if is_json and isinstance(wanted, dict) else None,
        )

    def reply(self, request: Request, message: Message) -> Reply:
        """A response in the form that is asked for."""
        body = request.json
        made = Made.of(request, message)
        stored = Stored(made.id, made.final, made.events)
        if request.method == "WS":
            return Reply(pieces=made.messages(body), billed=(made.tokens,), stored=stored)
        if request.streamed:
            return Reply(
                headers=STREAM_HEADERS,
                pieces=made.pieces(made.events),
                billed=(made.tokens,),
                stored=stored,
            )
        if body.get("background") is True:
            queued = json_reply(made.pending("queued"))
            return msgspec.structs.replace(queued, billed=(made.tokens,), stored=stored)
        return msgspec.structs.replace(whole(made.final, known=made.tokens), stored=stored)

    def failure(self, request: Request, failure: Failure) -> Reply:
        """The error envelope, over a WebSocket with its status and headers in it."""
        if request.method != "WS":
            return failed(request, failure)
        return Reply(pieces=self.breakdown(request, failure))

    def session(self, upgrade: Request) -> Session:  # noqa: ARG002
        """Lanes on which responses are asked for."""
        return Lanes()

    def breakdown(self, request: Request, failure: Failure) -> tuple[Piece, ...]:
        """An ``error`` event; a WebSocket has a form of its own for it."""
        error = envelope("openai", failure)["error"]
        if request.method == "WS":
            said = {
                "type": "error",
                "status": status_of(failure),
                "error": error,
                "headers": dict(failure.headers),
            }
            return (Piece(msgspec.json.encode(said | lane_of(request.json))),)
        event = {
            "type": "error",
            "code": error["code"],
            "message": error["message"],
            "param": None,
            "sequence_number": 999,
        }
        return (Piece(sse(event, "error")),)

    def aside(self, request: Request, past: Sequence[Exchange]) -> Reply | None:
        """A stored response again, whole or from an event on; counting; the rest of the API."""
        if request.target.socket:
            return self.upgrade(request)
        if request.method != "GET" or not (wanted := request.target.rest):
            return openai_aside.answer(request, past)
        found = next(
            (
                (exchange, stored)
                for exchange in past
                if (stored := exchange.reply.stored) and stored.id == wanted
            ),
            None,
        )
        if found is None:
            return failed(request, NOT_FOUND)
        exchange, stored = found
        tokens = exchange.billed[0]
        query = request.target.query
        if query.get("stream") == "true":
            after = int(query.get("starting_after") or -1)
            made = Made(stored.final, stored.events, tokens)
            late = tuple(e for e in stored.events if e["sequence_number"] > after)
            return Reply(headers=STREAM_HEADERS, pieces=made.pieces(late), stored=stored)
        asked = sum(
            1 for e in past if e.request.method == "GET" and e.request.target.rest == wanted
        )
        if exchange.request.json.get("background") is True and asked == 0:
            return json_reply(Made(stored.final, stored.events, tokens).pending("in_progress"))
        return msgspec.structs.replace(whole(stored.final, known=tokens), billed=(), stored=stored)


class Lanes:
    """A connection's messages: ``response.create`` asks, each ``stream_id`` is a lane."""

    def opening(self) -> Sequence[Piece]:
        """Nothing."""
        return ()

    def take(self, message: bytes) -> Iterator[Piece | Asked]:
        """A request, or nothing."""
        asked = message_of(message)
        if asked.get("type") == ASKING:
            yield Asked(message, str(asked.get("stream_id") or ""))


class Compact(Responses):
    """``/responses/compact``: a call of its own, with a usage of its own."""

    def reply(self, request: Request, message: Message) -> Reply:
        """The compacted conversation."""
        tokens = openai_usage.billed(message.top, request.target.flavour)
        body = {
            "id": plain_id("resp"),
            "object": "response.compaction",
            "created_at": CREATED,
            "model": request.model,
            "output": [
                {
                    "id": plain_id("cmp"),
                    "type": "compaction",
                    "encrypted_content": "c2ltdWxhdGVk",
                }
            ],
            "usage": usage_of(tokens, request.target.flavour),
        }
        return whole(body, known=tokens)


def _tools(tools: list[Json], namespace: str = "") -> Iterator[Tool]:
    for tool in tools:
        kind = str(tool.get("type"))
        if kind == "namespace":
            yield from _tools(objects(tool.get("tools")), str(tool.get("name")))
        else:
            schema = tool.get("parameters")
            yield Tool(
                name=str(tool.get("name") or kind),
                kind=kind,
                schema=schema if isinstance(schema, dict) else {},
                namespace=namespace,
            )


WIRES["openai.responses"] = Responses()
WIRES["openai.compact"] = Compact()
