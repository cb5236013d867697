"""What one chat completion says, gathered piece by piece into a ``Reading``.

The same gathering serves a stream and a whole body. In a stream usage is a total
so far, wherever it comes: in one extra chunk, on the last one, or on every one; a
later total overrides an earlier one field by field, if it is not 0. It is the last
word once a finish reason is known, and until then a lower bound.

Id and model are the first that are stated: chunks that gateways make up for the
usage alone name the model as the client wrote it. The service tier beside the
usage comes before any other.
"""

from __future__ import annotations

from typing import Any

from tokenproxy.wire import notes
from tokenproxy.wire.bookkeeping import MAX_NOTES
from tokenproxy.wire.evidence import MAX_OBJECTS, keepable
from tokenproxy.wire.openai.accent import Accent, ModelUsage, Piece
from tokenproxy.wire.openai.errors import ErrorWord
from tokenproxy.wire.openai.merge import merge, zeroed
from tokenproxy.wire.openai.tool_calls import ToolCalls
from tokenproxy.wire.openai.usage import Bill, bill
from tokenproxy.wire.usage import WITHOUT_OUTPUT, Completeness, Reading, UsagePart

_MAX_MODELS = 64
_GROWN = 2
"""Usage that comes with every chunk is news when the output has grown so many times."""


