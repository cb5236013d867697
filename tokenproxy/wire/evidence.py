"""Usage objects that are kept verbatim, within bounds: the audit's evidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

MAX_DEPTH = 16
MAX_BYTES = 64 * 1024
"""Bounds of a usage object that is kept: a real one has four levels and few kilobytes."""

MAX_TEXT = 256
"""Longest text in a usage object that is kept: what is longer than a name may be content."""

MAX_OBJECTS = 16
"""Usage objects kept of one response: a real one has few."""


def keepable(usage: Mapping[str, Any]) -> bool:
    """Whether a usage object is small and flat enough to be kept verbatim, and holds no prose."""
    try:
        text = msgspec.json.encode(usage)
    except (ValueError, OverflowError, TypeError, RecursionError):
        return False
    return len(text) <= MAX_BYTES and (_is_plain(text) or _is_bounded(usage))


def _is_plain(text: bytes) -> bool:
    """Whether its JSON alone shows that an object is within bounds, as that of most does."""
    nested = text.count(b"{") + text.count(b"[")
    return nested < MAX_DEPTH and max(map(len, text.split(b'"'))) <= MAX_TEXT


def _is_bounded(usage: Mapping[str, Any]) -> bool:
    level: list[Any] = [usage]
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                inner += value.values()
                inner += value.keys()
            elif isinstance(value, list):
                inner += value
            elif isinstance(value, str) and len(value) > MAX_TEXT:
                return False
        if not inner:
            return True
        level = inner
    return False
