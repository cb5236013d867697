"""What dialects do with a reading alike: note something, keep a usage object."""

from __future__ import annotations

from typing import Any

from tokenproxy.wire import notes
from tokenproxy.wire.evidence import MAX_OBJECTS, keepable
from tokenproxy.wire.usage import Reading


def say(reading: Reading, note: str) -> None:
    """Add a note, once."""
    if note not in reading.notes:
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
