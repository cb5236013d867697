"""Measurements, made so that what a backend sums over many short runs equals the ledger.

* Counters are whole numbers: tokens, calls, money in 1e-9 dollars. Whole numbers below
  2**53 add up exactly in any order, also in a backend that holds them as floats.
* ``tokenproxy.usage.tokens`` is cut into disjoint kinds; reasoning, a part of the
  output, is a metric of its own so that nobody adds it up twice.
* Attributes are few-valued: no run, call, session or turn ids; how many sets of them a
  metric has is bounded (:mod:`tokenproxy.telemetry.series`). The story is on our
  counters only, not on the histograms (a story times a model times seventeen buckets).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from tokenproxy.config import IterationEnd, RunContext
from tokenproxy.record.call import RESULTS, Call
from tokenproxy.record.row import Row
from tokenproxy.telemetry import attributes as tell
from tokenproxy.telemetry import semconv as names
from tokenproxy.telemetry import values
from tokenproxy.telemetry.counts import Share, shares
from tokenproxy.telemetry.semconv import Metric, Semconv
from tokenproxy.telemetry.series import Labels, Series
from tokenproxy.telemetry.span import SpanContext
from tokenproxy.telemetry.tree import Group, Tool

_NS = 1e9

_MAX_BOUND = 4096
"""Sets of attributes that are kept in mind. What they are told as is bounded by ``Series``."""

type _Key = tuple[str, tuple[str, ...], tuple[str | bool | int, ...]]
"""A metric's name and the attributes of a measurement, as they come."""


class Adder(Protocol):
    """A counter's point."""

    def add(self, amount: int, span: SpanContext | None) -> None:
        """Count; ``span`` is that of what is counted."""
        ...


class Recorder(Protocol):
    """A histogram's point."""

    def record(self, amount: float, span: SpanContext | None) -> None:
        """Measure; ``span`` is that of what is measured."""
        ...


class Counter(Protocol):
    """Adds up."""

    def bind(self, labels: Mapping[str, str | bool | int]) -> Adder:
        """What adds to the point with these attributes."""
        ...


class Histogram(Protocol):
    """Counts by size."""

    def bind(self, labels: Mapping[str, str | bool | int]) -> Recorder:
        """What measures into the point with these attributes."""
        ...


class Meter(Protocol):
    """Makes instruments: :class:`tokenproxy.telemetry.measures.Measures`, or the SDK."""

    def create_counter(self, name: str, unit: str = "", description: str = "") -> Counter:
        """A counter; the one that has that name, if there is one."""
        ...

    def create_histogram(
        self,
        name: str,
        unit: str = "",
        description: str = "",
        *,
        explicit_bucket_boundaries_advisory: Sequence[float] | None = None,
    ) -> Histogram:
        """A histogram; the one that has that name, if there is one."""
        ...


