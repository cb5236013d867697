"""AWS Bedrock's InvokeModel: the vendor's own JSON, in a stream as base64 in events.

Only Anthropic's models are simulated. The answer names the vendor's model, the
bill the one in the path. Counts are repeated in headers, and in a stream in the
last event's ``amazon-bedrock-invocationMetrics``.
"""

from __future__ import annotations

import re
from base64 import b64encode

import msgspec

from tokenproxy.simulator import eventstream, messages, script
from tokenproxy.simulator.bedrock import STREAM_HEADERS, Bedrock
from tokenproxy.simulator.messages import Json, Known, Message, Tokens
from tokenproxy.simulator.reply import Piece, Reply, Request
from tokenproxy.simulator.wires import WIRES

VENDOR = re.compile(r"(?:.*anthropic\.)?(?P<name>.*?)(?:-v\d+(?::\d+)?)?")
"""``us.anthropic.claude-opus-5-5-v1:0`` -> ``claude-opus-5-5``."""


class Invoke(Bedrock):
    """``/invoke`` and ``/invoke-with-response-stream``."""

    def scripted(self, request: Request) -> Message:
        """The body is Anthropic's, so is the script."""
        return script.answer(request)

    def reply(self, request: Request, message: Message) -> Reply:
        """An answer, whole or as chunks."""
        theirs = _named(message, vendor_model(request.model))
        ours = Known(_named(message, request.model).parts, final=True)
        billed = _named(message, request.model).billed
        if not request.streamed:
            body = msgspec.json.encode(theirs.json())
            return Reply(
                headers=(("Content-Type", "application/json"), *_counts(ours.parts[0])),
                pieces=(Piece(body, known=ours),),
                billed=billed,
                sized=True,
            )
        pieces = []
        for at, event in enumerate(messages.stream(theirs)):
            if event.name == "ping":
                continue
            value = event.data
            if event.name == "message_stop":
                value = value | {"amazon-bedrock-invocationMetrics": _metrics(message.top)}
            known = event.known and Known(
                _renamed(event.known.parts, request.model), event.known.final
            )
            data = b64encode(msgspec.json.encode(value)).decode()
            chunk = {"bytes": data, "p": eventstream.padding(at)}
            pieces.append(Piece(eventstream.event("chunk", chunk), known=known))
        return Reply(headers=STREAM_HEADERS, pieces=tuple(pieces), billed=billed)


def vendor_model(path_id: str) -> str:
    """The model's name as its vendor gives it."""
    found = VENDOR.fullmatch(path_id)
    return found["name"] if found else path_id


def _named(message: Message, model: str) -> Message:
    return msgspec.structs.replace(message, parts=_renamed(message.parts, model))


def _renamed(parts: tuple[Tokens, ...], model: str) -> tuple[Tokens, ...]:
    # Roles with a model of their own do not exist here.
    return tuple(msgspec.structs.replace(part, model=model) for part in parts)


def _counts(tokens: Tokens) -> tuple[tuple[str, str], ...]:
    prefix = "X-Amzn-Bedrock"
    return (
        (f"{prefix}-Input-Token-Count", str(tokens.input)),
        (f"{prefix}-Output-Token-Count", str(tokens.output)),
        (f"{prefix}-Cache-Read-Input-Token-Count", str(tokens.cache_read)),
        (f"{prefix}-Cache-Write-Input-Token-Count", str(tokens.cache_write)),
        (f"{prefix}-Invocation-Latency", "1234"),
    )


def _metrics(tokens: Tokens) -> Json:
    return {
        "inputTokenCount": tokens.input,
        "outputTokenCount": tokens.output,
        "cacheReadInputTokenCount": tokens.cache_read,
        "cacheWriteInputTokenCount": tokens.cache_write,
        "invocationLatency": 1234,
        "firstByteLatency": 321,
    }


WIRES["bedrock.invoke"] = Invoke()
