"""Cohere's own API: what is billed stands beside what the model read, which is more.

No answer names its model. v2 streams server-sent events and states usage in
``message-end``; v1 streams NDJSON and states it in ``stream-end``.
Source: cohere-python ``types``.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tokenproxy.simulator.messages import Json, Known, Message, Tokens, cut_words, plain_id
from tokenproxy.simulator.openai_chat import Chat as OpenAIChat
from tokenproxy.simulator.openai_errors import status_of
from tokenproxy.simulator.reply import Piece, Reply, Request, json_reply
from tokenproxy.simulator.wires import (
    WIRES,
    Failure,
    Turn,
    objects,
    plain_text,
    sse,
    thought,
    tool_calls,
    whole,
)

TEMPLATE = 71
"""Tokens of Cohere's own that the model reads but nobody pays."""
FINISH = {"tool_use": "TOOL_CALL", "max_tokens": "MAX_TOKENS", "refusal": "ERROR"}
SEARCH_UNITS = 1


class Chat(OpenAIChat):
    """``/v2/chat``: messages and tools as OpenAI has them, answers as Cohere has them."""

    def reply(self, request: Request, message: Message) -> Reply:
        """An answer, whole or as events."""
        tokens = billed(message.top, request.model)
        finish = FINISH.get(message.stop_reason, "COMPLETE")
        if not request.streamed:
            said: Json = {"role": "assistant", "content": [*_content(message)]}
            if calls := tool_calls(message):
                said["tool_calls"] = [_call(block) for block in calls]
            body = {"id": plain_id("chat"), "finish_reason": finish, "message": said}
            return whole(body | {"usage": usage_of(tokens)}, known=tokens)
        pieces = [Piece(_event(event)) for event in _events(message)]
        delta = {"finish_reason": finish, "usage": usage_of(tokens)}
        last = _event({"type": "message-end", "delta": delta})
        pieces.append(Piece(last, known=Known((tokens,), final=True)))
        return Reply(
            headers=(("Content-Type", "text/event-stream"),),
            pieces=(*pieces, Piece(b"data: [DONE]\n\n")),
            billed=(tokens,),
        )

    def failure(self, request: Request, failure: Failure) -> Reply:  # noqa: ARG002
        """A sentence with an id."""
        body = {"id": plain_id("err"), "message": failure.text}
        return json_reply(body, status=status_of(failure), headers=list(failure.headers))

    def breakdown(self, request: Request, failure: Failure) -> tuple[Piece, ...]:  # noqa: ARG002
        """The stream's end, with an error for a reason and no usage."""
        delta = {"finish_reason": "ERROR", "error": failure.text}
        return (Piece(_event({"type": "message-end", "delta": delta})),)


class OldChat(Chat):
    """``/v1/chat`` and ``/v1/generate``."""

    def turn(self, request: Request) -> Turn:
        """The message; tools are not simulated here."""
        body = request.json
        return Turn(prompt=str(body.get("message") or body.get("prompt") or ""))

    def reply(self, request: Request, message: Message) -> Reply:
        """An answer, whole or as lines."""
        tokens = billed(message.top, request.model)
        text = plain_text(message)
        body: Json = {"generation_id": plain_id("gen"), "response_id": plain_id("resp")}
        body |= {"text": text, "finish_reason": "COMPLETE", "meta": meta_of(tokens)}
        if request.target.route.endswith("/generate"):
            body = {"id": plain_id("gen"), "generations": [{"text": text}], "meta": body["meta"]}
        if not request.streamed:
            return whole(body, known=tokens)
        events: list[Json] = [{"event_type": "stream-start", "is_finished": False}]
        events += [
            {"event_type": "text-generation", "is_finished": False, "text": part}
            for part in cut_words(text)
        ]
        pieces = [Piece(_line(event)) for event in events]
        end = {"event_type": "stream-end", "is_finished": True, "finish_reason": "COMPLETE"}
        pieces.append(Piece(_line(end | {"response": body}), known=Known((tokens,), final=True)))
        return Reply(
            headers=(("Content-Type", "application/stream+json"),),
            pieces=tuple(pieces),
            billed=(tokens,),
        )

    def breakdown(self, request: Request, failure: Failure) -> tuple[Piece, ...]:  # noqa: ARG002
        """The stream's end, with an error for a reason."""
        end = {"event_type": "stream-end", "is_finished": True, "finish_reason": "ERROR"}
        return (Piece(_line(end | {"error": failure.text})),)

    def garbage(self) -> tuple[Piece, ...]:
        """Lines that are none."""
        return (Piece(b'{"event_type": nonsense\xff}\n'), Piece(b"{}\n"))

    def keep_alive(self, _request: Request) -> bytes:
        """There is none."""
        return b""


