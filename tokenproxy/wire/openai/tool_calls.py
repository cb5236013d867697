"""Tool calls out of their pieces.

A stream cuts a call into pieces with a common index, of which the first has id and
name. Some providers repeat those in every piece, some send them apart, and some
give every call the index 0: another id under an index is another call.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tokenproxy.wire.usage import ToolUse

MAX_CALLS = 1024
"""Calls that are kept of one response."""


class Call(NamedTuple):
    """A piece of a tool call."""

    key: tuple[int, int]
    """Its choice's index and its own."""
    id: str | None
    name: str | None


class ToolCalls:
    """Puts calls together."""

    def __init__(self) -> None:
        self._latest: dict[tuple[int, int], Call] = {}
        self._found: dict[ToolUse, None] = {}

    def take(self, pieces: Iterable[Call]) -> bool:
        """Take pieces; True if a call that was not known before is known by them."""
        before = len(self._found)
        for piece in pieces:
            self._take(piece)
        return len(self._found) > before

    def _take(self, piece: Call) -> None:
        known = self._latest.get(piece.key)
        if known is None and len(self._latest) >= MAX_CALLS:
            return
        if known is None or (piece.id is not None and known.id not in {None, piece.id}):
            call = piece
        else:
            call = Call(piece.key, known.id or piece.id, known.name or piece.name)
        self._latest[piece.key] = call
        if call.id is not None and call.name is not None and len(self._found) < MAX_CALLS:
            self._found[ToolUse(call.id, call.name)] = None

    def found(self) -> tuple[ToolUse, ...]:
        """The calls whose id and name are known, in order of appearance."""
        return tuple(self._found)
