"""OpenAI's chat completions, and the dialects of those who speak them too.

Usage in a stream comes in one of these ways, by flavour:

* ``asked``: only with ``stream_options.include_usage``, in an extra chunk with
  ``choices: []`` before ``[DONE]``; the other chunks then carry ``usage: null``;
* ``last``: in the last chunk that has a choice, asked or not;
* ``extra``: in the extra chunk, asked or not;
* ``each``, ``asked each``: cumulative in every chunk.

Groq adds ``x_groq.usage`` to the last chunk in any case. Sources: openai-python
``types/chat``, groq-python ``types/chat/chat_completion_chunk.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from tokenproxy.simulator import openai_usage
from tokenproxy.simulator.exchange import Exchange
from tokenproxy.simulator.messages import Json, Known, Message, Tokens, cut_words
from tokenproxy.simulator.openai_errors import envelope, failed
from tokenproxy.simulator.reply import Piece, Reply, Request
from tokenproxy.simulator.wires import (
    WIRES,
    Failure,
    Tool,
    Turn,
    Wire,
    objects,
    plain_text,
    sse,
    texts,
    thought,
    tool_calls,
    whole,
)

USAGE_IN_STREAM = {
    "deepseek": "last",
    "mistral": "last",
    "xai": "extra",
    "openrouter": "last",
    "perplexity": "each",
    "google": "asked each",
}
"""By flavour; any other ``asked``."""
REASONING_KEY = {
    "deepseek": "reasoning_content",
    "xai": "reasoning_content",
    "moonshot": "reasoning_content",
    "zai": "reasoning_content",
    "groq": "reasoning",
    "openrouter": "reasoning",
    "ollama": "reasoning",
    "cerebras": "reasoning",
}
"""By flavour; any other shows no reasoning."""
STREAM_HEADERS = (("Content-Type", "text/event-stream; charset=utf-8"),)
FINISH = {"tool_use": "tool_calls", "max_tokens": "length", "refusal": "content_filter"}
CREATED = 1_795_651_200
OBFUSCATING = frozenset({"openai", "azure"})
"""Flavours that pad their chunks unless told not to."""
TIERED = frozenset({"openai", "azure", "groq"})
"""Flavours that name the tier that served."""
DEPLOYED = "gpt-6-sol"
"""The model behind a deployment whose name is no model's."""


def served_model(request: Request) -> str:
    """The model that answers: a deployment's name need not be one."""
    model = request.model
    if request.target.flavour == "azure" and not model.startswith(("gpt-", "o")):
        return DEPLOYED
    return model


