"""What is shipped, against what the live pipeline tells of the same scene."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pytest
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.telemetry import scene
from tests.telemetry.memory import Memory, hex_id, parent_id
from tokenproxy.ids import derived_trace_id, iteration_span_id
from tokenproxy.record.make_row import timestamp
from tokenproxy.record.row import Row
from tokenproxy.telemetry import semconv as names
from tokenproxy.telemetry.outlet import NotDeliveredError
from tokenproxy.telemetry.restored import started_ns
from tokenproxy.telemetry.sdk.outlet import SdkOutlet
from tokenproxy.telemetry.ship import BATCH_SPANS, Entry, Shipment

RUN = msgspec.structs.replace(scene.RUN, span_id=iteration_span_id(scene.TRACE, scene.RUN.run_id))
ROWS = [row for call in scene.calls() if (row := scene.row_of(call, RUN)) is not None]
COUNTERS = (names.TOKENS, names.REASONING, names.COST, names.CALLS, names.DISCREPANCIES)


class Spans(InMemorySpanExporter):
    """Keeps batches; refuses from a given one on."""

    def __init__(self, refuse_from: int | None = None) -> None:
        super().__init__()
        self.batches: list[int] = []
        self.refuse_from = refuse_from

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self.refuse_from is not None and len(self.batches) >= self.refuse_from:
            return SpanExportResult.FAILURE
        self.batches.append(len(spans))
        return super().export(spans)


class Points(MetricExporter):
    """Keeps all points as ``(metric, attributes, time) -> value``; None refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[tuple[str, frozenset[Any], int], Any] = {}
        self.times: list[tuple[int, int]] = []
        self.requests = 0

    def export(self, metrics_data: MetricsData, *_: Any, **__: Any) -> MetricExportResult:
        self.requests += 1
        for resource in metrics_data.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.data.data_points:
                        self._take(metric.name, point)
        return MetricExportResult.SUCCESS

    def _take(self, metric: str, point: Any) -> None:
        key = metric, frozenset(point.attributes.items()), point.time_unix_nano
        assert key not in self.found, "two samples of one series at one time"
        self.found[key] = point.value if hasattr(point, "value") else (point.count, point.sum)
        self.times.append((point.start_time_unix_nano, point.time_unix_nano))

    def shutdown(self, *_: Any, **__: Any) -> None: ...

    def force_flush(self, *_: Any, **__: Any) -> bool:
        return True


def entries(rows: Iterable[Row]) -> list[Entry]:
    """As a ledger hands them out."""
    ordered = sorted(rows, key=lambda row: (row.timestamp, row.call_id))
    last = {(row.run_id, row.trace_id): row.call_id for row in ordered}
    return [Entry(row, last=last[row.run_id, row.trace_id] == row.call_id) for row in ordered]


def to(
    spans: Spans | None = None, points: Points | None = None, env: dict[str, str] | None = None
) -> SdkOutlet:
    return SdkOutlet(
        env or {},
        "me",
        names.choose(env or {}),
        spans=(spans,) if spans else (),
        metrics=(points,) if points else (),
    )


def shipped(told: Iterable[Entry], env: dict[str, str] | None = None) -> list[ReadableSpan]:
    exporter = Spans()
    Shipment(env or {}, to(exporter, env=env)).send(told)
    return list(exporter.get_finished_spans())


def by_id(spans: Iterable[ReadableSpan]) -> dict[str, ReadableSpan]:
    return {hex_id(span): span for span in spans}


def role(span: ReadableSpan) -> object:
    assert span.attributes is not None
    return span.attributes[names.NODE]


def test_the_tree_is_the_live_one_without_its_tools() -> None:
    live = by_id(Memory(run=RUN).play(scene.calls()).spans)
    again = by_id(shipped(entries(ROWS)))
    without_rows = {"tool"} | {"count_tokens"}
    expected = {
        span_id
        for span_id, span in live.items()
        if role(span) not in without_rows and "count_tokens" not in span.name
    }
    assert again.keys() == expected
    for span_id, span in again.items():
        if span_id != RUN.span_id:  # what the run was a part of is in no row
            assert parent_id(span) == parent_id(live[span_id]), span.name
    root = again[RUN.span_id]
    assert root.parent is None
    assert root.start_time == min(span.start_time or 0 for span in again.values())
    assert root.end_time == max(span.end_time or 0 for span in again.values())


def test_a_retry_is_linked_to_what_it_repeats() -> None:
    (retry,) = [s for s in shipped(entries(ROWS)) if s.links]
    (link,) = retry.links
    assert f"{link.context.span_id:016x}" == scene.call_span(4)
    assert hex_id(retry) == scene.call_span(5)


def test_turns_and_iterations_are_sums_over_all_and_sent_once() -> None:
    whole = by_id(shipped(entries(ROWS)))
    for cut in range(1, len(ROWS)):
        told = entries(ROWS)
        first = [msgspec.structs.replace(one, wanted=i < cut) for i, one in enumerate(told)]
        rest = [msgspec.structs.replace(one, wanted=i >= cut) for i, one in enumerate(told)]
        halves = [by_id(shipped(first)), by_id(shipped(rest))]
        assert not halves[0].keys() & halves[1].keys()
        together = halves[0] | halves[1]
        assert {k: v.to_json() for k, v in together.items()} == {
            k: v.to_json() for k, v in whole.items()
        }


