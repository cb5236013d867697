"""What dialects do with a reading alike: note something, keep a usage object, add a tool call."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any, Final

from tokenproxy.wire import notes
from tokenproxy.wire.evidence import MAX_OBJECTS, keepable
from tokenproxy.wire.usage import Reading, ToolUse

MAX_KEYS: Final = 256
"""Keys of a usage object that later ones are merged into: a real one has some dozens."""

MAX_TOOLS: Final = 64
"""Kinds of the provider's own tools that one response may have used."""

MAX_NOTES: Final = 64
"""Notes of one response: some have a detail of the provider's."""

MAX_TOOL_USES: Final = 1024
"""Tool calls that are kept of one response."""


def say(reading: Reading, note: str) -> None:
    """Add a note, once."""
    if note not in reading.notes and len(reading.notes) < MAX_NOTES:
        reading.notes = (*reading.notes, note)


def keep(reading: Reading, usage: dict[str, Any]) -> None:
    """Keep a usage object verbatim, if it is within bounds; of too many the last one stays."""
    if not keepable(usage):
        say(reading, notes.USAGE_NOT_KEPT)
        return
    if len(reading.usage) >= MAX_OBJECTS:
        reading.usage.pop()
        say(reading, notes.USAGE_OBJECTS_DROPPED)
    reading.usage.append(usage)


def add_tool_uses(reading: Reading, found: Iterable[ToolUse]) -> None:
    """Add what the client is asked to run."""
    room = MAX_TOOL_USES - len(reading.tool_uses)
    added = tuple(islice(found, max(room, 0)))
    if added:
        reading.tool_uses = (*reading.tool_uses, *added)
