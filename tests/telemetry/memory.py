"""The sink on the SDK's in-memory exporters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Sampler

from tests.telemetry import scene
from tokenproxy.config import IterationEnd, RunContext
from tokenproxy.record.call import Call
from tokenproxy.telemetry.pipeline import Telemetry
from tokenproxy.telemetry.sdk import exporters
from tokenproxy.telemetry.sdk.ids import GivenIds
from tokenproxy.telemetry.sdk.meter import SdkMeter
from tokenproxy.telemetry.sdk.spans import SdkSpans
from tokenproxy.telemetry.semconv import V1_41, Semconv
from tokenproxy.telemetry.ways import Ways


class Memory:
    """A telemetry sink and what it exported."""

    def __init__(
        self,
        run: RunContext = scene.RUN,
        dialect: Semconv = V1_41,
        *,
        sampler: Sampler | None = None,
    ) -> None:
        self.run = run
        self.exporter = InMemorySpanExporter()
        self.reader = InMemoryMetricReader(preferred_temporality=exporters.temporality({}))
        ids = GivenIds()
        tracers = TracerProvider(id_generator=ids, sampler=sampler, shutdown_on_exit=False)
        tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        meters = MeterProvider(metric_readers=[self.reader], shutdown_on_exit=False)
        ways = Ways(spans=SdkSpans(tracers, dialect, ids), measures=SdkMeter(meters, dialect))
        self.sink = Telemetry(run=run, dialect=dialect, ways=ways)
        self.points: list[tuple[Any, Any]] = []

    def play(self, calls: Iterable[Call], end: IterationEnd | None = scene.END) -> Memory:
        """Feed the calls and finish."""
        for call in calls:
            self.sink.call(call, scene.row_of(call, self.run))
        data = self.reader.get_metrics_data()
        self.sink.finish(end)
        # Durations of agents are measured when they end.
        for collected in (data, self.reader.get_metrics_data()):
            for resource in collected.resource_metrics if collected else ():
                for scope in resource.scope_metrics:
                    for metric in scope.metrics:
                        self.points.extend((metric, point) for point in metric.data.data_points)
        return self

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def span(self, span_id: str) -> ReadableSpan:
        found = [span for span in self.spans if hex_id(span) == span_id]
        assert len(found) == 1, f"{len(found)} spans with id {span_id}"
        return found[0]

    def total(self, metric: str, **attributes: object) -> int | float:
        """Sum of a metric's points; ``__`` in an attribute's name stands for a dot."""
        wanted = {name.replace("__", "."): value for name, value in attributes.items()}
        total: int | float = sum(
            point.value if hasattr(point, "value") else point.sum
            for found, point in self.points
            if found.name == metric
            and all(point.attributes.get(name) == value for name, value in wanted.items())
        )
        return total


def hex_id(span: ReadableSpan) -> str:
    assert span.context is not None
    return f"{span.context.span_id:016x}"


def parent_id(span: ReadableSpan) -> str | None:
    return None if span.parent is None else f"{span.parent.span_id:016x}"