class Chat(Wire):
    """``/chat/completions``."""

    def turn(self, request: Request) -> Turn:
        """What the last message of the user's asks."""
        body = request.json
        turns = objects(body.get("messages"))
        at = max((i for i, turn in enumerate(turns) if turn.get("role") == "user"), default=-1)
        wanted = body.get("response_format")
        schema = wanted.get("json_schema") if isinstance(wanted, dict) else None
        return Turn(
            prompt=texts(turns[at].get("content")) if turns else "",
            tools=tuple(_tool(tool) for tool in objects(body.get("tools"))),
            answered=any(turn.get("role") == "tool" for turn in turns[at + 1 :]),
            schema=schema.get("schema") if isinstance(schema, dict) else None,
        )

    def reply(self, request: Request, message: Message) -> Reply:
        """A completion, whole or in chunks."""
        flavour = request.target.flavour
        tokens = msgspec.structs.replace(
            openai_usage.billed(message.top, flavour), model=served_model(request)
        )
        if not request.streamed:
            return whole(self._completion(request, message, tokens), known=tokens)
        pieces = tuple(self._pieces(request, message, tokens))
        return Reply(headers=STREAM_HEADERS, pieces=pieces, billed=(tokens,))

    def failure(self, request: Request, failure: Failure) -> Reply:
        """The error envelope of the flavour."""
        return failed(request, failure)

    def breakdown(self, request: Request, failure: Failure) -> tuple[Piece, ...]:
        """An error object in the place of a chunk."""
        if request.target.flavour == "groq":
            error = envelope(request.target.flavour, failure)["error"]
            return (Piece(sse({"error": error, "x_groq": {"error": error["message"]}}, "error")),)
        return (Piece(sse(envelope(request.target.flavour, failure))),)

    def aside(self, request: Request, past: Sequence[Exchange]) -> Reply | None:
        """Models and files."""
        from tokenproxy.simulator import openai_aside

        return openai_aside.answer(request, past)

    def _completion(self, request: Request, message: Message, tokens: Tokens) -> Json:
        flavour = request.target.flavour
        said: Json = {"role": "assistant", "content": plain_text(message) or None}
        if (key := REASONING_KEY.get(flavour)) and thought(message):
            said[key] = thought(message)
        if calls := tool_calls(message):
            said["tool_calls"] = [_call(block) for block in calls]
        choice = {"index": 0, "message": said, "logprobs": None, "finish_reason": _finish(message)}
        body = _head(request, message, tokens, "chat.completion") | {
            "choices": [choice],
            "usage": openai_usage.usage(tokens, flavour),
        }
        if flavour == "groq":
            body["x_groq"] = {"id": "req_01simulated"}
        return body

    def _pieces(self, request: Request, message: Message, tokens: Tokens) -> Iterator[Piece]:
        flavour = request.target.flavour
        way = USAGE_IN_STREAM.get(flavour, "asked")
        options = request.json.get("stream_options")
        asked = isinstance(options, dict) and options.get("include_usage") is True
        pads = isinstance(options, dict) and options.get("include_obfuscation") is False
        head = _head(request, message, tokens, "chat.completion.chunk")
        final = Known((tokens,), final=True)
        usage = openai_usage.usage(tokens, flavour)
        each = way == "each" or (asked and way == "asked each")
        for at, delta in enumerate(_deltas(message, REASONING_KEY.get(flavour))):
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
            chunk = head | {"choices": [choice]}
            known = None
            if each:
                sofar = openai_usage.sofar(tokens, flavour, 1 + at)
                known = Known((sofar,), final=False)
                chunk["usage"] = openai_usage.usage(sofar, flavour)
            elif asked and way == "asked":
                chunk["usage"] = None
            if flavour in OBFUSCATING and not pads:
                chunk["obfuscation"] = "x" * ((at * 5) % 13)
            yield Piece(sse(chunk), known=known)
        last = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": _finish(message)}
        chunk = head | {"choices": [last]}
        if way == "last" or each:
            chunk["usage"] = usage
        elif asked and way == "asked":
            chunk["usage"] = None
        if flavour == "groq":
            chunk["x_groq"] = {"id": "req_01simulated", "usage": usage}
        states = way == "last" or each or flavour == "groq"
        yield Piece(sse(chunk), known=final if states else None)
        if way == "extra" or (asked and way == "asked"):
            yield Piece(sse(head | {"choices": [], "usage": usage}), known=final)
        yield Piece(b"data: [DONE]\n\n")


def _head(request: Request, message: Message, tokens: Tokens, kind: str) -> Json:
    head: Json = {
        "id": message.id.replace("msg_01", "chatcmpl-"),
        "object": kind,
        "created": CREATED,
        "model": tokens.model,
        "system_fingerprint": "fp_simulated",
    }
    return head | {"service_tier": "default"} if request.target.flavour in TIERED else head


def _tool(tool: Json) -> Tool:
    function = tool.get("function")
    said = function if isinstance(function, dict) else {}
    return Tool(name=str(said.get("name")), schema=said.get("parameters") or {})


def _call(block: Json) -> Json:
    arguments = msgspec.json.encode(block["input"]).decode()
    return {
        "id": block["id"].replace("toolu_01", "call_"),
        "type": "function",
        "function": {"name": block["name"], "arguments": arguments},
    }


def _finish(message: Message) -> str:
    return FINISH.get(message.stop_reason, "stop")


def _deltas(message: Message, reasoning_key: str | None) -> Iterator[Json]:
    yield {"role": "assistant", "content": "", "refusal": None}
    if reasoning_key:
        yield from ({reasoning_key: part} for part in cut_words(thought(message)) if part)
    yield from ({"content": part} for part in cut_words(plain_text(message)) if part)
    for index, block in enumerate(tool_calls(message)):
        made = _call(block)
        function: dict[str, Any] = made["function"]
        opened = made | {"index": index, "function": function | {"arguments": ""}}
        yield {"tool_calls": [opened]}
        for part in cut_words(function["arguments"]):
            yield {"tool_calls": [{"index": index, "function": {"arguments": part}}]}


WIRES["openai.chat"] = Chat()
