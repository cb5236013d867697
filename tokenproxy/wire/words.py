"""Strings and numbers from outside, made safe to keep."""

from __future__ import annotations

from typing import Any

MAX_WORD = 256
MAX_COUNT = 2**53
"""Counts beyond what every JSON reader can hold are no counts."""


def word(value: Any, limit: int = MAX_WORD) -> str | None:
    """``value`` if it is a short printable string (an id, a name), stripped; else None.

    What is kept of a message ends in ledgers, terminals and span attributes:
    control characters and novels have no place there.
    """
    if value is None or not isinstance(value, str):
        return None
    text = value.strip()
    return text if 0 < len(text) <= limit and text.isprintable() else None


def count(value: Any) -> int | None:
    """``value`` if it is a whole number >= 0, else None: 12.0 is one, ``true`` and "12" are not."""
    if type(value) is int:
        return value if 0 <= value <= MAX_COUNT else None
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and 0 <= value <= MAX_COUNT else None