class Embed(Chat):
    """``/embed``."""

    def reply(self, request: Request, message: Message) -> Reply:
        """One vector a text."""
        tokens = msgspec.structs.replace(billed(message.top, request.model), output=0)
        body = request.json
        given = body.get("texts") or objects(body.get("inputs"))
        vectors = [[0.25, -0.5]] * (len(given) if isinstance(given, list) else 1)
        meta = {"api_version": {"version": "2"}, "billed_units": {"input_tokens": tokens.input}}
        return whole(
            {"id": plain_id("emb"), "embeddings": {"float": vectors}, "meta": meta}, known=tokens
        )


class Rerank(Chat):
    """``/rerank``: billed in searches, not in tokens."""

    def reply(self, request: Request, message: Message) -> Reply:  # noqa: ARG002
        """The documents in their order."""
        documents = request.json.get("documents")
        number = len(documents) if isinstance(documents, list) else 1
        body = {
            "id": plain_id("rr"),
            "results": [{"index": at, "relevance_score": 0.5 / (at + 1)} for at in range(number)],
            "meta": {"billed_units": {"search_units": SEARCH_UNITS}},
        }
        return whole(body, known=Tokens(model=request.model))


def billed(tokens: Tokens, model: str) -> Tokens:
    """``tokens`` as Cohere bills them."""
    return msgspec.structs.replace(tokens.uncached(), model=model, thinking=None)


def usage_of(tokens: Tokens) -> Json:
    """v2's ``usage``."""
    return {
        "billed_units": {"input_tokens": tokens.input, "output_tokens": tokens.output},
        "tokens": {"input_tokens": tokens.input + TEMPLATE, "output_tokens": tokens.output},
        "cached_tokens": 0,
    }


def meta_of(tokens: Tokens) -> Json:
    """v1's ``meta``."""
    return {"api_version": {"version": "1"}} | usage_of(tokens)


def _content(message: Message) -> Iterator[Json]:
    if thought(message):
        yield {"type": "thinking", "thinking": thought(message)}
    if plain_text(message):
        yield {"type": "text", "text": plain_text(message)}


def _events(message: Message) -> Iterator[Json]:
    said: Json = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": []}
    yield {"type": "message-start", "id": plain_id("chat"), "delta": {"message": said}}
    for index, block in enumerate(_content(message)):
        kind = block["type"]
        empty = {"type": kind, kind: ""}
        yield _delta("content-start", index, {"content": empty})
        for part in cut_words(block[kind]):
            yield _delta("content-delta", index, {"content": {kind: part}})
        yield {"type": "content-end", "index": index}
    for index, block in enumerate(tool_calls(message)):
        call = _call(block)
        function = call["function"]
        opened = call | {"function": function | {"arguments": ""}}
        yield _delta("tool-call-start", index, {"tool_calls": opened})
        for part in cut_words(function["arguments"]):
            calls = {"function": {"arguments": part}}
            yield _delta("tool-call-delta", index, {"tool_calls": calls})
        yield {"type": "tool-call-end", "index": index}


def _delta(kind: str, index: int, message: Json) -> Json:
    return {"type": kind, "index": index, "delta": {"message": message}}


def _call(block: Json) -> Json:
    arguments = msgspec.json.encode(block["input"]).decode()
    function = {"name": block["name"], "arguments": arguments}
    return {"id": block["id"], "type": "function", "function": function}


def _event(value: Json) -> bytes:
    return sse(value, value["type"])


def _line(value: Json) -> bytes:
    return msgspec.json.encode(value) + b"\n"


WIRES["cohere.chat"] = Chat()
WIRES["cohere.v1"] = OldChat()
WIRES["cohere.embed"] = Embed()
WIRES["cohere.rerank"] = Rerank()
