"""Usage objects that are kept verbatim, within bounds: the audit's evidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

MAX_DEPTH = 16
MAX_BYTES = 64 * 1024
"""Bounds of a usage object that is kept: a real one has four levels and few kilobytes."""

MAX_OBJECTS = 16
"""Usage objects kept of one response: a real one has few."""


def keepable(usage: Mapping[str, Any]) -> bool:
    """Whether a usage object is small and flat enough to be kept verbatim."""
    level: list[Any] = [usage]
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                inner += value.values()
            elif isinstance(value, list):
                inner += value
        if not inner:
            break
        level = inner
    else:
        return False
    try:
        return len(msgspec.json.encode(usage)) <= MAX_BYTES
    except (ValueError, OverflowError, TypeError):
        return False
