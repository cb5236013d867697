"""The attributes of a call's measurements, put together once for all calls that have the same.

Imports no opentelemetry.
"""

from __future__ import annotations

from functools import cached_property

from tokenproxy.record.call import Call
from tokenproxy.record.row import Row
from tokenproxy.telemetry import attributes as tell
from tokenproxy.telemetry import semconv as names
from tokenproxy.telemetry.instruments import Instruments, Labelled
from tokenproxy.telemetry.semconv import Semconv, TokenKind
from tokenproxy.telemetry.series import Labels

_REMEMBERED = 64
"""Of each: models that were billed, outcomes, notes."""


class Shape:
    """Of the calls of one operation, provider, models, server and error.

    Args:
        instruments: take the measurements.
        semconv: names the attributes.
        story: the story's attribute, if there is a story.
        call: one of these calls.
        operation: its ``gen_ai.operation.name``.
        error: its ``error.type``, if it failed.
    """

    def __init__(
        self,
        instruments: Instruments,
        semconv: Semconv,
        story: Labels,
        call: Call,
        *,
        operation: str,
        error: str | None,
    ) -> None:
        self.operation = operation
        self.instruments, self.semconv, self.story = instruments, semconv, story
        self.base: Labels = {
            semconv.operation: operation,
            semconv.provider: names.provider_name(call.start.provider),
        }
        if call.request.model:
            self.base[semconv.request_model] = tell.text(call.request.model)
        self.server: Labels = {}
        if call.start.server_address:
            self.server[names.SERVER_ADDRESS] = tell.text(call.start.server_address)
            self.server[names.SERVER_PORT] = call.start.server_port
        self.failed: Labels = {} if error is None else {names.ERROR_TYPE: tell.text(error)}
        self._model = self.served(call.end.reading.model)
        answered = {**self.base, **self.server, **self._model}
        self.begun = Labelled(instruments, answered)
        """For what is measured of an answer's beginning, when nothing can have failed."""
        self.whole = Labelled(instruments, {**answered, **self.failed})
        """For what is measured of the call."""
        self._shares: dict[str, ShareShape] = {}
        self._rows: dict[tuple[object, ...], Labelled] = {}
        self._notes: dict[str, Labelled] = {}

    def served(self, model: str | None) -> Labels:
        """The model that answered, or was billed."""
        return {self.semconv.response_model: tell.text(model)} if model else {}

    def share(self, model: str) -> ShareShape:
        """For what one model was billed."""
        found = self._shares.get(model)
        if found is None:
            found = _keep(self._shares, model, ShareShape(self, model))
        return found

    def row(self, row: Row) -> Labelled:
        """For the row itself, as one that is counted."""
        retry = row.retry_of is not None or bool(row.attempt)
        known = None if row.completeness == "none" else row.spent_usd is not None
        key = row.outcome, row.completeness, row.fallback_used, retry, known
        found = self._rows.get(key)
        if found is None:
            labels: Labels = {
                **self.base,
                **self._model,
                **self.story,
                **self.failed,
                **({} if known is None else {names.COST_KNOWN: known}),
                names.OUTCOME: row.outcome,
                names.COMPLETENESS: row.completeness,
                names.FALLBACK_USED: row.fallback_used,
                names.RETRY: retry,
            }
            found = _keep(self._rows, key, Labelled(self.instruments, labels))
        return found

    def note(self, note: str) -> Labelled:
        """For the word of a row's note."""
        found = self._notes.get(note)
        if found is None:
            labels: Labels = {**self.base, names.NOTE: note}
            found = _keep(self._notes, note, Labelled(self.instruments, labels))
        return found


class ShareShape:
    """Of what one model was billed in such calls."""

    def __init__(self, shape: Shape, model: str) -> None:
        self._shape = shape
        self._labels: Labels = {**shape.base, **shape.served(model)}
        self._kinds: dict[TokenKind, Labelled] = {}

    @cached_property
    def own(self) -> Labelled:
        """For our own counters."""
        return self._with(self._shape.story)

    def kind(self, kind: TokenKind) -> Labelled:
        """For our tokens of a kind."""
        found = self._kinds.get(kind)
        if found is None:
            found = self._with({**self._shape.story, names.TOKEN_KIND: kind})
            self._kinds[kind] = found
        return found

    @cached_property
    def standard(self) -> Labelled:
        """For the conventions' metrics."""
        return self._with(self._shape.server)

    @cached_property
    def input(self) -> Labelled:
        """For the conventions' tokens, those that went in."""
        return self._with({**self._shape.server, self._shape.semconv.token_type: "input"})

    @cached_property
    def output(self) -> Labelled:
        """For the conventions' tokens, those that came out."""
        return self._with({**self._shape.server, self._shape.semconv.token_type: "output"})

    @cached_property
    def failing(self) -> Labelled:
        """For the conventions' metrics that tell what failed."""
        return self._with({**self._shape.server, **self._shape.failed})

    @cached_property
    def modal(self) -> Labelled:
        """For the conventions' counters by modality, which we do not know."""
        modality: Labels = {self._shape.semconv.token_modality: names.UNKNOWN_MODALITY}
        return self._with({**self._shape.server, **modality})

    def _with(self, more: Labels) -> Labelled:
        return Labelled(self._shape.instruments, {**self._labels, **more})


def _keep[K, V](known: dict[K, V], key: K, made: V) -> V:
    if len(known) >= _REMEMBERED:
        known.clear()
    known[key] = made
    return made
