"""What one Anthropic response says, gathered piece by piece into a ``Reading``.

The same gathering serves a whole JSON message, a stream and each line of a
batch: they differ only in how the pieces arrive. Completeness follows from
what arrived: ``message_start``'s ``output_tokens`` is a placeholder, so output
is final only from a ``message_delta`` on, and until then a lower bound.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tokenproxy.wire import notes
from tokenproxy.wire.anthropic.attempts import Hop, Story
from tokenproxy.wire.anthropic.parts import bill
from tokenproxy.wire.anthropic.shapes import Block, Delta, Error, Message, Refusal
from tokenproxy.wire.anthropic.usage import INPUTS, bad_counts, merge
from tokenproxy.wire.bookkeeping import MAX_NOTES, add_tool_uses
from tokenproxy.wire.evidence import MAX_OBJECTS, keepable
from tokenproxy.wire.usage import Completeness, Reading, ToolUse
from tokenproxy.wire.words import count, word

_MAX_HOPS = 64
"""Models that decline one after the other within a response: a chain has a few."""

_TYPE = re.compile(r"[a-z][a-z0-9_]{0,63}")
"""Error types and refusal categories, which become metric attributes: few and plain."""


class MessageReading:
    """Gathers one response into ``reading``.

    Args:
        reading: filled in place.
        service_tier: the tier, where something else than the usage tells it.
        first_party: Anthropic itself answers; a 0 of its own is a count.
    """

    def __init__(
        self, reading: Reading, service_tier: str | None = None, *, first_party: bool = True
    ) -> None:
        self.reading = reading
        self._first_party = first_party
        self._story = Story(service_tier=service_tier)
        self._usage: dict[str, Any] = {}
        self._placeholder: int | None = None
        """``message_start``'s output tokens while no final count has come."""
        self._final_output = False
        self._said: dict[str, None] = {}
        self._billing_notes: tuple[str, ...] = ()
        self._billed = False
        """What is billed follows from all that was taken, and from this placeholder."""
        self._billed_placeholder: int | None = None

    def whole(self, message: Message) -> None:
        """Take a complete message. Its usage is final."""
        self._billed = False
        self._identify(message)
        for block in message.content or []:
            self._note_block(block)
        if message.usage is not None:
            self._story.itemized = True
            self._final_output = True
            self._take_usage({}, message.usage)
        self.reading.ended = True
        self._stop(message.stop_reason, message.stop_details)
        self.settle()
        if not self.reading.parts:
            self.say(notes.USAGE_ABSENT)

    def start(self, message: Message) -> None:
        """Take a stream's ``message_start``."""
        self._billed = False
        if self.reading.response_id is not None or self._usage:
            self.say(notes.REPEATED_START)
        self._identify(message)
        if message.usage is not None:
            self._take_usage({}, message.usage)
            self._placeholder = count(message.usage.get("output_tokens"))
        self.settle()

    def delta(self, delta: Delta | None, usage: dict[str, Any] | None) -> None:
        """Take a stream's ``message_delta``: usage so far, and why it stops."""
        self._billed = False
        if usage is not None:
            before = self._usage
            self._take_usage(before, usage)
            self._look_at_zeros(before)
            if count(usage.get("output_tokens")) is not None:
                self._final_output = True
            if usage.get("iterations") is not None:
                self._story.itemized = True
        if delta is not None:
            self._stop(delta.stop_reason, delta.stop_details)
        self.settle()

    def block(self, block: Block) -> bool:
        """Take the start of a content block; True if another model goes on from here."""
        self._note_block(block)
        if block.type != "fallback":
            self.reading.content_started = True
            return False
        self.settle()
        return True

    def end(self) -> None:
        """Take ``message_stop``."""
        self.reading.ended = True
        if not self._final_output:
            self.say(notes.FINAL_USAGE_MISSING)
        self.settle()

    def close(self) -> None:
        """No more events come. Some gateways leave out ``message_stop``."""
        told = self.reading.stop_reason is not None and self._final_output
        self.reading.answered = told and not (self.reading.ended or self._first_party)
        self.settle()

    def fail(self, error: Error | None, otherwise: str) -> None:
        """Take an error: of the envelope or of a stream."""
        self.reading.error = error_type(error) or otherwise
        code = error.details.error_code if error is not None and error.details is not None else None
        if code is not None and _TYPE.fullmatch(code):
            self.say(notes.detailed(notes.ERROR_CODE, code))

    def say(self, note: str) -> None:
        """Add a note, once."""
        if len(self._said) < MAX_NOTES:
            self._said[note] = None
        self._show_notes()

    def settle(self) -> None:
        """Bring ``reading`` up to date with what was gathered."""
        placeholder = None if self._is_final() else self._placeholder
        if not self._billed or placeholder != self._billed_placeholder:
            self._bill(placeholder)
        self.reading.completeness = self._completeness()

    def _bill(self, placeholder: int | None) -> None:
        usage = self._usage
        if placeholder is not None:
            # A count in mid-stream may still stand below the placeholder; both are lower bounds.
            known = count(usage.get("output_tokens")) or 0
            usage = {**usage, "output_tokens": max(known, placeholder)}
        billing = bill(usage, self._story)
        self._billed, self._billed_placeholder = True, placeholder
        self.reading.parts = billing.parts
        self._billing_notes = billing.notes
        self._show_notes()
        self.reading.fallback = self.reading.fallback or billing.fallback
        if billing.model is not None:
            self.reading.model = billing.model

    def _show_notes(self) -> None:
        self.reading.notes = tuple(dict.fromkeys([*self._said, *self._billing_notes]))

    def _completeness(self) -> Completeness:
        if not self.reading.parts:
            return "none"
        usage = self._usage
        stated = (
            count(usage.get("input_tokens")) is not None
            and count(usage.get("output_tokens")) is not None
        )
        return "final" if stated and self._is_final() else "partial"

    def _is_final(self) -> bool:
        over = self.reading.ended or self.reading.stop_reason is not None
        return self._final_output and over

    def _identify(self, message: Message) -> None:
        self.reading.response_id = word(message.id) or self.reading.response_id
        model = word(message.model)
        if model is not None:
            self.reading.model = self._story.model = model

    def _take_usage(self, held: Mapping[str, Any], usage: dict[str, Any]) -> None:
        self._usage = merge(held, usage)
        if bad_counts(usage):
            self.say(notes.BAD_COUNT)
        self._note_credit(usage)
        self._take_cost()
        if not keepable(usage):
            self.say(notes.USAGE_NOT_KEPT)
            return
        if len(self.reading.usage) >= MAX_OBJECTS:
            self.reading.usage.pop()
            self.say(notes.USAGE_OBJECTS_DROPPED)
        self.reading.usage.append(usage)

    def _look_at_zeros(self, before: Mapping[str, Any]) -> None:
        """A later usage took back positive counts. Gateways put 0 where they know nothing.

        An input of 0 is believed of anyone if the cache holds what it lost: an estimate was
        set right then. After a fallback the counts are another model's.
        """
        if self._story.hops:
            return
        kinds = INPUTS if _input(self._usage) < _input(before) else ()
        kinds = (*kinds, "output_tokens") if self._final_output else kinds
        zeroed = {
            key: before[key] for key in kinds if count(before.get(key)) and not self._usage[key]
        }
        if not zeroed:
            return
        if self._first_party:
            self.say(notes.INPUT_ZEROED)
        else:
            self._usage |= zeroed
            self.say(notes.INPUT_ZERO_IGNORED)

    def _take_cost(self) -> None:
        """OpenRouter states its cost in the usage of this API too."""
        if "cost" in self._usage:
            from tokenproxy.wire.openrouter import cost

            stated = cost(self._usage)
            self.reading.provider_cost_usd = stated.usd
            for note in stated.notes:
                self.say(note)

    def _note_credit(self, usage: Mapping[str, Any]) -> None:
        """A redeemed credit reprices this response: list prices overstate it."""
        credit = usage.get("fallback_credit")
        status = credit.get("status") if isinstance(credit, dict) else None
        outcome = status.get("type") if isinstance(status, dict) else None
        if isinstance(outcome, str) and _TYPE.fullmatch(outcome):
            self.say(notes.detailed(notes.FALLBACK_CREDIT, outcome))

    def _note_block(self, block: Block) -> None:
        self._billed = False
        if block.type == "fallback":
            self._hop(block)
            return
        self._story.silent = False
        identity, name = word(block.id), word(block.name)
        if block.type == "tool_use" and identity is not None and name is not None:
            add_tool_uses(self.reading, [ToolUse(identity, name)])

    def _hop(self, block: Block) -> None:
        """A model declined; what it asked of tools before is void, for the client must drop it."""
        hop = Hop(
            declined=word(block.from_.model) if block.from_ is not None else None,
            served=word(block.to.model) if block.to is not None else None,
            category=block.trigger.category if block.trigger is not None else None,
            category_known=block.trigger is not None,
        )
        if len(self._story.hops) < _MAX_HOPS:
            self._story.hops.append(hop)
        self._story.silent = True
        self._say_category(hop.category)
        self.reading.tool_uses = ()
        if hop.served is not None:
            self.reading.model = self._story.model = hop.served

    def _stop(self, reason: str | None, details: Refusal | None) -> None:
        reason = word(reason)
        if reason is not None:
            self.reading.stop_reason = reason
            self._story.refused = reason == "refusal"
        if details is not None and self._story.refused:
            self._story.category = details.category
            self._say_category(details.category)

    def _say_category(self, category: str | None) -> None:
        if category is not None and _TYPE.fullmatch(category):
            self.say(notes.detailed(notes.REFUSAL_CATEGORY, category))


def _input(usage: Mapping[str, Any]) -> int:
    return sum(count(usage.get(key)) or 0 for key in INPUTS)


def error_type(error: Error | None) -> str | None:
    """The provider's error type if it is a plain word."""
    kind = error.type if error is not None else None
    return kind if kind is not None and _TYPE.fullmatch(kind) else None
