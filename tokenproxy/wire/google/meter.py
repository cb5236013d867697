"""The usage objects of one answer: what they come to, and which are kept as evidence.

A stream states its usage with almost every chunk. An object that states at
least what the one before it stated takes its place, so that a stream of
hundreds keeps the first partial ones and the last.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from tokenproxy.wire import notes
from tokenproxy.wire.bookkeeping import keep, say
from tokenproxy.wire.google.usage import GENERATE, Bill, Held, Names, bad_counts, bill
from tokenproxy.wire.usage import Reading

_GROWN = 2
"""Usage that comes with every chunk is news when the output has grown so many times."""


class Meter:
    """Gathers usage objects.

    Args:
        reading: its ``usage`` is filled, and notes on that are added.
        names: how the API calls its counts.
    """

    def __init__(self, reading: Reading, names: Names = GENERATE) -> None:
        self._reading = reading
        self._names = names
        self._held = Held()
        self._told_inputs: tuple[int | None, ...] = ()
        self._told_output = 0
        self._billed: tuple[str, ...] = ()
        """Notes that the latest bill left; a later one may take them back."""

    def take(self, usage: dict[str, Any]) -> bool:
        """Take an object; True if it changes what holds."""
        before = self._held
        self._held = before.merged(usage, self._names)
        if bad_counts(usage, self._names):
            say(self._reading, notes.BAD_COUNT)
        objects = self._reading.usage
        if objects and _states_all_of(usage, objects[-1]):
            objects.pop()
        keep(self._reading, usage)
        return self._held != before

    def is_news(self) -> bool:
        """Whether the output has grown so much, or the input at all, that it is worth telling."""
        held, names = self._held.last, self._names
        inputs = tuple(held.get(name) for name in (names.prompt, names.cached, names.tools))
        output = held.get(names.thoughts, 0)
        for name in names.output:
            output += held.get(name, 0)
        if inputs == self._told_inputs and output < _GROWN * max(self._told_output, 1):
            return False
        self._told_inputs, self._told_output = inputs, output
        return True

    def bill(self) -> Bill:
        """What holds, added up."""
        return bill(self._held, self._names)

    def settle(self, server_tool_use: Mapping[str, int], service_tier: str | None) -> None:
        """Bring the reading's part, its completeness and its notes up to date.

        Args:
            server_tool_use: requests by tool of Google's.
            service_tier: the tier, where something else than the usage tells it.
        """
        reading, bill = self._reading, self.bill()
        kept = [note for note in reading.notes if note not in self._billed]
        reading.notes, self._billed = (*kept, *bill.notes), bill.notes
        if bill.part is not None:
            part = msgspec.structs.replace(
                bill.part,
                server_tool_use=dict(server_tool_use),
                service_tier=bill.part.service_tier or service_tier,
            )
            reading.parts = (part,)
            reading.completeness = "final" if bill.whole and reading.ended else "partial"


def _states_all_of(usage: Mapping[str, Any], earlier: Mapping[str, Any]) -> bool:
    """Whether every field that said something before says something again."""
    return all(usage.get(key) for key, value in earlier.items() if value)
