"""Measurements, made so that what a backend sums over many short runs equals the ledger.

* Counters are whole numbers: tokens, calls, money in 1e-9 dollars. Whole numbers below
  2**53 add up exactly in any order, also in a backend that holds them as floats.
* ``tokenproxy.usage.tokens`` is cut into disjoint kinds; reasoning, a part of the
  output, is a metric of its own so that nobody adds it up twice.
* Attributes are few-valued: no run, call, session or turn ids; how many sets of them a
  metric has is bounded (:mod:`tokenproxy.telemetry.series`). The story is on our
  counters only, not on the histograms (a story times a model times seventeen buckets).

Imports no opentelemetry.
"""

from __future__ import annotations

from tokenproxy.config import IterationEnd, RunContext
from tokenproxy.record.call import RESULTS, Call
from tokenproxy.record.row import Row
from tokenproxy.telemetry import attributes as tell
from tokenproxy.telemetry import semconv as names
from tokenproxy.telemetry import values
from tokenproxy.telemetry.counts import Share, shares
from tokenproxy.telemetry.instruments import Instruments, Meter
from tokenproxy.telemetry.measured import Seen, seen
from tokenproxy.telemetry.semconv import Semconv
from tokenproxy.telemetry.series import Labels, Series
from tokenproxy.telemetry.shape import Shape, ShareShape
from tokenproxy.telemetry.span import SpanContext
from tokenproxy.telemetry.tree import Group, Tool

_NS = 1e9

_REMEMBERED = 1024
"""Shapes of calls that are kept in mind. What they are told as is bounded by ``Series``."""


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
        self._agent = run.agent
        self._story: Labels = {names.STORY_ID: tell.text(run.story_id)} if run.story_id else {}
        self._instruments = Instruments(semconv, meter, series or Series(semconv))
        self._shapes: dict[tuple[object, ...], Shape] = {}

    def call(self, call: Call, row: Row | None, span: SpanContext | None) -> None:
        """Measure a call. ``span`` is its span's, for exemplars."""
        shape, where = self._shape(call, row), seen(span)
        if row is None or call.start.kind not in RESULTS:
            # Answers that were fetched have the download's time, not their own.
            self._durations(call, row, shape, where)
        if row is None:
            return
        for share in shares(row):
            of_share = shape.share(share.model)
            self._own(share, of_share, where)
            self._standard(row, share, of_share, where)
        shape.row(row)(1, where)
        if row.notes:
            for note in dict.fromkeys(note.partition(":")[0] for note in row.notes):
                shape.note(note)(1, where)

    def passed(self, provider: str, server_address: str) -> None:
        """Count a request that went by unread."""
        labels: Labels = {
            self._semconv.provider: names.provider_name(provider),
            names.SERVER_ADDRESS: tell.text(server_address),
        }
        self._instruments.adder(names.PASSED, labels)(1, None)

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
        self._instruments.adder(names.ITERATIONS, {**labels, **self._story})(1, seen(span))
        if end is not None:
            seconds = max(end.ended_ns - iteration.start_ns, 0) / _NS
            self._instruments.recorder(names.ITERATION_DURATION, labels)(seconds, seen(span))

    def group(self, group: Group, span: SpanContext | None, *, failed: str | None = None) -> None:
        """Measure how long an agent worked, where the dialect has a metric for it."""
        labels: Labels = {}
        if group.name:
            labels[self._semconv.agent_name] = tell.text(group.name)
        if failed is not None:
            labels[names.ERROR_TYPE] = failed
        seconds = (group.end_ns - group.start_ns) / _NS
        self._instruments.recorder(self._semconv.agent_duration, labels)(seconds, seen(span))

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
        self._instruments.recorder(self._semconv.tool_duration, labels)(seconds, seen(span))

    def _shape(self, call: Call, row: Row | None) -> Shape:
        """What the call's attributes are; the same object for calls that have the same."""
        start = call.start
        operation = values.operation_name(start, row)
        error = tell.error_type(call, row)
        asked, answered = call.request.model, call.end.reading.model
        key = (
            operation, start.provider, asked, answered, start.server_address, start.server_port,
            error,
        )  # fmt: skip
        shape = self._shapes.get(key)
        if shape is None:
            if len(self._shapes) >= _REMEMBERED:
                self._shapes.clear()
            shape = self._shapes[key] = Shape(
                self._instruments,
                self._semconv,
                self._story,
                call,
                operation=operation,
                error=error,
            )
        return shape

    def _durations(self, call: Call, row: Row | None, shape: Shape, where: Seen | None) -> None:
        lasted_ns = max(call.end.ended_ns - call.start.started_ns, 0)
        shape.duration(lasted_ns / _NS, where)
        if row is None or row.ttft_ms is None or not shape.infers:
            return
        if tell.streamed(call, row):
            shape.first_chunk(row.ttft_ms / 1000, where)

    def _own(self, share: Share, shape: ShareShape, where: Seen | None) -> None:
        for kind, count in share.kinds.items():
            (shape.kinds.get(kind) or shape.kind(kind))(count, where)
        if share.reasoning is not None:
            shape.reasoning(share.reasoning, where)
        if share.cost_nanos:
            shape.cost(share.cost_nanos, where)

    def _standard(self, row: Row, share: Share, shape: ShareShape, where: Seen | None) -> None:
        """The conventions' token metrics. Output of a cut response is not final: not told."""
        semconv = self._semconv
        if semconv.embeddings_input is not None and row.operation in values.NO_INFERENCE:
            if row.operation == values.EMBEDDINGS and share.input_tokens is not None:
                shape.embeddings_input(share.input_tokens, where)
            return
        output = share.output_tokens if row.completeness == "final" else None
        if semconv.token_usage is not None:
            if share.input_tokens is not None:
                shape.usage_input(share.input_tokens, where)
            if output is not None:
                shape.usage_output(output, where)
        # genai-main wants a 0 where nothing was received.
        if semconv.input_histogram is not None:
            shape.input_histogram(share.input_tokens or 0, where)
        if semconv.output_histogram is not None:
            shape.output_histogram(output or 0, where)
        if shape.modal is not None:
            reasoning = share.reasoning if row.completeness == "final" else None
            counts = (
                share.input_tokens, output, share.cache_read, share.cache_write, reasoning,
            )  # fmt: skip
            for add, count in zip(shape.modal, counts, strict=True):
                add(count or 0, where)
