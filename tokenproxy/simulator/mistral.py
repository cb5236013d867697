"""Mistral's own APIs beside chat: conversations, and OCR.

A conversation is begun, continued or restarted; each answer is a call. Its usage
says nothing of a cache. What tools on Mistral's side put into the input
(``connector_tokens``) stands beside the prompt and within the total; here they run
where an answer has interim outputs (scenario ``stream``). A stream has named events
and ends with ``conversation.response.done``, without ``[DONE]``. OCR states pages.

Sources: mistralai ``client/models/conversation*.py``, ``*event.py``, ``ocr*.py``.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tokenproxy.simulator.messages import Json, Known, Message, Tokens, cut_words, plain_id
from tokenproxy.simulator.openai_chat import STREAM_HEADERS, Chat
from tokenproxy.simulator.openai_errors import failed, status_of
from tokenproxy.simulator.reply import Piece, Reply, Request
from tokenproxy.simulator.wires import WIRES, Failure, Tool, Turn, objects, sse, texts, whole

CREATED = "2026-11-22T00:00:00Z"
CONNECTED = 95
"""Input tokens that a connector's run brings."""
PAGES = 3
"""What a document has."""


class Conversations(Chat):
    """``/v1/conversations``, ``/v1/conversations/{id}`` and its ``/restart``."""

    def turn(self, request: Request) -> Turn:
        """What the last entry of the user's asks."""
        given = request.json.get("inputs")
        if isinstance(given, str):
            given = [{"role": "user", "content": given}]
        entries = objects(given)
        at = max((i for i, entry in enumerate(entries) if entry.get("role") == "user"), default=-1)
        return Turn(
            prompt=texts(entries[at].get("content")) if at >= 0 else "",
            tools=tuple(_tools(request.json)),
            answered=any(entry.get("type") == "function.result" for entry in entries[at + 1 :]),
        )

    def reply(self, request: Request, message: Message) -> Reply:
        """A conversation's next outputs, whole or as events."""
        tokens = msgspec.structs.replace(message.top.uncached(), model=request.model, thinking=None)
        connected = CONNECTED if message.interim_outputs else 0
        usage = _usage(tokens, connected)
        identity = request.target.rest or plain_id("conv")
        outputs = list(_outputs(message, tokens.model, connected))
        if not request.streamed:
            body = {
                "object": "conversation.response",
                "conversation_id": identity,
                "outputs": outputs,
                "usage": usage,
                "guardrails": None,
            }
            return whole(body, known=tokens)
        started = {"created_at": CREATED, "conversation_id": identity}
        pieces = [_event("conversation.response.started", started)]
        for place, entry in enumerate(outputs):
            pieces += _entry_events(place, entry)
        done = _event("conversation.response.done", {"created_at": CREATED, "usage": usage})
        pieces.append(msgspec.structs.replace(done, known=Known((tokens,), final=True)))
        return Reply(headers=STREAM_HEADERS, pieces=tuple(pieces), billed=(tokens,))

    def failure(self, request: Request, failure: Failure) -> Reply:
        """Mistral's error envelope."""
        return failed(request, failure)

    def breakdown(self, request: Request, failure: Failure) -> tuple[Piece, ...]:  # noqa: ARG002
        """An event that says so, with the status as its code."""
        said = {"created_at": CREATED, "message": failure.text, "code": status_of(failure)}
        return (_event("conversation.response.error", said),)


class Ocr(Chat):
    """``/v1/ocr``: billed by the page."""

    def reply(self, request: Request, message: Message) -> Reply:
        """The text of every page."""
        page: Json = {"markdown": texts(list(message.blocks)), "images": [], "dimensions": None}
        body = {
            "pages": [{"index": number} | page for number in range(PAGES)],
            "model": request.model,
            "document_annotation": None,
            "usage_info": {"pages_processed": PAGES, "doc_size_bytes": 30_021},
        }
        return whole(body, known=Tokens(model=request.model))


def _usage(tokens: Tokens, connected: int) -> Json:
    usage: Json = {
        "prompt_tokens": tokens.input - connected,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
        "connector_tokens": None,
        "connectors": None,
    }
    if connected:
        usage |= {"connector_tokens": connected, "connectors": {"code_interpreter": 1}}
    return usage


def _tools(body: Json) -> Iterator[Tool]:
    for tool in objects(body.get("tools")):
        function = tool.get("function")
        if isinstance(function, dict):
            schema = function.get("parameters")
            yield Tool(
                name=str(function.get("name")), schema=schema if isinstance(schema, dict) else {}
            )


def _outputs(message: Message, model: str, connected: int) -> Iterator[Json]:
    made = {"object": "entry", "created_at": CREATED, "completed_at": CREATED}
    if connected:
        ran = {"type": "tool.execution", "name": "code_interpreter", "arguments": "{}"}
        yield made | ran | {"id": plain_id("tool_exec")}
    said: list[Json] = []
    for block in message.blocks:
        if block["type"] == "thinking":
            thought = [{"type": "text", "text": block["thinking"]}]
            said.append({"type": "thinking", "thinking": thought, "closed": True})
        elif block["type"] == "text":
            said.append({"type": "text", "text": block["text"]})
    if said:
        only = said[0]["text"] if len(said) == 1 and said[0]["type"] == "text" else said
        entry = {"type": "message.output", "id": plain_id("msg"), "role": "assistant"}
        yield made | entry | {"model": model, "agent_id": None, "content": only}
    for block in message.blocks:
        if block["type"] == "tool_use":
            yield made | {
                "type": "function.call",
                "id": plain_id("fc"),
                "tool_call_id": plain_id("call"),
                "name": block["name"],
                "arguments": msgspec.json.encode(block["input"]).decode(),
                "model": model,
            }


def _entry_events(place: int, entry: Json) -> Iterator[Piece]:
    head = {"id": entry["id"], "created_at": CREATED, "output_index": place}
    if entry["type"] == "tool.execution":
        ran = head | {"name": entry["name"]}
        yield _event("tool.execution.started", ran | {"arguments": "{}"})
        yield _event("tool.execution.done", ran | {"info": {}})
    elif entry["type"] == "function.call":
        known = {"name": entry["name"], "tool_call_id": entry["tool_call_id"]}
        for part in cut_words(entry["arguments"]):
            yield _event("function.call.delta", head | known | {"arguments": part})
    else:
        said = entry["content"]
        chunks = [{"type": "text", "text": said}] if isinstance(said, str) else said
        for index, chunk in enumerate(chunks):
            where = head | {"content_index": index, "model": entry["model"], "role": "assistant"}
            for content in _contents(chunk):
                yield _event("message.output.delta", where | {"content": content})


def _contents(chunk: Json) -> Iterator[str | Json]:
    if chunk["type"] == "text":
        yield from cut_words(chunk["text"])
        return
    for part in cut_words(chunk["thinking"][0]["text"]):
        yield {"type": "thinking", "thinking": [{"type": "text", "text": part}], "closed": False}


def _event(kind: str, value: Json) -> Piece:
    return Piece(sse({"type": kind} | value, kind))


WIRES["mistral.conversations"] = Conversations()
WIRES["mistral.ocr"] = Ocr()
