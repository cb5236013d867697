"""AWS Bedrock's Converse and ConverseStream, its errors, and its streams.

Reasoning is within ``outputTokens`` and not told apart. The cache stands outside
``inputTokens``; its writes by time to live are in ``cacheDetails`` only. A stream
ends with a ``metadata`` event after ``messageStop``.
Source: botocore ``bedrock-runtime/2023-09-30/service-2.json``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from tokenproxy.simulator import eventstream
from tokenproxy.simulator.exchange import Exchange
from tokenproxy.simulator.messages import Json, Known, Message, Tokens, cut_words
from tokenproxy.simulator.reply import Piece, Reply, Request, json_reply
from tokenproxy.simulator.wires import (
    NOT_FOUND,
    OVERLOADED,
    WIRES,
    Failure,
    Tool,
    Turn,
    Wire,
    objects,
    texts,
    whole,
)

EXCEPTIONS = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    404: "ResourceNotFoundException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}
"""Status -> AWS's name for it."""
STREAM_HEADERS = (("Content-Type", eventstream.CONTENT_TYPE),)
STOP = {"refusal": "content_filtered"}


class Bedrock(Wire):
    """What all of Bedrock's operations share."""

    def failure(self, _request: Request, failure: Failure) -> Reply:
        """A message; the header says which exception it is."""
        status = status_of(failure)
        kind = EXCEPTIONS.get(status, "InternalServerException")
        headers = [*failure.headers, ("x-amzn-ErrorType", f"{kind}:http://internal.amazon.com/")]
        return json_reply({"message": failure.text}, status=status, headers=headers)

    def breakdown(self, request: Request, failure: Failure) -> tuple[Piece, ...]:  # noqa: ARG002
        """An exception message."""
        kind = EXCEPTIONS.get(status_of(failure), "InternalServerException")
        return (Piece(eventstream.exception(kind[0].lower() + kind[1:], failure.text)),)

    def garbage(self) -> tuple[Piece, ...]:
        """An event whose payload is no JSON, in a message that is sound."""
        headers = {
            ":event-type": "chunk",
            ":content-type": "application/json",
            ":message-type": "event",
        }
        return (
            Piece(eventstream.message(headers, b'{"bytes": nonsense\xff}')),
            Piece(eventstream.event("astonishment", {"p": "abc"})),
        )

    def keep_alive(self, _request: Request) -> bytes:
        """There is none."""
        return b""

    def aside(self, request: Request, past: Sequence[Exchange]) -> Reply | None:  # noqa: ARG002
        """Counting, and the inference profiles that Claude Code asks a gateway for."""
        if request.target.route.endswith("/count-tokens"):
            return json_reply({"inputTokens": max(1, len(request.plain_body) // 4)})
        if request.target.route == "/inference-profiles":
            return json_reply({"inferenceProfileSummaries": []})
        return self.failure(request, NOT_FOUND)


class Converse(Bedrock):
    """``/converse`` and ``/converse-stream``."""

    def turn(self, request: Request) -> Turn:
        """What the last message asks."""
        body = request.json
        turns = objects(body.get("messages"))
        parts = objects(turns[-1].get("content")) if turns else []
        config = body.get("toolConfig")
        offered = objects(config.get("tools")) if isinstance(config, dict) else []
        return Turn(
            prompt=texts(parts),
            tools=tuple(_tool(tool.get("toolSpec") or {}) for tool in offered),
            answered=any("toolResult" in part for part in parts),
        )

    def reply(self, request: Request, message: Message) -> Reply:
        """An answer, whole or as events."""
        tokens = msgspec.structs.replace(message.top, model=request.model, thinking=None)
        if not request.streamed:
            content = [block for block in map(_block, message.blocks) if block]
            body = {
                "output": {"message": {"role": "assistant", "content": content}},
                "stopReason": _stop(message),
                "usage": usage_of(tokens),
                "metrics": {"latencyMs": 1234},
            }
            return whole(body, known=tokens)
        pieces = [
            Piece(eventstream.event(kind, value | {"p": eventstream.padding(at)}))
            for at, (kind, value) in enumerate(_events(message))
        ]
        metadata = {"usage": usage_of(tokens), "metrics": {"latencyMs": 1234}}
        last = eventstream.event("metadata", metadata | {"p": eventstream.padding(3)})
        pieces.append(Piece(last, known=Known((tokens,), final=True)))
        return Reply(headers=STREAM_HEADERS, pieces=tuple(pieces), billed=(tokens,))


def status_of(failure: Failure) -> int:
    """The failure's status where 529 is unknown."""
    return 503 if failure.status == OVERLOADED else failure.status


def usage_of(tokens: Tokens) -> Json:
    """Converse's ``usage``."""
    usage: Json = {
        "inputTokens": tokens.input,
        "outputTokens": tokens.output,
        "totalTokens": tokens.all_input + tokens.output,
    }
    if tokens.cache_read or tokens.cache_write:
        usage["cacheReadInputTokens"] = tokens.cache_read
        usage["cacheWriteInputTokens"] = tokens.cache_write
        by_ttl = {"5m": tokens.cache_write_5m, "1h": tokens.cache_write_1h}
        usage["cacheDetails"] = [
            {"ttl": ttl, "inputTokens": count} for ttl, count in by_ttl.items() if count
        ]
    return usage


def _stop(message: Message) -> str:
    return STOP.get(message.stop_reason, message.stop_reason)


def _tool(spec: Json) -> Tool:
    schema = spec.get("inputSchema")
    json = schema.get("json") if isinstance(schema, dict) else None
    return Tool(name=str(spec.get("name")), schema=json if isinstance(json, dict) else {})


def _block(block: Json) -> Json:
    match block["type"]:
        case "text":
            return {"text": block["text"]}
        case "thinking":
            said = {"text": block["thinking"], "signature": block["signature"]}
            return {"reasoningContent": {"reasoningText": said}}
        case "tool_use":
            call = {"toolUseId": block["id"], "name": block["name"], "input": block["input"]}
            return {"toolUse": call}
    return {}


def _events(message: Message) -> Iterator[tuple[str, Json]]:
    yield "messageStart", {"role": "assistant"}
    for index, block in enumerate(message.blocks):
        place = {"contentBlockIndex": index}
        if block["type"] == "tool_use":
            start = {"toolUse": {"toolUseId": block["id"], "name": block["name"]}}
            yield "contentBlockStart", {"start": start} | place
        for delta in _deltas(block):
            yield "contentBlockDelta", {"delta": delta} | place
        yield "contentBlockStop", place
    yield "messageStop", {"stopReason": _stop(message)}


def _deltas(block: Json) -> Iterator[Json]:
    match block["type"]:
        case "text":
            yield from ({"text": part} for part in cut_words(block["text"]))
        case "thinking":
            for part in cut_words(block["thinking"]):
                yield {"reasoningContent": {"text": part}}
            yield {"reasoningContent": {"signature": block["signature"]}}
        case "tool_use":
            text = msgspec.json.encode(block["input"]).decode()
            yield from ({"toolUse": {"input": part}} for part in cut_words(text))


WIRES["bedrock.converse"] = Converse()
