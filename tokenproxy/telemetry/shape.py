"""The attributes of a call's measurements, put together once for all calls that have the same.

Imports no opentelemetry.
"""

from __future__ import annotations

from functools import cached_property

from tokenproxy.record.call import Call
from tokenproxy.record.row import Row
from tokenproxy.telemetry import attributes as tell
from tokenproxy.telemetry import semconv as names
from tokenproxy.telemetry import values
from tokenproxy.telemetry.instruments import Add, Instruments, Record
from tokenproxy.telemetry.semconv import Metric, Semconv, TokenKind
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
        self._answered: Labels = {**self.base, **self.server, **self._model}
        self._duration = semconv.inference_duration
        if operation == values.EMBEDDINGS:
            self._duration = semconv.embeddings_duration
        elif operation in values.NO_INFERENCE:
            self._duration = semconv.operation_duration
        self.infers = self._duration is semconv.inference_duration
        """Something is generated, as the dialect sees it."""
        self._shares: dict[str, ShareShape] = {}
        self._rows: dict[tuple[object, ...], Add] = {}
        self._notes: dict[str, Add] = {}

    @cached_property
    def duration(self) -> Record:
        """How long the call lasted, in seconds."""
        return self.instruments.recorder(self._duration, {**self._answered, **self.failed})

    @cached_property
    def first_chunk(self) -> Record:
        """How long until an answer's beginning, in seconds, when nothing can have failed."""
        return self.instruments.recorder(self.semconv.first_chunk, self._answered)

    def served(self, model: str | None) -> Labels:
        """The model that answered, or was billed."""
        return {self.semconv.response_model: tell.text(model)} if model else {}

    def share(self, model: str) -> ShareShape:
        """For what one model was billed."""
        found = self._shares.get(model)
        if found is None:
            found = _keep(self._shares, model, ShareShape(self, model))
        return found

    def row(self, row: Row) -> Add:
        """Counts such rows."""
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
            found = _keep(self._rows, key, self.instruments.adder(names.CALLS, labels))
        return found

    def note(self, note: str) -> Add:
        """Counts a word of rows' notes."""
        found = self._notes.get(note)
        if found is None:
            labels: Labels = {**self.base, names.NOTE: note}
            found = _keep(self._notes, note, self.instruments.adder(names.DISCREPANCIES, labels))
        return found


class ShareShape:
    """Of what one model was billed in such calls."""

    def __init__(self, shape: Shape, model: str) -> None:
        self._semconv, self._instruments = shape.semconv, shape.instruments
        self._own: Labels = {**shape.base, **shape.served(model), **shape.story}
        self._standard: Labels = {**shape.base, **shape.served(model), **shape.server}
        self._failing: Labels = {**self._standard, **shape.failed}
        self.kinds: dict[TokenKind, Add] = {}
        """Count our tokens of a kind; of those that were asked for."""

    def kind(self, kind: TokenKind) -> Add:
        """Counts our tokens of a kind."""
        labels: Labels = {**self._own, names.TOKEN_KIND: kind}
        made = self.kinds[kind] = self._instruments.adder(names.TOKENS, labels)
        return made

    @cached_property
    def reasoning(self) -> Add:
        """Counts tokens."""
        return self._instruments.adder(names.REASONING, self._own)

    @cached_property
    def cost(self) -> Add:
        """Counts 1e-9 dollars."""
        return self._instruments.adder(names.COST, self._own)

    @cached_property
    def embeddings_input(self) -> Record:
        """The conventions' tokens of embeddings."""
        return self._recorder(self._semconv.embeddings_input, self._standard)

    @cached_property
    def usage_input(self) -> Record:
        """The conventions' tokens, those that went in."""
        labels = {**self._standard, self._semconv.token_type: "input"}
        return self._recorder(self._semconv.token_usage, labels)

    @cached_property
    def usage_output(self) -> Record:
        """Those that came out."""
        labels = {**self._standard, self._semconv.token_type: "output"}
        return self._recorder(self._semconv.token_usage, labels)

    @cached_property
    def input_histogram(self) -> Record:
        """Likewise, in a metric of its own that tells what failed."""
        return self._recorder(self._semconv.input_histogram, self._failing)

    @cached_property
    def output_histogram(self) -> Record:
        """Likewise."""
        return self._recorder(self._semconv.output_histogram, self._failing)

    @cached_property
    def modal(self) -> tuple[Add, Add, Add, Add, Add] | None:
        """The conventions' counters by modality, which we do not know; None: there are none.

        Of input, output, cache reads, cache writes and reasoning.
        """
        counters = self._semconv.usage_counters
        if counters is None:
            return None
        adder = self._instruments.adder
        labels: Labels = {
            **self._standard,
            self._semconv.token_modality: names.UNKNOWN_MODALITY,
        }
        return (
            adder(counters.input, labels),
            adder(counters.output, labels),
            adder(counters.cache_read, labels),
            adder(counters.cache_write, labels),
            adder(counters.reasoning, labels),
        )

    def _recorder(self, metric: Metric | None, labels: Labels) -> Record:
        return self._instruments.recorder(metric, labels)


def _keep[K, V](known: dict[K, V], key: K, made: V) -> V:
    if len(known) >= _REMEMBERED:
        known.clear()
    known[key] = made
    return made
