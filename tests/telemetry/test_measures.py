"""Our own sums and histograms, held to the SDK's."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    InMemoryMetricReader,
    MetricsData,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from tests.telemetry import scene
from tokenproxy import __version__
from tokenproxy.telemetry.instruments import Meter
from tokenproxy.telemetry.measured import seen
from tokenproxy.telemetry.measures import Measures
from tokenproxy.telemetry.metrics import Metrics
from tokenproxy.telemetry.sdk.measured import metrics_data
from tokenproxy.telemetry.sdk.meter import SdkMeter
from tokenproxy.telemetry.semconv import GENAI_MAIN, SCOPE, V1_41, Semconv
from tokenproxy.telemetry.series import Series
from tokenproxy.telemetry.span import SpanContext

DELTA, CUMULATIVE = AggregationTemporality.DELTA, AggregationTemporality.CUMULATIVE
RESOURCE = Resource({"service.name": "tokenproxy"})
TEMPORALITY = pytest.mark.parametrize("temporality", [DELTA, CUMULATIVE])


class Both:
    """The same instruments of the SDK and of ours."""

    def __init__(self, temporality: AggregationTemporality) -> None:
        self.reader = InMemoryMetricReader(
            preferred_temporality={Counter: temporality, Histogram: temporality}
        )
        provider = MeterProvider([self.reader], resource=RESOURCE, shutdown_on_exit=False)
        self.ours = Measures(delta=temporality is DELTA)
        self.meters: tuple[Meter, Meter] = SdkMeter(provider, V1_41), self.ours

    def same(self) -> int:
        """Collect from both and compare; how many points there were."""
        scope = InstrumentationScope(SCOPE, __version__, V1_41.schema_url)
        found = self.ours.collect()
        data = metrics_data(found, RESOURCE, scope) if found else None
        ours, theirs = plain(data), plain(self.reader.get_metrics_data())
        assert ours == theirs
        return sum(len(points) for points in ours.values())


def plain(data: MetricsData | None) -> dict[tuple[Any, ...], list[Any]]:
    """Without times, in which two can only differ, and exemplars, some of which are chosen."""
    found: dict[tuple[Any, ...], list[Any]] = {}
    for resource in data.resource_metrics if data is not None else ():
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                data_of: Any = metric.data
                fields = dataclasses.asdict(dataclasses.replace(data_of, data_points=[]))
                key = (
                    resource.resource, resource.schema_url, scope.scope, scope.schema_url,
                    metric.name, metric.unit, metric.description,
                    type(metric.data).__name__, *fields.items(),
                )  # fmt: skip
                key = tuple(map(repr, key))
                for point in data_of.data_points:
                    assert 0 < point.start_time_unix_nano <= point.time_unix_nano
                    bare = dataclasses.replace(
                        point, start_time_unix_nano=0, time_unix_nano=0, exemplars=[]
                    )
                    found.setdefault(key, []).append(
                        (sorted(point.attributes.items()), bare, bool(point.exemplars))
                    )
    return {key: sorted(points, key=repr) for key, points in found.items()}


def context(number: int, *, sampled: bool) -> SpanContext:
    return SpanContext("a" * 32, f"{number:016x}", int(sampled))


CONTEXTS = (None, context(1, sampled=True), context(2, sampled=False))
LABELS = st.sampled_from([{}, {"a": "x"}, {"a": "y"}, {"a": "x", "b": True}, {"b": 7, "a": "x"}])
BOUNDS = (0.5, 1.0, 10.0)
MEASUREMENT = st.tuples(
    st.sampled_from(["counter", "histogram"]),
    st.integers(0, 20),
    LABELS,
    st.sampled_from(range(len(CONTEXTS))),
)


@TEMPORALITY
@given(rounds=st.lists(st.lists(MEASUREMENT, max_size=12), max_size=4))
def test_any_measurements_come_to_the_same(
    temporality: AggregationTemporality, rounds: list[list[Any]]
) -> None:
    both = Both(temporality)
    counters = [meter.create_counter("c", "1", "says") for meter in both.meters]
    histograms = [
        meter.create_histogram("h", "s", "says", explicit_bucket_boundaries_advisory=BOUNDS)
        for meter in both.meters
    ]
    for measurements in rounds:
        for kind, amount, labels, number in measurements:
            if kind == "counter":
                for counter in counters:
                    counter.bind(labels).add(amount, seen(CONTEXTS[number]))
            else:
                for histogram in histograms:
                    histogram.bind(labels).record(amount / 2, seen(CONTEXTS[number]))
        both.same()


@TEMPORALITY
@pytest.mark.parametrize("dialect", [V1_41, GENAI_MAIN])
@pytest.mark.parametrize("limit", [1000, 2])
def test_a_run_is_measured_the_same(
    temporality: AggregationTemporality, dialect: Semconv, limit: int
) -> None:
    both = Both(temporality)
    several = [
        Metrics(
            run=scene.RUN,
            semconv=dialect,
            meter=meter,
            series=Series(dialect, limit=limit, providers=1),
        )
        for meter in both.meters
    ]
    told = 0
    for repeat in range(2):
        for call in scene.calls():
            # another model, so that what is kept in mind of attributes must not be mixed up
            request = msgspec.structs.replace(call.request, model=f"model-{repeat}")
            other = msgspec.structs.replace(call, request=request)
            for metrics in several:
                metrics.call(other, scene.row_of(call), CONTEXTS[1])
        for metrics in several:
            metrics.passed("openai", "api.openai.com")
        told += both.same()
    assert told > 20


def test_exemplars_are_the_last_of_each_bucket_whose_span_was_sampled() -> None:
    both = Both(DELTA)
    bound = both.ours.create_histogram("h", explicit_bucket_boundaries_advisory=BOUNDS).bind({})
    one, two = context(1, sampled=True), context(2, sampled=True)
    for value, where in ((0.1, one), (0.2, two), (0.3, CONTEXTS[2]), (5.0, one)):
        bound.record(value, seen(where))
    (metric,) = both.ours.collect()
    (point,) = metric.points
    assert [(each.value, each.span_id) for each in point.exemplars] == [
        (0.2, two.span_id),
        (5.0, one.span_id),
    ]


def test_a_name_is_one_instrument() -> None:
    measures = Both(DELTA).ours
    assert measures.create_counter("c") is measures.create_counter("c")
    with pytest.raises(TypeError):
        measures.create_histogram("c")
    measures.create_histogram("h")
    with pytest.raises(TypeError):
        measures.create_counter("h")


@pytest.mark.parametrize("delta", [True, False])
def test_a_clock_that_is_set_back_makes_no_point_that_is_not_later_than_the_last(
    delta: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 10**18
    monkeypatch.setattr("time.time_ns", lambda: now)
    measures = Measures(delta=delta)
    told = []
    for now in (10**18 + 5 * 10**9, 10**18 - 3600 * 10**9, 10**18 - 3599 * 10**9):
        measures.create_counter("a").bind({}).add(1, None)
        measures.create_counter(f"b{now}").bind({}).add(1, None)
        told.append([point for metric in measures.collect() for point in metric.points])
    ends = [points[0].end_ns for points in told]
    assert ends == sorted(set(ends))
    assert all(point.start_ns <= point.end_ns for points in told for point in points)
