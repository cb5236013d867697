"""Anthropic's request body: the settings and links that accounting needs, never content."""

from __future__ import annotations

import msgspec

from tokenproxy.wire.anthropic.shapes import BLOCK, REQUEST, TURN, OutputConfig, Request
from tokenproxy.wire.claude_code import session_of_user_id
from tokenproxy.wire.digest import prompt_digest
from tokenproxy.wire.lenient import has_items
from tokenproxy.wire.settings import NOTHING, Settings, output_type
from tokenproxy.wire.usage import RequestFacts, ToolResult
from tokenproxy.wire.words import count, word

_MAX_STOP_SEQUENCES = 64


def read_request(body: bytes) -> RequestFacts:
    """Facts of a decoded body; what is no JSON object is ``malformed``."""
    request = REQUEST.decode(body)
    if request is None:
        return RequestFacts(malformed=True)
    user_id = request.metadata.user_id if request.metadata is not None else None
    stops = [stop for text in request.stop_sequences or [] if (stop := word(text)) is not None]
    return RequestFacts(
        model=word(request.model),
        stream=request.stream,
        max_tokens=count(request.max_tokens),
        temperature=request.temperature,
        top_p=request.top_p,
        top_k=count(request.top_k),
        stop_sequences=tuple(stops[:_MAX_STOP_SEQUENCES]),
        settings=_settings(request),
        session_id=session_of_user_id(user_id) if user_id is not None else None,
        offers_tools=has_items(request.tools),
        tool_results=_last_tool_results(request.messages),
        prompt_digest=prompt_digest(request.messages),
    )


def _settings(request: Request) -> Settings:
    if request.output_config is None and request.output_format is None:
        return NOTHING
    config = request.output_config or OutputConfig()
    shape = config.format or request.output_format
    return Settings(
        reasoning_level=word(config.effort),
        output_type=output_type(shape.type if shape is not None else None),
    )


def _last_tool_results(messages: msgspec.Raw) -> tuple[ToolResult, ...]:
    """Tool results behind the model's last answer: those before it were answered already.

    That is not always the last message: Claude Code 2.1.330 puts one of role
    ``system`` behind the user's.
    """
    found: list[ToolResult] = []
    for turn in reversed(TURN.decode_items(messages)):
        if turn is None or turn.role == "assistant":
            break
        found[:0] = _tool_results(turn.content)
    return tuple(found)


def _tool_results(content: msgspec.Raw) -> list[ToolResult]:
    found: list[ToolResult] = []
    for block in BLOCK.decode_items(content):
        identity = word(block.tool_use_id) if block is not None else None
        if block is not None and block.type == "tool_result" and identity is not None:
            found.append(ToolResult(identity, is_error=block.is_error or False))
    return found
