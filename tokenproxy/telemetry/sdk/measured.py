"""What we measured, in the SDK's data types, for its exporters."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from tokenproxy.telemetry import measured


def metrics_data(
    found: Sequence[measured.Metric], resource: Resource, scope: InstrumentationScope
) -> MetricsData:
    """All of one scope."""
    metrics = [
        Metric(metric.name, metric.description, metric.unit, _data(metric)) for metric in found
    ]
    scoped = ScopeMetrics(scope, metrics, scope.schema_url or "")
    return MetricsData([ResourceMetrics(resource, [scoped], resource.schema_url)])


def _data(metric: measured.Metric) -> Sum | Histogram:
    kind = AggregationTemporality.DELTA if metric.delta else AggregationTemporality.CUMULATIVE
    totals = [_total(point) for point in metric.points if isinstance(point, measured.Total)]
    if totals:
        return Sum(totals, kind, is_monotonic=True)
    return Histogram(
        [_spread(point) for point in metric.points if isinstance(point, measured.Spread)], kind
    )


def _total(point: measured.Total) -> NumberDataPoint:
    return NumberDataPoint(
        dict(point.labels), point.start_ns, point.end_ns, point.value, _exemplars(point.exemplars)
    )


def _spread(point: measured.Spread) -> HistogramDataPoint:
    return HistogramDataPoint(
        attributes=dict(point.labels),
        start_time_unix_nano=point.start_ns,
        time_unix_nano=point.end_ns,
        count=sum(point.buckets),
        sum=point.sum,
        bucket_counts=point.buckets,
        explicit_bounds=point.bounds,
        min=point.least,
        max=point.most,
        exemplars=_exemplars(point.exemplars),
    )


def _exemplars(kept: Sequence[measured.Exemplar]) -> list[Exemplar]:
    return [
        Exemplar({}, one.value, one.at_ns, int(one.span_id, 16), int(one.trace_id, 16))
        for one in kept
    ]
