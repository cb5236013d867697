"""Google's Interactions API: an answer whole, as events or in the background, kept to be had again.

An interaction is built once as its final object and its events; what is sent are
views of those, as of a response of OpenAI's. Counts have names of their own and the
arithmetic of generateContent: the cache within the input, thoughts outside the output.
An answer with interim outputs (scenario ``stream``) tells what it used so far at the end
of each step. A stream ends with ``interaction.completed``, whatever became of it, and
``[DONE]``; or with an ``error``.

Sources: google-genai ``_gaos/types/interactions``; "Interactions API", "Streaming".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from tokenproxy.simulator.exchange import Exchange
from tokenproxy.simulator.gemini import SIGNATURE, Generate, billed, envelope
from tokenproxy.simulator.messages import Json, Known, Message, Tokens, cut_words, plain_id
from tokenproxy.simulator.openai_chat import STREAM_HEADERS
from tokenproxy.simulator.reply import Piece, Reply, Request, Stored, json_reply
from tokenproxy.simulator.wires import (
    NOT_FOUND,
    WIRES,
    Failure,
    Tool,
    Turn,
    objects,
    sse,
    texts,
    whole,
)

WHEN = {"created": "2026-11-22T00:00:00Z", "updated": "2026-11-22T00:00:03Z"}
STATUS = {"tool_use": "requires_action", "max_tokens": "incomplete", "failed": "failed"}
"""Stop reason -> status; any other is completed."""
DONE = Piece(b"event: done\ndata: [DONE]\n\n")


class Interactions(Generate):
    """``/interactions``, and one of them by its id."""

    def turn(self, request: Request) -> Turn:
        """What the last step of the user's asks."""
        given = request.json.get("input")
        if isinstance(given, str):
            given = [{"type": "user_input", "content": [{"type": "text", "text": given}]}]
        steps = objects(given)
        at = max((i for i, s in enumerate(steps) if s.get("type") == "user_input"), default=-1)
        return Turn(
            prompt=texts(steps[at].get("content")) if at >= 0 else "",
            tools=tuple(_tools(request.json)),
            answered=any(step.get("type") == "function_result" for step in steps[at + 1 :]),
        )

    def reply(self, request: Request, message: Message) -> Reply:
        """An interaction in the form that is asked for."""
        made = Made.of(request, message)
        stored = Stored(made.id, made.final, made.events)
        if request.streamed:
            return Reply(
                headers=STREAM_HEADERS,
                pieces=(*made.pieces(made.events), DONE),
                billed=(made.tokens,),
                stored=stored,
            )
        if request.json.get("background") is True:
            pending = json_reply(made.pending())
            return msgspec.structs.replace(pending, billed=(made.tokens,), stored=stored)
        return msgspec.structs.replace(whole(made.final, known=made.tokens), stored=stored)

    def breakdown(self, request: Request, failure: Failure) -> tuple[Piece, ...]:  # noqa: ARG002
        """An ``error`` event, the stream's last."""
        said = envelope(failure)["error"]
        error = {"code": str(said["status"]).lower(), "message": said["message"]}
        return (Piece(sse({"event_type": "error", "error": error}, "error")),)

    def keep_alive(self, request: Request) -> bytes:
        """A comment, as of any events."""
        return b": keep-alive\n\n" if request.streamed else b""

    def garbage(self) -> tuple[Piece, ...]:
        """Events that are none."""
        return (
            Piece(b'event: step.delta\ndata: {"delta": nonsense\xff}\n\n'),
            Piece(b'event: astonishment\ndata: {"event_type": "astonishment"}\n\n'),
        )

    def aside(self, request: Request, past: Sequence[Exchange]) -> Reply | None:
        """An interaction again: as it is by now, or its events after one of them."""
        wanted = request.target.rest
        found = next(
            ((e, kept) for e in past if (kept := e.reply.stored) and kept.id == wanted), None
        )
        if found is None:
            return self.failure(request, NOT_FOUND)
        exchange, stored = found
        made = Made(stored.final, stored.events, exchange.billed[0])
        query = request.target.query
        if query.get("stream") == "true":
            seen = query.get("last_event_id")
            names = [event["event_id"] for event in stored.events]
            late = stored.events[names.index(seen) + 1 if seen in names else 0 :]
            pieces = (*made.pieces(late), DONE)
            return Reply(headers=STREAM_HEADERS, pieces=pieces, stored=stored)
        looked = any(e.request.method == "GET" and e.request.target.rest == wanted for e in past)
        if exchange.request.json.get("background") is True and not looked:
            return json_reply(made.pending())
        again = whole(stored.final, known=made.tokens)
        return msgspec.structs.replace(again, billed=(), stored=stored)


