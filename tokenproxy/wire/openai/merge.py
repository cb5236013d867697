"""Usage objects as plain values: finding, adding and merging what they state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokenproxy.wire.bookkeeping import MAX_KEYS
from tokenproxy.wire.words import count

type Path = tuple[str, ...]
"""Keys that lead to a value."""

_MAX_LEVELS = 8


def lookup(usage: Mapping[str, Any], path: Path) -> Any:
    """The value at a path, or None."""
    value: Any = usage
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def merge(held: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
    """The usage that holds after ``update`` came on top of ``held``: both are totals so far.

    Field by field, in nested objects too: null, absent and what is no count keep what was there.
    So does 0, which gateways put where they know nothing: a total does not fall to it.
    """
    return _merge(held, update, _MAX_LEVELS)


def _merge(held: Mapping[str, Any], update: Mapping[str, Any], levels: int) -> dict[str, Any]:
    merged = dict(held)
    for key, value in update.items():
        if key not in merged and len(merged) >= MAX_KEYS:
            continue
        before = held.get(key)
        if isinstance(value, dict) and isinstance(before, dict) and levels:
            merged[key] = _merge(before, value, levels - 1)
        elif value is not None and (count(before) is None or _is_amount(value)):
            merged[key] = before if _falls(before, value) else value
    return merged


def zeroed(held: Mapping[str, Any], update: Mapping[str, Any]) -> bool:
    """Whether a total so far that was positive is 0 in ``update``."""
    return any(_falls(held.get(key), value) for key, value in update.items())


def _falls(before: Any, value: Any) -> bool:
    return _is_amount(before) and before > 0 and _is_amount(value) and value == 0


def _is_amount(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def plus(left: int | None, right: int | None) -> int | None:
    """The sum of what is known."""
    if left is None or right is None:
        return right if left is None else left
    return left + right
