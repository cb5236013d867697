"""Our own sums and histograms, held to the SDK's."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.context import Context
from opentelemetry.metrics import Meter
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    InMemoryMetricReader,
    MetricExporter,
    MetricExportResult,
    MetricsData,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import set_span_in_context

from tests.telemetry import scene
from tokenproxy.telemetry import exporters, periodic
from tokenproxy.telemetry.measures import Measures
from tokenproxy.telemetry.metrics import Metrics
from tokenproxy.telemetry.periodic import PeriodicMeasures
from tokenproxy.telemetry.semconv import GENAI_MAIN, SCOPE, V1_41, Semconv
from tokenproxy.telemetry.series import Series

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
        self.theirs: Meter = provider.get_meter(SCOPE, "1", "https://schema")
        self.ours = Measures(
            RESOURCE,
            InstrumentationScope(SCOPE, "1", "https://schema"),
            counters=temporality,
            histograms=temporality,
        )

    def same(self) -> int:
        """Collect from both and compare; how many points there were."""
        ours, theirs = plain(self.ours.collect()), plain(self.reader.get_metrics_data())
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


def context(*, sampled: bool) -> Context:
    tracer = TracerProvider(sampler=ALWAYS_ON if sampled else ALWAYS_OFF).get_tracer("t")
    return set_span_in_context(tracer.start_span("s"), Context())


CONTEXTS = (None, Context(), context(sampled=True), context(sampled=False))
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
    counters = [meter.create_counter("c", "1", "says") for meter in (both.theirs, both.ours)]
    histograms = [
        meter.create_histogram("h", "s", "says", explicit_bucket_boundaries_advisory=BOUNDS)
        for meter in (both.theirs, both.ours)
    ]
    for measurements in rounds:
        for kind, amount, labels, number in measurements:
            if kind == "counter":
                counters[0].add(amount, labels, CONTEXTS[number])  # type: ignore[union-attr]
                counters[1].bind(labels).add(amount, CONTEXTS[number])  # type: ignore[union-attr]
            else:
                value = amount / 2
                histograms[0].record(value, labels, CONTEXTS[number])  # type: ignore[union-attr]
                histograms[1].bind(labels).record(value, CONTEXTS[number])  # type: ignore[union-attr]
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
        for meter in (both.theirs, both.ours)
    ]
    told = 0
    for repeat in range(2):
        for call in scene.calls():
            # another model, so that what is kept in mind of attributes must not be mixed up
            request = msgspec.structs.replace(call.request, model=f"model-{repeat}")
            other = msgspec.structs.replace(call, request=request)
            for metrics in several:
                metrics.call(other, scene.row_of(call), CONTEXTS[2])
        for metrics in several:
            metrics.passed("openai", "api.openai.com")
        told += both.same()
    assert told > 20


def test_exemplars_are_the_last_of_each_bucket_whose_span_was_sampled() -> None:
    both = Both(DELTA)
    bound = both.ours.create_histogram("h", explicit_bucket_boundaries_advisory=BOUNDS).bind({})
    one, two = context(sampled=True), context(sampled=True)
    for value, where in ((0.1, one), (0.2, two), (0.3, CONTEXTS[3]), (5.0, one)):
        bound.record(value, where)
    data = both.ours.collect()
    assert data is not None
    point: Any = data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points[0]
    assert [(each.value, each.span_id) for each in point.exemplars] == [
        (0.2, span_id(two)),
        (5.0, span_id(one)),
    ]


def span_id(where: Context) -> int:
    from opentelemetry.trace import get_current_span

    return get_current_span(where).get_span_context().span_id


def test_a_name_is_one_instrument() -> None:
    measures = Both(DELTA).ours
    assert measures.create_counter("c") is measures.create_counter("c")
    with pytest.raises(TypeError):
        measures.create_histogram("c")
    measures.create_histogram("h")
    with pytest.raises(TypeError):
        measures.create_counter("h")


class Taker(MetricExporter):
    """An exporter that keeps what it is given, or fails."""

    def __init__(self, *, fails: bool = False) -> None:
        super().__init__()
        self.taken: list[MetricsData] = []
        self.timeouts: list[float] = []
        self.over = 0
        self._fails = fails

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_: Any
    ) -> MetricExportResult:
        self.taken.append(metrics_data)
        self.timeouts.append(timeout_millis)
        if self._fails:
            raise OSError
        return MetricExportResult.SUCCESS

    def shutdown(self, timeout_millis: float = 30_000, **_: Any) -> None:
        self.over += timeout_millis > 0

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return timeout_millis > 0


@pytest.mark.parametrize("fails", [False, True])
def test_the_end_exports_what_is_left_once(*, fails: bool) -> None:
    taker = Taker(fails=fails)
    measures = PeriodicMeasures({}, taker, RESOURCE)
    counter = measures.get_meter(SCOPE, "1", None).create_counter("c").bind({})
    assert measures.get_meter(SCOPE, "1", None) is measures.get_meter(SCOPE, "1", None)
    counter.add(3, None)
    measures.shutdown()
    measures.shutdown()
    assert (len(taker.taken), taker.over, taker.timeouts) == (1, 1, [30_000.0])


def test_what_measured_nothing_exports_nothing() -> None:
    for prepare in (lambda _: None, lambda measures: measures.get_meter(SCOPE, "1", None)):
        taker = Taker()
        measures = PeriodicMeasures({}, taker, RESOURCE)
        act: Callable[[PeriodicMeasures], object] = prepare
        act(measures)
        measures.shutdown()
        assert taker.taken == []


@pytest.mark.parametrize("value", ["", "nonsense", "0", "-5", "nan", "inf", "1e300"])
def test_an_interval_that_is_none_is_the_usual(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", value)
    measures = PeriodicMeasures({}, Taker(), RESOURCE)
    assert measures._interval_s == 60
    measures.shutdown()


@pytest.mark.parametrize(
    ("aggregation", "exemplars", "ours"),
    [
        ("", "", True),
        (" Explicit_Bucket_Histogram", "TRACE_based", True),
        ("base2_exponential_bucket_histogram", "", False),
        ("", "always_on", False),
        ("", "always_off", False),
    ],
)
def test_what_only_the_sdk_can_do_is_left_to_it(
    aggregation: str, exemplars: str, ours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_METRICS_EXEMPLAR_FILTER", exemplars)
    variable = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"
    assert periodic.fits({variable: aggregation}) is ours


def test_the_temporality_is_the_users() -> None:
    env = {"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "cumulative"}
    measures = PeriodicMeasures(env, Taker(), RESOURCE)
    meter = measures.get_meter(SCOPE, "1", None)
    assert (meter.counters, meter.histograms) == (CUMULATIVE, CUMULATIVE)
    measures.shutdown()
    assert exporters.temporality({})[Counter] is DELTA