class Made(msgspec.Struct, frozen=True):
    """An interaction and all that can be sent of it."""

    final: Json
    events: tuple[Json, ...]
    tokens: Tokens

    @classmethod
    def of(cls, request: Request, message: Message) -> Made:
        """The interaction that says ``message``."""
        tokens = billed(message.top, request.model)
        tokens = msgspec.structs.replace(tokens, thinking=tokens.thinking or 0)
        final: Json = {
            "id": plain_id("v1"),
            "object": "interaction",
            "model": tokens.model,
            "status": STATUS.get(message.stop_reason, "completed"),
            "service_tier": "standard",
            "steps": list(_steps(message)),
            "usage": usage_of(tokens),
            **WHEN,
        }
        interim = message.interim_outputs[:1]
        events = [*_events(final, [usage_of(_sofar(tokens, output)) for output in interim])]
        return cls(final, tuple(_named(events)), tokens)

    @property
    def id(self) -> str:
        """The interaction's id."""
        return str(self.final["id"])

    def pending(self) -> Json:
        """The object before there is an answer."""
        left = {key: value for key, value in self.final.items() if key != "usage"}
        return left | {"status": "in_progress", "steps": []}

    def pieces(self, events: Sequence[Json]) -> tuple[Piece, ...]:
        """``events`` as server-sent events."""
        return tuple(Piece(sse(e, e["event_type"]), known=self._known(e)) for e in events)

    def _known(self, event: Json) -> Known | None:
        if event["event_type"] == "interaction.completed":
            return Known((self.tokens,), final=True)
        if usage := event.get("usage"):
            output = usage["total_output_tokens"] + usage["total_thought_tokens"]
            return Known((_sofar(self.tokens, output),), final=False)
        return None


def usage_of(tokens: Tokens) -> Json:
    """The ``usage`` object."""
    thoughts = tokens.thinking or 0
    usage: Json = {
        "total_input_tokens": tokens.all_input,
        "input_tokens_by_modality": [{"modality": "text", "tokens": tokens.all_input}],
        "total_cached_tokens": tokens.cache_read,
        "total_output_tokens": tokens.output - thoughts,
        "output_tokens_by_modality": [{"modality": "text", "tokens": tokens.output - thoughts}],
        "total_tool_use_tokens": 0,
        "total_thought_tokens": thoughts,
        "total_tokens": tokens.all_input + tokens.output,
    }
    return usage


def _sofar(tokens: Tokens, output: int) -> Tokens:
    thoughts = min(tokens.thinking or 0, output)
    return msgspec.structs.replace(tokens, output=output, thinking=thoughts)


def _tools(body: Json) -> Iterator[Tool]:
    for tool in objects(body.get("tools")):
        schema = tool.get("parameters")
        if tool.get("type") == "function":
            yield Tool(
                name=str(tool.get("name")), schema=schema if isinstance(schema, dict) else {}
            )


def _steps(message: Message) -> Iterator[Json]:
    for block in message.blocks:
        match block["type"]:
            case "text":
                content = {"type": "text", "text": block["text"]}
                yield {"type": "model_output", "content": [content]}
            case "thinking":
                content = {"type": "text", "text": block["thinking"]}
                yield {"type": "thought", "signature": SIGNATURE, "summary": [content]}
            case "tool_use":
                call = {"id": block["id"], "name": block["name"], "arguments": block["input"]}
                yield {"type": "function_call"} | call


def _events(final: Json, interim: list[Json]) -> Iterator[Json]:
    head = {key: final[key] for key in ("id", "object", "model", "created")}
    created = head | {"status": "in_progress"}
    yield {"event_type": "interaction.created", "interaction": created}
    yield {
        "event_type": "interaction.status_update",
        "interaction_id": final["id"],
        "status": "in_progress",
    }
    for index, step in enumerate(final["steps"]):
        place = {"index": index}
        empty, deltas = _opened(step)
        yield {"event_type": "step.start", "step": empty} | place
        for delta in deltas:
            yield {"event_type": "step.delta", "delta": delta} | place
        used = {"usage": interim[0]} if interim else {}
        yield {"event_type": "step.stop"} | used | place
    done = {key: value for key, value in final.items() if key != "steps"}
    yield {"event_type": "interaction.completed", "interaction": done}


def _opened(step: Json) -> tuple[Json, list[Json]]:
    """A step as it starts, and the deltas that fill it."""
    match step["type"]:
        case "model_output":
            parts = cut_words(step["content"][0]["text"])
            return {"type": "model_output"}, [{"type": "text", "text": part} for part in parts]
        case "thought":
            deltas: list[Json] = [
                {"type": "thought_summary", "content": {"type": "text", "text": part}}
                for part in cut_words(step["summary"][0]["text"])
            ]
            return {"type": "thought"}, [
                *deltas,
                {"type": "thought_signature", "signature": SIGNATURE},
            ]
    text = msgspec.json.encode(step["arguments"]).decode()
    parts = cut_words(text)
    return step | {"arguments": {}}, [
        {"type": "arguments_delta", "arguments": part} for part in parts
    ]


def _named(events: list[Json]) -> Iterator[Json]:
    return (event | {"event_id": f"ev_{number}"} for number, event in enumerate(events))


WIRES["google.interactions"] = Interactions()
