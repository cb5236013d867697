"""What Claude Code tells in forms of its own: its session, and how long its tools took.

Source: Claude Code's "LLM gateway protocol" page. The hint headers come by
default only on direct connections to the Anthropic API.
"""

from __future__ import annotations

import math
import re

import msgspec

from tokenproxy.wire.lenient import Lenient
from tokenproxy.wire.words import word

_LEGACY_SESSION = re.compile(r"_session_(.+)$")


class _Identity(msgspec.Struct):
    session_id: str | None = None


_IDENTITY = Lenient(_Identity)

_MAX_TOOLS = 256
"""Tool durations that are read from one header."""


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


def tool_durations(value: str | None) -> tuple[tuple[str, float], ...]:
    """``Bash=742;Read=9`` or ``Bash=1094, Agent=22``: names and milliseconds, in order."""
    if not value:
        return ()
    found: list[tuple[str, float]] = []
    for entry in re.split(r"[;,]", value)[:_MAX_TOOLS]:
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