class Metrics:
    """The instruments of one run."""

    def __init__(
        self,
        *,
        run: RunContext,
        semconv: Semconv,
        meter: Meter,
        series: Series | None = None,
    ) -> None:
        self._semconv = semconv
        self._series = series or Series(semconv)
        self._agent = run.agent
        self._story: Labels = {names.STORY_ID: tell.text(run.story_id)} if run.story_id else {}
        self._counters: dict[str, Counter] = {}
        self._histograms: dict[str, Histogram] = {}
        self._adders: dict[_Key, Callable[[int, SpanContext | None], None]] = {}
        self._recorders: dict[_Key, Callable[[float, SpanContext | None], None]] = {}
        """What takes a measurement of these attributes."""
        for metric in semconv.metrics():
            if metric.instrument == "counter":
                self._counters[metric.name] = meter.create_counter(
                    metric.name, unit=metric.unit, description=metric.description
                )
            else:
                self._histograms[metric.name] = meter.create_histogram(
                    metric.name,
                    unit=metric.unit,
                    description=metric.description,
                    explicit_bucket_boundaries_advisory=metric.bounds,
                )

    def call(self, call: Call, row: Row | None, span: SpanContext | None) -> None:
        """Measure a call. ``span`` is its span's, for exemplars."""
        base = self._base(call, row)
        server: Labels = {}
        if call.start.server_address:
            server[names.SERVER_ADDRESS] = tell.text(call.start.server_address)
            server[names.SERVER_PORT] = call.start.server_port
        failed: Labels = {}
        error = tell.error_type(call, row)
        if error is not None:
            failed[names.ERROR_TYPE] = tell.text(error)
        model = self._model(call.end.reading.model)
        if row is None or call.start.kind not in RESULTS:
            # Answers that were fetched have the download's time, not their own.
            self._durations(call, row, {**base, **server, **model}, failed, span)
        if row is None:
            return
        for share in shares(row):
            labels = {**base, **self._model(share.model)}
            self._own(share, {**labels, **self._story}, span)
            self._standard(row, share, {**labels, **server}, failed, span)
        known: Labels = {}
        if row.completeness != "none":
            known[names.COST_KNOWN] = row.spent_usd is not None
        self._add(
            names.CALLS,
            1,
            {
                **base,
                **model,
                **self._story,
                **failed,
                **known,
                names.OUTCOME: row.outcome,
                names.COMPLETENESS: row.completeness,
                names.FALLBACK_USED: row.fallback_used,
                names.RETRY: row.retry_of is not None or bool(row.attempt),
            },
            span,
        )
        for note in dict.fromkeys(note.partition(":")[0] for note in row.notes or ()):
            self._add(names.DISCREPANCIES, 1, {**base, names.NOTE: note}, span)

    def passed(self, provider: str, server_address: str) -> None:
        """Count a request that went by unread."""
        labels: Labels = {
            self._semconv.provider: names.provider_name(provider),
            names.SERVER_ADDRESS: tell.text(server_address),
        }
        self._add(names.PASSED, 1, labels, None)

    def iteration(
        self, iteration: Group, end: IterationEnd | None, span: SpanContext | None
    ) -> None:
        """Count the run, and measure it if somebody saw its end (``end`` is not None).

        Its outcome is one of the ledger's words: ``complete`` if the command exited with 0,
        ``error`` if not, ``lost`` if nobody knows.
        """
        labels: Labels = {}
        if iteration.name:
            labels[self._semconv.agent_name] = tell.text(iteration.name)
        if end is None:
            labels[names.OUTCOME] = "lost"
        elif end.exit_status:
            labels |= {names.OUTCOME: "error", names.ERROR_TYPE: str(end.exit_status)}
        else:
            labels[names.OUTCOME] = "complete"
        self._add(names.ITERATIONS, 1, {**labels, **self._story}, span)
        if end is not None:
            seconds = max(end.ended_ns - iteration.start_ns, 0) / _NS
            self._record(names.ITERATION_DURATION, seconds, labels, span)

    def group(self, group: Group, span: SpanContext | None, *, failed: str | None = None) -> None:
        """Measure how long an agent worked, where the dialect has a metric for it."""
        labels: Labels = {}
        if group.name:
            labels[self._semconv.agent_name] = tell.text(group.name)
        if failed is not None:
            labels[names.ERROR_TYPE] = failed
        seconds = (group.end_ns - group.start_ns) / _NS
        self._record(self._semconv.agent_duration, seconds, labels, span)

    def tool(self, tool: Tool, span: SpanContext | None) -> None:
        """Measure how long a tool ran, where the dialect has a metric for it."""
        labels: Labels = {
            self._semconv.tool_name: tell.text(tool.name),
            self._semconv.tool_type: names.FUNCTION_TOOL,
        }
        agent = tool.who.agent_type if tool.who.agent_id else self._agent
        if agent:
            labels[self._semconv.agent_name] = tell.text(agent)
        if tool.failed:
            labels[names.ERROR_TYPE] = names.TOOL_ERROR
        seconds = (tool.end_ns - tool.start_ns) / _NS
        self._record(self._semconv.tool_duration, seconds, labels, span)

    def _base(self, call: Call, row: Row | None) -> Labels:
        labels: Labels = {
            self._semconv.operation: values.operation_name(call.start, row),
            self._semconv.provider: names.provider_name(call.start.provider),
        }
        if call.request.model:
            labels[self._semconv.request_model] = tell.text(call.request.model)
        return labels

    def _model(self, model: str | None) -> Labels:
        return {self._semconv.response_model: tell.text(model)} if model else {}

    def _durations(
        self, call: Call, row: Row | None, labels: Labels, failed: Labels, span: SpanContext | None
    ) -> None:
        start, end, semconv = call.start, call.end, self._semconv
        duration = semconv.inference_duration
        operation = values.operation_name(start, row)
        if operation == values.EMBEDDINGS:
            duration = semconv.embeddings_duration
        elif operation in values.NO_INFERENCE:
            duration = semconv.operation_duration
        seconds = max(end.ended_ns - start.started_ns, 0) / _NS
        self._record(duration, seconds, {**labels, **failed}, span)
        if duration is not semconv.inference_duration or row is None or row.ttft_ms is None:
            return
        if tell.streamed(call, row):
            self._record(semconv.first_chunk, row.ttft_ms / 1000, labels, span)

    def _own(self, share: Share, labels: Labels, span: SpanContext | None) -> None:
        for kind, count in share.kinds.items():
            self._add(names.TOKENS, count, {**labels, names.TOKEN_KIND: kind}, span)
        if share.reasoning is not None:
            self._add(names.REASONING, share.reasoning, labels, span)
        if share.cost_nanos:
            self._add(names.COST, share.cost_nanos, labels, span)

    def _standard(
        self, row: Row, share: Share, labels: Labels, failed: Labels, span: SpanContext | None
    ) -> None:
        """The conventions' token metrics. Output of a cut response is not final: not told."""
        semconv = self._semconv
        if row.operation in values.NO_INFERENCE and semconv.embeddings_input is not None:
            if row.operation == values.EMBEDDINGS and share.input_tokens is not None:
                self._record(semconv.embeddings_input, share.input_tokens, labels, span)
            return
        output = share.output_tokens if row.completeness == "final" else None
        for kind, count in (("input", share.input_tokens), ("output", output)):
            if count is not None:
                typed = {**labels, semconv.token_type: kind}
                self._record(semconv.token_usage, count, typed, span)
        # genai-main wants a 0 where nothing was received.
        self._record(semconv.input_histogram, share.input_tokens or 0, {**labels, **failed}, span)
        self._record(semconv.output_histogram, output or 0, {**labels, **failed}, span)
        counters = semconv.usage_counters
        if counters is None:
            return
        labels = {**labels, semconv.token_modality: names.UNKNOWN_MODALITY}
        self._add(counters.input, share.input_tokens or 0, labels, span)
        self._add(counters.output, output or 0, labels, span)
        self._add(counters.cache_read, share.cache_read or 0, labels, span)
        self._add(counters.cache_write, share.cache_write or 0, labels, span)
        reasoning = share.reasoning if row.completeness == "final" else None
        self._add(counters.reasoning, reasoning or 0, labels, span)

    def _add(self, metric: Metric, amount: int, labels: Labels, span: SpanContext | None) -> None:
        key = metric.name, tuple(labels), tuple(labels.values())
        add = self._adders.get(key)
        if add is None:
            add = _keep(self._adders, key, self._adder(metric.name, labels))
        add(amount, span)

    def _record(
        self, metric: Metric | None, amount: float, labels: Labels, span: SpanContext | None
    ) -> None:
        if metric is None:
            return
        key = metric.name, tuple(labels), tuple(labels.values())
        record = self._recorders.get(key)
        if record is None:
            record = _keep(self._recorders, key, self._recorder(metric.name, labels))
        record(amount, span)

    def _adder(self, name: str, labels: Labels) -> Callable[[int, SpanContext | None], None]:
        return self._counters[name].bind(self._series.bounded(name, labels)).add

    def _recorder(self, name: str, labels: Labels) -> Callable[[float, SpanContext | None], None]:
        return self._histograms[name].bind(self._series.bounded(name, labels)).record


def _keep[F](known: dict[_Key, F], key: _Key, taker: F) -> F:
    if len(known) >= _MAX_BOUND:
        known.clear()
    known[key] = taker
    return taker