class ChatReading:
    """Gathers one response into ``reading``.

    Args:
        reading: filled in place.
        accent: how the provider speaks.
        operation: as the route table has it.
    """

    def __init__(self, reading: Reading, accent: Accent, operation: str = "chat") -> None:
        self.reading = reading
        self._accent = accent
        self._operation = operation
        self._usage: dict[str, Any] = {}
        self._breakdown: list[ModelUsage] = []
        self._tier: str | None = None
        self._tier_of_usage: str | None = None
        self._last_word = False
        """The usage came with or after a finish reason."""
        self._promised = False
        self._told_output: int | None = None
        self._calls = ToolCalls()
        self._said: dict[str, None] = {}
        self._billing_notes: tuple[str, ...] = ()
        self._billed: list[Bill] | None = None
        """What was billed; None: it does not hold any more."""

    @property
    def tier_known(self) -> bool:
        """Whether the service tier was stated."""
        return self._tier is not None

    @property
    def identified(self) -> bool:
        """Whether id and model were stated."""
        return self.reading.response_id is not None and self.reading.model is not None

    def take(self, piece: Piece) -> bool:
        """Take a chunk or a whole completion. True if model, id or usage changed."""
        before = (self.reading.response_id, self.reading.model)
        self.reading.response_id = before[0] or piece.id
        self.reading.model = before[1] or piece.model
        if self._tier is None and piece.service_tier is not None:
            self._tier = piece.service_tier
            self._billed = None
        self.reading.stop_reason = piece.finish_reason or self.reading.stop_reason
        if self._calls.take(piece.calls):
            self.reading.tool_uses = self._calls.found()
        if piece.error is not None:
            self.fail(piece.error)
        news = before != (self.reading.response_id, self.reading.model)
        if piece.usage is not None or piece.breakdown:
            news = self._take_usage(piece) or news
        if piece.over:
            self.end()
        return news

    def promise(self) -> None:
        """Usage is still to come: until it does, there is a null in its place."""
        self._promised = True

    def fail(self, error: ErrorWord) -> None:
        """Take an error."""
        self.reading.error = error.word
        for note in error.notes():
            self.say(note)

    def end(self) -> None:
        """The response ended as its protocol ends."""
        self.reading.ended = True
        self._settle()

    def close(self, *, orderly: bool, absent: str) -> None:
        """The body is over.

        Some gateways send no end of their own. With a finish reason and the usage that came
        with or after it nothing is missing. With a finish reason alone something is if usage
        was promised; if it was not, that depends on how the body ended, which others know.

        Args:
            orderly: as far as can be seen here, nothing was cut off.
            absent: the note if the answer came whole and had no usage.
        """
        if not self.reading.ended and self.reading.stop_reason is not None:
            self.reading.ended = self._last_word
            self.reading.answered = orderly and not (self._last_word or self._promised)
        self._settle()
        whole = self.reading.ended or self.reading.answered
        if whole and self.reading.error is None and not self.reading.parts:
            self.say(absent)

    def say(self, note: str) -> None:
        """Add a note, once."""
        if len(self._said) < MAX_NOTES:
            self._said[note] = None
        self._show_notes()

    def _take_usage(self, piece: Piece) -> bool:
        usage = piece.usage if piece.usage is not None else {}
        if zeroed(self._usage, usage):
            self.say(notes.INPUT_ZERO_IGNORED)
        self._usage = merge(self._usage, usage)
        self._billed = None
        self._breakdown = piece.breakdown[:_MAX_MODELS] or self._breakdown
        self._tier_of_usage = piece.service_tier or self._tier_of_usage
        # With content the usage goes on, if perhaps for another of several answers.
        last = piece.finish_reason is not None or not piece.content
        self._last_word = self.reading.stop_reason is not None and last
        if usage:
            self._keep(usage)
        for each in piece.breakdown[:_MAX_MODELS] if not usage else ():
            self._keep(each.usage or {})
        self._settle()
        return self._is_news()

    def _keep(self, usage: dict[str, Any]) -> None:
        """Keep a usage object verbatim. One that states all that the last did replaces it."""
        kept = self.reading.usage
        if not keepable(usage):
            self.say(notes.USAGE_NOT_KEPT)
        elif kept and _stated(kept[-1]) <= _stated(usage):
            kept[-1] = usage
        elif len(kept) < MAX_OBJECTS:
            kept.append(usage)
        else:
            kept[-1] = usage
            self.say(notes.USAGE_OBJECTS_DROPPED)

    def _is_news(self) -> bool:
        outputs = (part.output_tokens or 0 for part in self.reading.parts)
        output = sum(outputs)
        known = self._told_output
        if known is None or self._last_word or output >= _GROWN * max(known, 1):
            self._told_output = output
            return True
        return False

    def _settle(self) -> None:
        """Bring ``reading`` up to date with what was gathered."""
        if not self._usage and not self._breakdown:
            return
        if self._billed is None:
            bills = self._billed = self._bills()
            cost = self._accent.cost(self._usage)
            self.reading.parts = tuple(each.part for each in bills if each.part is not None)
            self.reading.provider_cost_usd = cost.usd
            said = [note for each in bills for note in each.notes]
            self._billing_notes = (*said, *cost.notes)
            self._show_notes()
        self.reading.completeness = self._completeness(self._billed)

    def _bills(self) -> list[Bill]:
        tier = self._tier_of_usage or self._tier
        whole = bill(self._usage, self._accent.fields, service_tier=tier)
        several = [
            bill(each.usage, self._accent.fields, service_tier=tier, model=each.model)
            for each in self._breakdown
            if each.usage is not None
        ]
        several = [each for each in several if each.part is not None]
        if not several:
            return [whole]
        if whole.part is not None and not _same_sums(several, whole.part):
            return [*several, Bill(None, (notes.BREAKDOWN_MISMATCH,))]
        return several

    def _completeness(self, bills: list[Bill]) -> Completeness:
        if not self.reading.parts:
            return "none"
        stated = all(self._whole(part) for part in self.reading.parts)
        last = self._last_word or (self.reading.ended and self.reading.error is None)
        balanced = all(each.balanced for each in bills)
        return "final" if stated and last and balanced else "partial"

    def _whole(self, part: UsagePart) -> bool:
        if self._operation in WITHOUT_OUTPUT:
            return True
        return part.uncached_input_tokens is not None and part.output_tokens is not None

    def _show_notes(self) -> None:
        self.reading.notes = tuple(dict.fromkeys([*self._said, *self._billing_notes]))


def _stated(usage: dict[str, Any]) -> set[str]:
    return {key for key, value in usage.items() if value is not None}


def _same_sums(several: list[Bill], whole: UsagePart) -> bool:
    """Whether parts add up to the usage of them all, as far as that states anything."""
    for field in ("uncached_input_tokens", "output_tokens"):
        total = getattr(whole, field)
        if total is not None and total != sum(getattr(each.part, field) or 0 for each in several):
            return False
    return True
