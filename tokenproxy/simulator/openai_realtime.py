"""OpenAI's Realtime API: answers in sound or text, and transcripts of what was said.

An answer ends with ``response.done``, which states its usage (``token_details`` in
the singular: text, sound and what is cached of each), whatever became of it; one that
fails has none. A transcript is another model's and states its own, by tokens, or by the
second on the oldest model. Thinking is not shown. ``realtime_session`` says what asks.

Source: openai-python ``types/realtime``.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence

import msgspec

from tokenproxy.simulator.exchange import Exchange
from tokenproxy.simulator.messages import Json, Known, Message, Tokens, cut_words, plain_id
from tokenproxy.simulator.openai_errors import envelope, failed
from tokenproxy.simulator.openai_media import BY_DURATION, SECONDS
from tokenproxy.simulator.realtime_session import TRANSCRIBE, RealtimeSession, event_id
from tokenproxy.simulator.reply import Piece, Reply, Request
from tokenproxy.simulator.session import Session, pieces
from tokenproxy.simulator.wires import WIRES, Failure, Tool, Turn, Wire, objects, plain_text, texts

TRANSCRIPT = "conversation.item.input_audio_transcription"
SOUND = b64encode(bytes(range(1, 241))).decode()
STATUS = {
    "max_tokens": ("incomplete", "max_output_tokens"),
    "refusal": ("incomplete", "content_filter"),
}
"""Stop reason -> status and why; any other is completed."""


class Realtime(Wire):
    """``/realtime``."""

    def turn(self, request: Request) -> Turn:
        """What the last message of the user's asks."""
        body = request.json
        items = objects(body.get("input"))
        at = max((i for i, item in enumerate(items) if item.get("role") == "user"), default=-1)
        return Turn(
            prompt=texts(items[at].get("content")) if at >= 0 else "",
            tools=tuple(_tool(tool) for tool in objects(body.get("tools"))),
            answered=any(i.get("type") == "function_call_output" for i in items[at + 1 :]),
        )

    def session(self, upgrade: Request) -> Session:
        """A conversation."""
        return RealtimeSession(upgrade)

    def aside(self, request: Request, past: Sequence[Exchange]) -> Reply | None:  # noqa: ARG002
        """The upgrade."""
        return self.upgrade(request)

    def reply(self, request: Request, message: Message) -> Reply:
        """An answer, or a transcript."""
        body = request.json
        if body.get("type") == TRANSCRIBE:
            return _transcript(str(body["item_id"]), request.model, message)
        tokens = msgspec.structs.replace(
            message.top.written_free(), model=request.model, thinking=None
        )
        spoken = "text" not in (body.get("output_modalities") or ())
        status, why = STATUS.get(message.stop_reason, ("completed", ""))
        final = _response(body, status) | {
            "output": [_item(block, spoken=spoken) for block in _shown(message)],
            "usage": usage_of(tokens, spoken=spoken),
        }
        if why:
            final["status_details"] = {"type": status, "reason": why}
        events = list(_events(final, spoken=spoken))
        known = Known((tokens,), final=True)
        last = msgspec.structs.replace(events[-1], known=known)
        return Reply(pieces=(*events[:-1], last), billed=(tokens,))

    def failure(self, request: Request, failure: Failure) -> Reply:
        """A refused upgrade; of an answer, one that fails at once."""
        if request.method != "WS":
            return failed(request, failure)
        if request.json.get("type") == TRANSCRIBE:
            return Reply(pieces=self.breakdown(request, failure))
        begun = _said("response.created", response=_response(request.json, "in_progress"))
        return Reply(pieces=(begun, *self.breakdown(request, failure)))

    def breakdown(self, request: Request, failure: Failure) -> tuple[Piece, ...]:
        """The answer is done and has failed; likewise the transcript."""
        error = envelope("openai", failure)["error"]
        body = request.json
        if body.get("type") == TRANSCRIBE:
            place = {"item_id": body["item_id"], "content_index": 0}
            return (_said(f"{TRANSCRIPT}.failed", error=error, **place),)
        cause = {"type": error["type"], "code": error["code"], "message": error["message"]}
        details = {"type": "failed", "error": cause}
        over = _response(body, "failed") | {"status_details": details, "usage": None}
        return (_said("response.done", response=over),)

    def garbage(self) -> tuple[Piece, ...]:
        """Messages that nobody can read."""
        return (Piece(b'{"type": "response.do nonsense'), *pieces({"type": "astonishment"}))

    def keep_alive(self, _request: Request) -> bytes:
        """There is none."""
        return b""


def usage_of(tokens: Tokens, *, spoken: bool) -> Json:
    """The ``usage`` object: half of the input was said, of the output all but a fifth."""
    text, cached = tokens.all_input // 2, tokens.cache_read // 2
    written = tokens.output // 5 if spoken else tokens.output
    return {
        "total_tokens": tokens.all_input + tokens.output,
        "input_tokens": tokens.all_input,
        "output_tokens": tokens.output,
        "input_token_details": {
            "text_tokens": text,
            "audio_tokens": tokens.all_input - text,
            "image_tokens": 0,
            "cached_tokens": tokens.cache_read,
            "cached_tokens_details": {
                "text_tokens": cached,
                "audio_tokens": tokens.cache_read - cached,
                "image_tokens": 0,
            },
        },
        "output_token_details": {
            "text_tokens": written,
            "audio_tokens": tokens.output - written,
        },
    }


