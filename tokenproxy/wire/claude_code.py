"""Who calls: the headers that Claude Code and the Anthropic SDKs send with a request.

Sources: Claude Code's "LLM gateway protocol" page (session, agent and hint
headers), the SDK (``x-stainless-retry-count``), W3C Trace Context. The hint
headers come by default only on direct connections to the Anthropic API.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import msgspec

from tokenproxy.wire.lenient import Lenient
from tokenproxy.wire.usage import Attribution
from tokenproxy.wire.words import word

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-[!-~]{1,128})?")
_LEGACY_SESSION = re.compile(r"_session_(.+)$")


class _Identity(msgspec.Struct):
    session_id: str | None = None


_IDENTITY = Lenient(_Identity)

_MAX_TOOLS = 256
"""Tool durations that are read from one header."""
_MAX_DIGITS = 5


def read_attribution(headers: Mapping[str, str]) -> Attribution:
    """Who made the call.

    Args:
        headers: the request's, names lower-cased.
    """
    get = headers.get
    return Attribution(
        session_id=word(get("x-claude-code-session-id")),
        turn_id=word(get("x-claude-code-prompt-id")),
        agent_id=word(get("x-claude-code-agent-id")),
        parent_agent_id=word(get("x-claude-code-parent-agent-id")),
        agent_type=word(get("x-claude-code-agent-type")),
        request_class=word(get("x-claude-code-request-class")),
        compaction=word(get("x-claude-code-compaction")),
        context_compacted=word(get("x-claude-code-context-compacted")),
        client_request_id=word(get("x-client-request-id")),
        attempt=_attempt(get("x-stainless-retry-count")),
        tool_durations_ms=_durations(get("x-claude-code-prev-tool-durations")),
        client=_product(get("user-agent")),
        traceparent=_traceparent(get("traceparent")),
        tracestate=word(get("tracestate"), 512) if "traceparent" in headers else None,
    )


def session_of_user_id(user_id: str) -> str | None:
    """The session in a request body's ``metadata.user_id``.

    Since 2.1.78 that is an object written as a JSON string; before, it was
    ``user_{sha256}_account_{uuid}_session_{uuid}``.
    """
    if user_id.lstrip().startswith("{"):
        identity = _IDENTITY.decode(user_id.encode(errors="replace"))
        return word(identity.session_id) if identity else None
    legacy = _LEGACY_SESSION.search(user_id)
    return word(legacy[1]) if legacy else None


def _attempt(value: str | None) -> int | None:
    text = (value or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else None


def _durations(value: str | None) -> tuple[tuple[str, float], ...]:
    """``Bash=742;Read=9`` or ``Bash=1094, Agent=22``: names and milliseconds, in order."""
    found: list[tuple[str, float]] = []
    for entry in re.split(r"[;,]", value or "")[:_MAX_TOOLS]:
        name, equals, number = entry.rpartition("=")
        tool = word(name)
        if not equals or tool is None:
            continue
        try:
            duration = float(number)
        except ValueError:
            continue
        if math.isfinite(duration) and duration >= 0:
            found.append((tool, duration))
    return tuple(found)


def _product(user_agent: str | None) -> str | None:
    """``claude-cli/2.1.330`` of ``claude-cli/2.1.330 (external, sdk-cli)``."""
    tokens = (user_agent or "").split(maxsplit=1)
    return word(tokens[0]) if tokens else None


def _traceparent(value: str | None) -> str | None:
    text = (value or "").strip()
    return text if _TRACEPARENT.fullmatch(text) else None