def test_a_turn_of_serve_is_a_trace_of_its_own() -> None:
    trace = derived_trace_id("turn", scene.TURN)
    rows = [
        msgspec.structs.replace(row, story_id="", iteration=0, project=None, trace_id=trace)
        for row in ROWS
        if row.turn_id == scene.TURN
    ]
    found = shipped(entries(rows))
    (root,) = [span for span in found if span.parent is None]
    assert role(root) == "turn"
    assert names.ITERATION not in (root.attributes or {})


def test_the_sampler_is_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    exporter = Spans()
    done = Shipment({}, to(exporter)).send(entries(ROWS))
    assert (done.rows, done.spans) == (len(ROWS), 0)
    assert not exporter.get_finished_spans()


# -- batches ---------------------------------------------------------------------------


def many(count: int) -> list[Row]:
    """Calls of one run, each a second after the one before."""
    row = ROWS[0]
    return [
        msgspec.structs.replace(
            row,
            call_id=f"01890000-0000-7000-8000-{number:012d}",
            span_id=f"{number + 1:016x}",
            turn_id=None,
            timestamp=timestamp(scene.T0 + number * 1_000_000_000),
        )
        for number in range(count)
    ]


def test_batches_are_bounded() -> None:
    exporter = Spans()
    done = Shipment({}, to(exporter)).send(entries(many(2000)))
    assert exporter.batches == [BATCH_SPANS, BATCH_SPANS, BATCH_SPANS, 2000 - 3 * BATCH_SPANS + 1]
    assert (done.rows, done.spans, done.resume_at) == (2000, 2001, None)


def test_a_batch_that_does_not_arrive_ends_it_and_says_where() -> None:
    exporter = Spans(refuse_from=2)
    told = entries(many(2000))
    shipment = Shipment({}, to(exporter))
    with pytest.raises(NotDeliveredError):
        shipment.send(told)
    assert shipment.shipped.rows == 2 * BATCH_SPANS
    at = shipment.shipped.resume_at
    assert at == told[2 * BATCH_SPANS].row.timestamp

    # Continued from there every row has arrived, each once.
    rest = [msgspec.structs.replace(one, wanted=one.row.timestamp >= at) for one in told]
    exporter.refuse_from = None
    Shipment({}, to(exporter)).send(rest)
    ids = Counter(hex_id(span) for span in exporter.get_finished_spans())
    assert set(ids.values()) == {1}
    assert len(ids) == 2001


def test_a_run_whose_last_row_cannot_be_sent_is_told_all_the_same() -> None:
    cut = [msgspec.structs.replace(one, last=False) for one in entries(ROWS)]
    assert by_id(shipped(cut)).keys() == by_id(shipped(entries(ROWS))).keys()


# -- measurements ----------------------------------------------------------------------


def measured(told: Iterable[Entry], env: dict[str, str] | None = None) -> Points:
    points = Points()
    Shipment(env or {}, to(points=points, env=env)).send(told)
    return points


def test_the_sums_are_the_live_ones() -> None:
    live = Memory(run=RUN).play(scene.calls())
    again = measured(entries(ROWS))
    for metric in COUNTERS:
        total = sum(value for (name, *_), value in again.found.items() if name == metric.name)
        assert total == live.total(metric.name), metric.name
    assert sum(v for (n, *_), v in again.found.items() if n == names.CALLS.name) == len(ROWS)


def test_a_sample_has_the_time_of_its_calls() -> None:
    found = measured(entries(ROWS))
    assert set(found.times) == {(time - 1_000_000, time) for time in map(started_ns, ROWS)}


def test_what_is_sent_twice_is_the_same_sample() -> None:
    """However the ledger is cut: by time, and with many calls in one millisecond."""
    apart = many(900)
    crowded = [
        msgspec.structs.replace(row, timestamp=apart[number // 300].timestamp)
        for number, row in enumerate(apart)
    ]
    told = entries(crowded)
    whole = measured(told)
    middle = crowded[300].timestamp
    halves = [
        measured(
            [
                msgspec.structs.replace(one, wanted=(one.row.timestamp < middle) is early)
                for one in told
            ]
        )
        for early in (True, False)
    ]
    assert halves[0].found | halves[1].found == whole.found
    assert sum(v for (n, *_), v in whole.found.items() if n == names.CALLS.name) == 900


def test_spans_of_one_millisecond_are_still_bounded() -> None:
    crowded = [
        msgspec.structs.replace(row, timestamp="2026-11-22T00:00:00.000Z") for row in many(1500)
    ]
    exporter, points = Spans(), Points()
    Shipment({}, to(exporter, points)).send(entries(crowded))
    assert max(exporter.batches) <= BATCH_SPANS + 1
    assert points.requests == 1


def test_nothing_is_measured_of_a_run_or_its_groups() -> None:
    env = {"OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental"}
    found = {name for name, *_ in measured(entries(ROWS), env).found}
    assert "gen_ai.client.inference.duration" in found
    assert not {"gen_ai.invoke_agent.duration", "tokenproxy.iterations"} & found