def _said(kind: str, **fields: object) -> Piece:
    return Piece(msgspec.json.encode({"type": kind, "event_id": event_id(), **fields}))


def _response(body: Json, status: str) -> Json:
    return {
        "object": "realtime.response",
        "id": body["response_id"],
        "status": status,
        "status_details": None,
        "output": [],
        "conversation_id": body.get("conversation_id"),
        "output_modalities": body.get("output_modalities"),
        "max_output_tokens": body.get("max_output_tokens", "inf"),
        "usage": None,
        "metadata": body.get("metadata"),
    }


def _shown(message: Message) -> list[Json]:
    return [block for block in message.blocks if block["type"] in ("text", "tool_use")]


def _item(block: Json, *, spoken: bool) -> Json:
    item: Json = {"id": plain_id("item"), "object": "realtime.item", "status": "completed"}
    if block["type"] == "tool_use":
        return item | {
            "type": "function_call",
            "name": block["name"],
            "call_id": plain_id("call"),
            "arguments": msgspec.json.encode(block["input"]).decode(),
        }
    said = {"type": "output_audio", "transcript": block["text"]}
    content = said if spoken else {"type": "output_text", "text": block["text"]}
    return item | {"type": "message", "role": "assistant", "content": [content]}


def _events(final: Json, *, spoken: bool) -> Iterator[Piece]:
    begun = final | {"status": "in_progress", "status_details": None, "output": [], "usage": None}
    yield _said("response.created", response=begun)
    limit = {"name": "tokens", "limit": 800_000, "remaining": 799_000, "reset_seconds": 0.06}
    yield _said("rate_limits.updated", rate_limits=[limit])
    for index, item in enumerate(final["output"]):
        where = {"response_id": final["id"], "output_index": index}
        empty: Json = {"arguments": ""} if item["type"] == "function_call" else {"content": []}
        started = item | {"status": "in_progress"} | empty
        yield _said("response.output_item.added", item=started, **where)
        yield _said("conversation.item.added", item=started, previous_item_id=None)
        place = where | {"item_id": item["id"]}
        if item["type"] == "function_call":
            yield from _called(item, place)
        else:
            yield from _spoken(item["content"][0], place, spoken=spoken)
        yield _said("response.output_item.done", item=item, **where)
        yield _said("conversation.item.done", item=item, previous_item_id=None)
    yield _said("response.done", response=final)


def _called(item: Json, place: Json) -> Iterator[Piece]:
    kind, called = "response.function_call_arguments", place | {"call_id": item["call_id"]}
    for part in cut_words(item["arguments"]):
        yield _said(f"{kind}.delta", delta=part, **called)
    yield _said(f"{kind}.done", arguments=item["arguments"], name=item["name"], **called)


def _spoken(part: Json, place: Json, *, spoken: bool) -> Iterator[Piece]:
    where = place | {"content_index": 0}
    text = part["transcript"] if spoken else part["text"]
    kind = "response.output_audio_transcript" if spoken else "response.output_text"
    key = "transcript" if spoken else "text"
    bare = {"type": "audio" if spoken else "text"}
    yield _said("response.content_part.added", part=bare | {key: ""}, **where)
    for words in cut_words(text):
        yield _said(f"{kind}.delta", delta=words, **where)
        if spoken:
            yield _said("response.output_audio.delta", delta=SOUND, **where)
    if spoken:
        yield _said("response.output_audio.done", **where)
    yield _said(f"{kind}.done", **where | {key: text})
    yield _said("response.content_part.done", part=bare | {key: text}, **where)


def _transcript(item_id: str, model: str, message: Message) -> Reply:
    place = {"item_id": item_id, "content_index": 0}
    text = plain_text(message)
    top = message.top.uncached()
    tokens = Tokens(model=model, input=top.input, output=top.output)
    usage: Json = {
        "type": "tokens",
        "input_tokens": tokens.input,
        "input_token_details": {"text_tokens": 10, "audio_tokens": tokens.input - 10},
        "output_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
    }
    if model.startswith(BY_DURATION):
        tokens, usage = Tokens(model=model), {"type": "duration", "seconds": SECONDS}
    done = _said(f"{TRANSCRIPT}.completed", transcript=text, usage=usage, **place)
    return Reply(
        pieces=(
            *(_said(f"{TRANSCRIPT}.delta", delta=part, **place) for part in cut_words(text)),
            msgspec.structs.replace(done, known=Known((tokens,), final=True)),
        ),
        billed=(tokens,),
    )


def _tool(tool: Json) -> Tool:
    schema = tool.get("parameters")
    return Tool(name=str(tool.get("name")), schema=schema if isinstance(schema, dict) else {})


WIRES["openai.realtime"] = Realtime()
