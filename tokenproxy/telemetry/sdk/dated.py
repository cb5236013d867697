"""Measurements of the past: the SDK's instruments, with the rows' times instead of now.

See :meth:`tokenproxy.telemetry.outlet.Outlet.date`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import (
    InMemoryMetricReader,
    Metric,
    MetricsData,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.sdk.resources import Resource

from tokenproxy.telemetry.sdk import exporters
from tokenproxy.telemetry.sdk.meter import SdkMeter
from tokenproxy.telemetry.semconv import Semconv

_MS = 1_000_000


class DatedMeasurements:
    """Collects what instruments measured into deltas of given times."""

    def __init__(self, env: Mapping[str, str], resource: Resource, dialect: Semconv) -> None:
        self._reader = InMemoryMetricReader(
            preferred_temporality=exporters.temporality({}),
            preferred_aggregation=exporters.aggregation(env),
        )
        self._provider = MeterProvider(
            metric_readers=[self._reader],
            resource=resource,
            shutdown_on_exit=False,
            exemplar_filter=AlwaysOffExemplarFilter(),
        )
        self.meter = SdkMeter(self._provider, dialect)
        self._taken: list[Metric] = []
        self._frame: tuple[ResourceMetrics, ScopeMetrics] | None = None
        self.points = 0
        """Data points that wait for :meth:`take`."""

    def date(self, end_ns: int) -> None:
        """What was measured since the last time is of the millisecond that ends then."""
        data = self._reader.get_metrics_data()
        for resource in () if data is None else data.resource_metrics:
            for scope in resource.scope_metrics:
                self._frame = resource, scope
                for metric in scope.metrics:
                    dated = _dated(metric, end_ns)
                    self._taken.append(dated)
                    self.points += len(dated.data.data_points)

    def take(self) -> MetricsData:
        """All dated points since the last time, a metric's together and in order."""
        points: dict[str, list[Any]] = {}
        last: dict[str, Metric] = {}
        for metric in self._taken:
            last[metric.name] = metric
            points.setdefault(metric.name, []).extend(metric.data.data_points)
        self._taken, self.points = [], 0
        if self._frame is None or not last:
            return MetricsData(resource_metrics=[])
        resource, scope = self._frame
        together = [_with_points(metric, points[name]) for name, metric in last.items()]
        scoped = [ScopeMetrics(scope.scope, together, scope.schema_url)]
        return MetricsData([ResourceMetrics(resource.resource, scoped, resource.schema_url)])


def _with_points(metric: Metric, points: list[Any]) -> Metric:
    data: Any = metric.data  # of several types, each with points of its own
    return dataclasses.replace(metric, data=dataclasses.replace(data, data_points=points))


def _dated(metric: Metric, end_ns: int) -> Metric:
    """The same points in another time."""
    points: list[Any] = [
        dataclasses.replace(point, start_time_unix_nano=end_ns - _MS, time_unix_nano=end_ns)
        for point in metric.data.data_points
    ]
    return _with_points(metric, points)
