"""Who calls, from a request's headers, whatever client sent them and to whichever API.

A client is known by the headers that it sends, not by its name: gateways and
forks keep the one and change the other. Sources: Claude Code's "LLM gateway
protocol"; Codex (:mod:`tokenproxy.wire.codex`); opencode, Copilot and Kilo by
what they are seen to send; the providers' SDKs (``x-stainless-retry-count``);
W3C Trace Context.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from tokenproxy.wire import codex
from tokenproxy.wire.claude_code import tool_durations
from tokenproxy.wire.usage import Attribution
from tokenproxy.wire.words import word

_SESSION = (
    "x-claude-code-session-id",
    "x-opencode-session",
    "x-client-session-id",  # GitHub Copilot
    "x-kilocode-taskid",
)
_TURN = ("x-claude-code-prompt-id", "x-interaction-id")  # the latter: GitHub Copilot
_REQUEST = ("x-client-request-id", "x-opencode-request")

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-[!-~]{1,128})?")
_VERSION = re.compile(r"\d+(\.\d+)+\S*")
_MAX_DIGITS = 5


def read_attribution(headers: Mapping[str, str]) -> Attribution:
    """Who made the call.

    Args:
        headers: the request's, names lower-cased.
    """
    get = headers.get
    thread = codex.read_thread(headers)
    request_id = _first(headers, _REQUEST)
    return Attribution(
        session_id=_first(headers, _SESSION) or thread.session_id,
        turn_id=_first(headers, _TURN) or thread.turn_id,
        agent_id=word(get("x-claude-code-agent-id")) or thread.agent_id,
        parent_agent_id=word(get("x-claude-code-parent-agent-id")) or thread.parent_agent_id,
        agent_type=word(get("x-claude-code-agent-type")) or thread.agent_type,
        request_class=word(get("x-claude-code-request-class")) or thread.request_class,
        compaction=word(get("x-claude-code-compaction")),
        context_compacted=word(get("x-claude-code-context-compacted")),
        # Codex sends its thread's id under this name: that tells no request from another.
        client_request_id=None if request_id in thread.ids else request_id,
        attempt=_attempt(get("x-stainless-retry-count")),
        tool_durations_ms=tool_durations(get("x-claude-code-prev-tool-durations")),
        client=_product(get("user-agent")),
        traceparent=_traceparent(get("traceparent")),
        tracestate=word(get("tracestate"), 512) if "traceparent" in headers else None,
    )


def _first(headers: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    for name in names:
        found = word(headers.get(name))
        if found is not None:
            return found
    return None


def _attempt(value: str | None) -> int | None:
    text = value.strip() if value is not None else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else None


@lru_cache(maxsize=64)
def _product(user_agent: str | None) -> str | None:
    """``claude-cli/2.1.330`` of ``claude-cli/2.1.330 (external, sdk-cli)``.

    The SDKs made by Stainless put a space before their version: ``OpenAI/Python 3.57.0``.
    """
    name, _, rest = (user_agent or "").strip().partition(" ")
    version = _VERSION.match(rest)
    return word(f"{name}/{version[0]}" if version else name)


def _traceparent(value: str | None) -> str | None:
    text = value.strip() if value is not None else ""
    return text if text and _TRACEPARENT.fullmatch(text) else None
