from __future__ import annotations

from typing import Any

from tokenproxy.wire import notes
from tokenproxy.wire.bookkeeping import MAX_NOTES, MAX_TOOL_USES, add_tool_uses, keep, say
from tokenproxy.wire.evidence import MAX_OBJECTS
from tokenproxy.wire.usage import Reading, ToolUse


def test_a_note_is_said_once() -> None:
    reading = Reading()
    for note in ("b", "a", "b"):
        say(reading, note)
    assert reading.notes == ("b", "a")


def test_of_too_many_usage_objects_the_first_and_the_last_stay() -> None:
    reading = Reading()
    for number in range(MAX_OBJECTS + 5):
        keep(reading, {"n": number})
    assert [usage["n"] for usage in reading.usage] == [*range(MAX_OBJECTS - 1), MAX_OBJECTS + 4]
    assert reading.notes == (notes.USAGE_OBJECTS_DROPPED,)


def test_a_usage_object_beyond_bounds_is_not_kept() -> None:
    reading = Reading()
    deep: Any = 1
    for _ in range(100):
        deep = {"a": deep}
    keep(reading, {"deep": deep})
    assert (reading.usage, reading.notes) == ([], (notes.USAGE_NOT_KEPT,))


def test_notes_and_tool_calls_are_bounded() -> None:
    reading = Reading()
    for number in range(2 * MAX_NOTES):
        say(reading, f"n{number}")
    for number in range(0, 2 * MAX_TOOL_USES, 3):
        add_tool_uses(reading, [ToolUse(f"{number}-{each}", "Bash") for each in range(3)])
    assert reading.notes == tuple(f"n{number}" for number in range(MAX_NOTES))
    assert len(reading.tool_uses) == MAX_TOOL_USES
    assert reading.tool_uses[:4] == tuple(ToolUse(i, "Bash") for i in ("0-0", "0-1", "0-2", "3-0"))
