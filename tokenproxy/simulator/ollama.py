"""Ollama's own API: NDJSON, streamed unless ``stream`` is false; it costs nothing.

The last object has ``prompt_eval_count`` and ``eval_count``; a count of nothing
is left out. Source: ollama ``api/types.go``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from tokenproxy.simulator.exchange import Exchange
from tokenproxy.simulator.messages import Json, Known, Message, Tokens, cut_words
from tokenproxy.simulator.openai_errors import status_of
from tokenproxy.simulator.reply import Piece, Reply, Request, json_reply
from tokenproxy.simulator.wires import (
    NOT_FOUND,
    WIRES,
    Failure,
    Tool,
    Turn,
    Wire,
    objects,
    plain_text,
    texts,
    thought,
    tool_calls,
    whole,
)

CREATED = "2026-11-22T00:55:00.123456789Z"
MODELS = ("qwen3.8:27b", "gpt-oss:20b")


class Ollama(Wire):
    """What its operations share."""

    def failure(self, _request: Request, failure: Failure) -> Reply:
        """A sentence."""
        return json_reply(
            {"error": failure.text}, status=status_of(failure), headers=list(failure.headers)
        )

    def breakdown(self, request: Request, failure: Failure) -> tuple[Piece, ...]:  # noqa: ARG002
        """A sentence in the place of an object."""
        return (Piece(_line({"error": failure.text})),)

    def garbage(self) -> tuple[Piece, ...]:
        """Lines that are none."""
        return (Piece(b'{"message": nonsense\xff}\n'), Piece(b"\n"), Piece(b"{}\n"))

    def keep_alive(self, _request: Request) -> bytes:
        """There is none."""
        return b""

    def aside(self, request: Request, past: Sequence[Exchange]) -> Reply | None:  # noqa: ARG002
        """Version and models."""
        match request.target.route:
            case "/api/version":
                return json_reply({"version": "0.20.0"})
            case "/api/tags" | "/api/ps":
                models = [{"name": n, "model": n, "modified_at": CREATED} for n in MODELS]
                return json_reply({"models": models})
            case "/api/show":
                return json_reply({"details": {"family": "simulated"}, "capabilities": ["tools"]})
            case "/v1/models":
                data = [{"id": name, "object": "model", "created": 0} for name in MODELS]
                return json_reply({"object": "list", "data": data})
            case "/":
                return Reply(headers=(("Content-Type", "text/plain"),),
                             pieces=(Piece(b"Ollama is running"),), sized=True)  # fmt: skip
        return self.failure(request, NOT_FOUND)


class Chat(Ollama):
    """``/api/chat``."""

    def turn(self, request: Request) -> Turn:
        """What the last message of the user's asks."""
        body = request.json
        turns = objects(body.get("messages"))
        at = max((i for i, turn in enumerate(turns) if turn.get("role") == "user"), default=-1)
        wanted = body.get("format")
        return Turn(
            prompt=texts(turns[at].get("content")) if turns else str(body.get("prompt") or ""),
            tools=tuple(_tool(tool) for tool in objects(body.get("tools"))),
            answered=any(turn.get("role") == "tool" for turn in turns[at + 1 :]),
            schema=wanted if isinstance(wanted, dict) else None,
        )

    def reply(self, request: Request, message: Message) -> Reply:
        """An answer in one object, or in many."""
        tokens = msgspec.structs.replace(message.top.uncached(), thinking=None)
        final = self._object(request, done=True) | _counts(tokens)
        if request.json.get("stream") is False:
            said = self._said(plain_text(message), thought(message), tool_calls(message))
            return whole(final | said, known=tokens)
        pieces = [
            Piece(_line(self._object(request, done=False) | said)) for said in self._deltas(message)
        ]
        pieces.append(Piece(_line(final), known=Known((tokens,), final=True)))
        return Reply(
            headers=(("Content-Type", "application/x-ndjson"),),
            pieces=tuple(pieces),
            billed=(tokens,),
        )

    def _deltas(self, message: Message) -> Iterator[Json]:
        yield from (self._said("", part, []) for part in cut_words(thought(message)) if part)
        yield from (self._said(part, "", []) for part in cut_words(plain_text(message)) if part)
        if calls := tool_calls(message):
            yield self._said("", "", calls)

    def _said(self, text: str, thinking: str, calls: list[Json]) -> Json:
        said: Json = {"role": "assistant", "content": text}
        if thinking:
            said["thinking"] = thinking
        if calls:
            said["tool_calls"] = [
                {"function": {"name": block["name"], "arguments": block["input"]}}
                for block in calls
            ]
        return {"message": said}

    def _object(self, request: Request, *, done: bool) -> Json:
        head: Json = {"model": request.model, "created_at": CREATED}
        return head | self._said("", "", []) | {"done": done}


class Generate(Chat):
    """``/api/generate``."""

    def _said(self, text: str, thinking: str, calls: list[Json]) -> Json:  # noqa: ARG002
        return {"response": text, "thinking": thinking} if thinking else {"response": text}


class Embed(Ollama):
    """``/api/embed``."""

    def reply(self, request: Request, message: Message) -> Reply:
        """One vector an input."""
        tokens = msgspec.structs.replace(message.top.uncached(), output=0, thinking=None)
        given = request.json.get("input")
        number = len(given) if isinstance(given, list) else 1
        body: Json = {
            "model": request.model,
            "embeddings": [[0.25, -0.5]] * number,
            "total_duration": 14_143_917,
            "load_duration": 1_019_500,
            "prompt_eval_count": tokens.input,
        }
        return whole(body, known=tokens)


def _counts(tokens: Tokens) -> Json:
    counts = {"prompt_eval_count": tokens.input, "eval_count": tokens.output}
    return {
        "done_reason": "stop",
        "total_duration": 4_883_583_458,
        "load_duration": 1_334_875,
        "prompt_eval_duration": 342_546_000,
        "eval_duration": 4_535_599_000,
    } | {key: count for key, count in counts.items() if count}


def _tool(tool: Json) -> Tool:
    function = tool.get("function")
    said = function if isinstance(function, dict) else {}
    return Tool(name=str(said.get("name")), schema=said.get("parameters") or {})


def _line(value: Json) -> bytes:
    return msgspec.json.encode(value) + b"\n"


WIRES["ollama.chat"] = Chat()
WIRES["ollama.generate"] = Generate()
WIRES["ollama.embed"] = Embed()
