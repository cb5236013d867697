"""A request to the Responses API: the settings and links that accounting needs, never content.

The conversation is ``input`` and what it goes on from: ``previous_response_id``
or ``conversation``, which the digest includes, for ``input`` alone may repeat
("go on"). Codex states its session and turn in ``client_metadata``, newer
versions by name, older ones in a JSON text within. ``prompt_cache_key`` is not
taken for a session: clients put there whatever shares a cache.
"""

from __future__ import annotations

import msgspec

from tokenproxy.wire.digest import prompt_digest
from tokenproxy.wire.lenient import array_items, has_items
from tokenproxy.wire.openai.responses_shapes import (
    ITEM,
    REQUEST,
    TURN_METADATA,
    ClientMetadata,
    Item,
    Reasoning,
    Request,
    Text,
    TextFormat,
    TurnMetadata,
)
from tokenproxy.wire.settings import Settings, output_type
from tokenproxy.wire.usage import RequestFacts, ToolResult
from tokenproxy.wire.words import count, word

_NULL = b"null"
_STRING: msgspec.json.Decoder[str] = msgspec.json.Decoder(str)
_CLIENTS_OWN_ROLES = frozenset({"user", "system", "developer"})


def read_request(body: bytes) -> RequestFacts:
    """Facts of a decoded body; what is no JSON object is ``malformed``."""
    request = REQUEST.decode(body)
    return RequestFacts(malformed=True) if request is None else facts_of(request)


def facts_of(request: Request) -> RequestFacts:
    """Facts of a request that was decoded."""
    metadata = request.client_metadata or ClientMetadata()
    turn = TURN_METADATA.decode((metadata.turn_metadata or "").encode(errors="replace"))
    turn = turn or TurnMetadata()
    return RequestFacts(
        model=word(request.model),
        stream=request.stream,
        background=request.background or False,
        max_tokens=count(request.max_output_tokens),
        temperature=request.temperature,
        top_p=request.top_p,
        settings=_settings(request),
        session_id=word(metadata.session_id) or word(turn.session_id),
        turn_id=word(metadata.turn_id) or word(turn.turn_id),
        request_class=word(turn.request_kind),
        offers_tools=has_items(request.tools),
        tool_results=_last_tool_results(bytes(request.input)),
        prompt_digest=_digest(request),
    )


def _settings(request: Request) -> Settings:
    shape = (request.text or Text()).format or TextFormat()
    return Settings(
        output_type=output_type(shape.type),
        reasoning_level=word((request.reasoning or Reasoning()).effort),
        previous_response_id=_text(request.previous_response_id),
        service_tier=word(request.service_tier),
    )


def _text(raw: msgspec.Raw) -> str | None:
    """The short string in ``raw``, if that is one: an id."""
    try:
        return word(_STRING.decode(raw))
    except (ValueError, RecursionError):
        return None


def _digest(request: Request) -> str | None:
    pieces = (request.input, request.previous_response_id, request.conversation)
    stated = [piece for raw in pieces if (piece := bytes(raw)) not in (b"", _NULL)]
    return prompt_digest(b"\0".join(stated))


def _last_tool_results(conversation: bytes) -> tuple[ToolResult, ...]:
    """Tool results behind the model's last item: those before it were answered already."""
    found: list[ToolResult] = []
    for raw in reversed(array_items(conversation) or []):
        item = ITEM.decode(raw)
        if item is None:
            break
        if _is_result(item):
            identity = word(item.call_id) or word(item.id)
            if identity is not None:
                found.append(ToolResult(identity, is_error=item.status == "failed"))
        elif item.role not in _CLIENTS_OWN_ROLES:
            break
    return tuple(reversed(found))


def _is_result(item: Item) -> bool:
    """Whether an item is what a tool of the client's gave: ``function_call_output`` and its kin."""
    kind = item.type or ""
    return kind.endswith("_call_output") or (
        kind == "tool_search_output" and item.execution == "client"
    )
