"""Requests for chat completions, legacy completions and embeddings: settings, never content."""

from __future__ import annotations

import msgspec

from tokenproxy.wire.digest import prompt_digest
from tokenproxy.wire.lenient import array_items, has_items
from tokenproxy.wire.openai.shapes import REQUEST, TURN, Request
from tokenproxy.wire.settings import Settings, formats, output_type, whole
from tokenproxy.wire.usage import RequestFacts, ToolResult
from tokenproxy.wire.words import count, word

_MAX_STOP_SEQUENCES = 64
_STOPS: msgspec.json.Decoder[str | list[str] | None] = msgspec.json.Decoder(str | list[str] | None)


def read_request(body: bytes) -> RequestFacts:
    """Facts of a decoded body; what is no JSON object is ``malformed``."""
    request = REQUEST.decode(body)
    if request is None:
        return RequestFacts(malformed=True)
    limit = count(request.max_completion_tokens)
    options = request.stream_options
    conversation = _conversation(request)
    return RequestFacts(
        model=word(request.model),
        stream=request.stream,
        max_tokens=limit if limit is not None else count(request.max_tokens),
        temperature=request.temperature,
        top_p=request.top_p,
        top_k=count(request.top_k),
        stop_sequences=_stops(request.stop),
        settings=_settings(request),
        include_usage=options.include_usage if options is not None else None,
        session_id=word(request.session_id),
        offers_tools=has_items(request.tools) or has_items(request.functions),
        tool_results=_last_tool_results(conversation),
        prompt_digest=prompt_digest(conversation),
    )


def _settings(request: Request) -> Settings:
    shape = request.response_format
    spoken = "audio" if "audio" in (request.modalities or ()) else None
    return Settings(
        choice_count=count(request.n),
        seed=whole(request.random_seed if request.seed is None else request.seed),
        frequency_penalty=request.frequency_penalty,
        presence_penalty=request.presence_penalty,
        output_type=output_type(spoken, shape.type if shape is not None else None),
        reasoning_level=word(request.reasoning_effort),
        service_tier=word(request.service_tier),
        dimensions=count(request.dimensions),
        encoding_formats=formats(request.encoding_format),
    )


def _conversation(request: Request) -> bytes:
    """What the model is asked, as sent, under whatever name."""
    named = (request.messages, request.prompt, request.inputs, request.input)
    return next((sent for each in named if (sent := bytes(each))), b"")


def _stops(value: msgspec.Raw) -> tuple[str, ...]:
    try:
        stated = _STOPS.decode(value) if bytes(value) else None
    except (ValueError, RecursionError):
        return ()
    texts = [stated] if isinstance(stated, str) else stated or []
    return tuple(stop for text in texts if (stop := word(text)) is not None)[:_MAX_STOP_SEQUENCES]


def _last_tool_results(conversation: bytes) -> tuple[ToolResult, ...]:
    """Tool results behind the model's last answer: those before it were answered already.

    A message of role ``tool``; an entry of type ``function.result`` in Mistral's conversations.
    """
    found: list[ToolResult] = []
    for raw in reversed(array_items(conversation) or []):
        turn = TURN.decode(raw)
        if turn is None or turn.role == "assistant":
            break
        identity = word(turn.tool_call_id)
        if identity is not None and (turn.role == "tool" or turn.type == "function.result"):
            found.insert(0, ToolResult(identity))
    return tuple(found)
