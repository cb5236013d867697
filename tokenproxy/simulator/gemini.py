"""Google's generateContent: the Gemini API, Vertex AI, and Code Assist with its wrapper.

A stream has three framings: ``alt=sse``; without it one JSON array whose
objects begin and end anywhere in a chunk; Code Assist wraps each object in
``{"response": ...}``. ``usageMetadata`` is cumulative in every chunk and
thoughts stand outside the candidates. An answer with interim outputs (scenario
``stream``) states the cached tokens in its first chunk only, as seen in the wild.

Sources: google-genai ``types.py`` and ``_api_client.py``; gemini-cli
``packages/core/src/code_assist``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

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
    sse,
    whole,
)

STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
FINISH = {"max_tokens": "MAX_TOKENS", "refusal": "SAFETY"}
FLASH = "gemini-3-flash"
MODELS = ("gemini-3-pro", FLASH, "gemini-2.5-flash-lite", "gemini-embedding-001")
SIGNATURE = "c2ltdWxhdGVk"


class Generate(Wire):
    """``:generateContent`` and ``:streamGenerateContent``."""

    def turn(self, request: Request) -> Turn:
        """What the last text of the user's asks."""
        body = _unwrapped(request)
        turns = [t for t in objects(body.get("contents")) if t.get("role", "user") == "user"]
        parts = [part for turn in turns for part in objects(turn.get("parts"))]
        spoken = [i for i, part in enumerate(parts) if "text" in part]
        at = spoken[-1] if spoken else -1
        config = body.get("generationConfig")
        given = config if isinstance(config, dict) else {}
        wanted = given.get("responseJsonSchema") or given.get("responseSchema")
        declared = [
            tool
            for group in objects(body.get("tools"))
            for tool in objects(group.get("functionDeclarations"))
        ]
        return Turn(
            prompt=str(parts[at]["text"]) if spoken else "",
            tools=tuple(_tool(tool) for tool in declared),
            answered=any("functionResponse" in part for part in parts[at + 1 :])
            or (bool(turns) and any("functionResponse" in p for p in _parts(turns[-1]))),
            schema=wanted if isinstance(wanted, dict) else None,
        )

    def reply(self, request: Request, message: Message) -> Reply:
        """An answer, whole or in chunks."""
        tokens = billed(message.top, request.model)
        if not request.streamed:
            return whole(_wrapped(request, _whole(message, tokens)), known=tokens)
        chunks = list(_chunks(message, tokens))
        if request.target.query.get("alt") == "sse":
            pieces = tuple(Piece(sse(_wrapped(request, c)), known=k) for c, k in chunks)
            return Reply(
                headers=(("Content-Type", "text/event-stream"),), pieces=pieces, billed=(tokens,)
            )
        pieces = tuple(
            Piece((b"," if at else b"[") + _pretty(_wrapped(request, c)) + b"\r\n", known=k)
            for at, (c, k) in enumerate(chunks)
        )
        return Reply(
            headers=(("Content-Type", "application/json; charset=UTF-8"),),
            pieces=(*pieces, Piece(b"]")),
            billed=(tokens,),
            chunks="random:gemini",
        )

    def failure(self, request: Request, failure: Failure) -> Reply:
        """Google's error envelope, in an array where a stream without ``alt=sse`` was asked."""
        error = envelope(failure)
        as_array = request.streamed and request.target.query.get("alt") != "sse"
        return json_reply(
            [error] if as_array else error,
            status=error["error"]["code"],
            headers=list(failure.headers),
        )

    def breakdown(self, request: Request, failure: Failure) -> tuple[Piece, ...]:
        """The bare envelope, without ``data:``, or as the array's last element."""
        error = _pretty(envelope(failure))
        if request.target.query.get("alt") == "sse":
            return (Piece(error + b"\n"),)
        return (Piece(b"," + error + b"\r\n"), Piece(b"]"))

    def keep_alive(self, _request: Request) -> bytes:
        """There is none."""
        return b""

    def garbage(self) -> tuple[Piece, ...]:
        """An event that is none."""
        return (Piece(b'data: {"candidates": nonsense\xff}\n\n'),)

    def aside(self, request: Request, past: Sequence[Exchange]) -> Reply | None:  # noqa: ARG002
        """Counting, models, and what Gemini CLI asks of Code Assist."""
        target = request.target
        if target.route.endswith(":countTokens"):
            count = max(1, len(request.plain_body) // 4)
            return json_reply({"totalTokens": count})
        if target.flavour == "code-assist":
            return json_reply(_ASSIST.get(target.rest, {}))
        if request.method == "GET" and target.route.endswith("/models"):
            return json_reply({"models": [_model(name) for name in MODELS]})
        if request.method == "GET" and "/models/" in target.route:
            return json_reply(_model(target.route.rpartition("/models/")[2]))
        return self.failure(request, NOT_FOUND)


def billed(tokens: Tokens, model: str) -> Tokens:
    """``tokens`` as Google bills them: filling the cache is plain input."""
    return msgspec.structs.replace(tokens.written_free(), model=model)


def envelope(failure: Failure) -> Json:
    """Google's error body."""
    code = 503 if failure.status == OVERLOADED else failure.status
    error: Json = {"code": code, "message": failure.text, "status": STATUS.get(code, "UNKNOWN")}
    if code == 429:
        error["details"] = [
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1s"}
        ]
    return {"error": error}


def usage_metadata(tokens: Tokens, *, cached: bool = True) -> Json:
    """``usageMetadata``: the cache within the prompt, thoughts outside the candidates."""
    thoughts = tokens.thinking or 0
    usage: Json = {
        "promptTokenCount": tokens.all_input,
        "totalTokenCount": tokens.all_input + tokens.output,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens.all_input}],
    }
    if tokens.output - thoughts:
        usage["candidatesTokenCount"] = tokens.output - thoughts
    if tokens.thinking is not None:
        usage["thoughtsTokenCount"] = thoughts
    if cached and tokens.cache_read:
        usage["cachedContentTokenCount"] = tokens.cache_read
        usage["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": tokens.cache_read}]
    return usage


def _parts_of(message: Message) -> Iterator[Json]:
    for block in message.blocks:
        match block["type"]:
            case "text":
                yield {"text": block["text"]}
            case "thinking":
                yield {"text": block["thinking"], "thought": True}
            case "tool_use":
                call = {"name": block["name"], "args": block["input"], "id": block["id"]}
                yield {"functionCall": call, "thoughtSignature": SIGNATURE}


def _object(message: Message, tokens: Tokens, parts: list[Json], usage: Json, finish: str) -> Json:
    candidate: Json = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    return {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": tokens.model,
        "responseId": message.id.removeprefix("msg_01"),
    }


def _whole(message: Message, tokens: Tokens) -> Json:
    finish = FINISH.get(message.stop_reason, "STOP")
    return _object(message, tokens, list(_parts_of(message)), usage_metadata(tokens), finish)


def _chunks(message: Message, tokens: Tokens) -> Iterator[tuple[Json, Known]]:
    parts = [
        part | {"text": text} if "text" in part else part
        for part in _parts_of(message)
        for text in (cut_words(part["text"], 2) if "text" in part else [""])
    ] or [{"text": ""}]
    sparse = bool(message.interim_outputs)
    for at, part in enumerate(parts):
        last = at + 1 == len(parts)
        sofar = tokens if last else _sofar(tokens, at)
        usage = usage_metadata(sofar, cached=not sparse or at == 0)
        finish = FINISH.get(message.stop_reason, "STOP") if last else ""
        yield _object(message, tokens, [part], usage, finish), Known((sofar,), final=last)


def _sofar(tokens: Tokens, at: int) -> Tokens:
    thoughts = None if tokens.thinking is None else min(tokens.thinking, 8 * at)
    output = min(tokens.output, (thoughts or 0) + 2 * at)
    return msgspec.structs.replace(tokens, output=output, thinking=thoughts)


def _pretty(value: Json) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2)


def _unwrapped(request: Request) -> Json:
    body = request.json
    inner = body.get("request")
    return inner if request.target.flavour == "code-assist" and isinstance(inner, dict) else body


def _wrapped(request: Request, value: Json) -> Json:
    if request.target.flavour != "code-assist":
        return value
    return {"response": value, "traceId": "5f0c2b7e9d1a4c3b"}


def _parts(turn: Json) -> list[Json]:
    return objects(turn.get("parts"))


def _tool(tool: Json) -> Tool:
    schema = tool.get("parametersJsonSchema") or tool.get("parameters")
    return Tool(name=str(tool.get("name")), schema=schema if isinstance(schema, dict) else {})


def _model(name: str) -> Json:
    return {
        "name": f"models/{name}",
        "displayName": name,
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
    }


_TIER = {"id": "standard-tier", "name": "Simulated tier", "isDefault": True}
_ASSIST: dict[str, Json] = {
    "loadCodeAssist": {
        "currentTier": _TIER,
        "allowedTiers": [_TIER],
        "cloudaicompanionProject": "simulated-project",
        "gcpManaged": False,
    },
    "onboardUser": {
        "name": "operations/simulated",
        "done": True,
        "response": {"cloudaicompanionProject": {"id": "simulated-project", "name": "simulated"}},
    },
    "getCodeAssistGlobalUserSetting": {"freeTierDataCollectionOptin": False},
}
"""What Gemini CLI asks before its first prompt; any other verb gets an empty object."""

WIRES["google.generate"] = Generate()
