"""An OTLP collector in this process: receives over HTTP or gRPC and decodes.

with OtlpReceiver("grpc") as receiver:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint, ...}
    ...
assert receiver.spans[0].name == "chat claude-haiku-4-5"
"""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable, Iterable
from concurrent import futures
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self

from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_service
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_service
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

Attributes = dict[str, Any]

KINDS = {1: "INTERNAL", 2: "SERVER", 3: "CLIENT", 4: "PRODUCER", 5: "CONSUMER"}
TEMPORALITIES = {1: "delta", 2: "cumulative"}


@dataclass(frozen=True)
class Link:
    trace_id: str
    span_id: str
    attributes: Attributes


@dataclass(frozen=True)
class Event:
    name: str
    time_ns: int
    attributes: Attributes


@dataclass(frozen=True)
class Span:
    """Ids are hex; ``parent_id`` is None for a root; ``status`` is ``unset``, ``ok``, ``error``."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str | None
    start_ns: int
    end_ns: int
    status: str
    attributes: Attributes
    links: tuple[Link, ...]
    events: tuple[Event, ...]
    resource: Attributes
    scope: str
    schema_url: str


@dataclass(frozen=True)
class Point:
    """One data point. ``value`` is a counter's value or a histogram's sum."""

    metric: str
    unit: str
    instrument: Literal["counter", "histogram"]
    temporality: str
    monotonic: bool
    attributes: Attributes
    value: int | float
    count: int
    bounds: tuple[float, ...]
    buckets: tuple[int, ...]
    exemplar_trace_ids: tuple[str, ...]
    start_ns: int
    time_ns: int
    resource: Attributes
    scope: str = ""
    schema_url: str = ""


@dataclass
class _Request:
    """What came in, for tests of headers and paths."""

    path: str
    headers: dict[str, str] = field(default_factory=dict)


class OtlpReceiver:
    """A collector on a free port of loopback; use as a context manager or start and stop.

    Args:
        protocol: ``http`` (OTLP/HTTP with protobuf) or ``grpc``.
        status: HTTP status of every answer; anything but 200 refuses.
    """

    def __init__(self, protocol: Literal["http", "grpc"] = "http", *, status: int = 200) -> None:
        self.protocol = protocol
        self.status = status
        self.rejects: tuple[int, str] | None = None
        """How many spans or points of each request are said not to be taken, and why."""
        self.spans: list[Span] = []
        self.metrics: list[Point] = []
        self.requests: list[_Request] = []
        self._lock = threading.Lock()
        self._stop: Callable[[], None] | None = None
        self._port = 0

    @property
    def endpoint(self) -> str:
        """For ``OTEL_EXPORTER_OTLP_ENDPOINT``."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> Self:
        if self.protocol == "http":
            self._start_http()
        else:
            self._start_grpc()
        return self

    def stop(self) -> None:
        if self._stop is not None:
            self._stop()
            self._stop = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wait(self, condition: Callable[[Self], bool], timeout_s: float = 5.0) -> bool:
        """Wait until ``condition`` holds of this receiver."""
        deadline = time.monotonic() + timeout_s
        while not condition(self):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def total(self, metric: str, **attributes: object) -> int | float:
        """Sum of a metric's points over everything received, as a backend sums deltas.

        Attribute names are given with ``__`` for a dot: ``tokenproxy__token__kind="output"``.
        """
        wanted = {name.replace("__", "."): value for name, value in attributes.items()}
        return sum(
            point.value
            for point in self.metrics
            if point.metric == metric
            and all(point.attributes.get(name) == value for name, value in wanted.items())
        )

    # -- transports -------------------------------------------------------

    def _start_http(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                receiver._note(self.path, self.headers.items())
                if receiver.status == 200:
                    if self.path.endswith("/v1/traces"):
                        receiver._traces(trace_service.ExportTraceServiceRequest.FromString(body))
                    elif self.path.endswith("/v1/metrics"):
                        receiver._metrics(
                            metrics_service.ExportMetricsServiceRequest.FromString(body)
                        )
                told = receiver._partial() if receiver.status == 200 else b""
                self.send_response(receiver.status)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(told)))
                self.end_headers()
                self.wfile.write(told)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - inherited
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self._port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

        def stop() -> None:
            server.shutdown()
            server.server_close()

        self._stop = stop

    def _start_grpc(self) -> None:
        import grpc  # type: ignore[import-untyped] # it has no stubs
        from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc

        receiver = self

        class Traces(trace_service_pb2_grpc.TraceServiceServicer):
            def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
                receiver._note("traces", context.invocation_metadata())
                receiver._traces(request)
                return trace_service.ExportTraceServiceResponse()

        class Metrics(metrics_service_pb2_grpc.MetricsServiceServicer):
            def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - likewise
                receiver._note("metrics", context.invocation_metadata())
                receiver._metrics(request)
                return metrics_service.ExportMetricsServiceResponse()

        server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
        add: Any = trace_service_pb2_grpc.add_TraceServiceServicer_to_server
        add(Traces(), server)
        add = metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server
        add(Metrics(), server)
        self._port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        self._stop = lambda: server.stop(None).wait()

    def _partial(self) -> bytes:
        """The answer: of both signals it has one shape."""
        answer = trace_service.ExportTraceServiceResponse()
        if self.rejects is not None:
            answer.partial_success.rejected_spans, answer.partial_success.error_message = (
                self.rejects
            )
        return bytes(answer.SerializeToString())

    # -- decoding ---------------------------------------------------------

    def _note(self, path: str, headers: Iterable[tuple[str, str]]) -> None:
        with self._lock:
            self.requests.append(_Request(path, {k.lower(): str(v) for k, v in headers}))

    def _traces(self, request: trace_service.ExportTraceServiceRequest) -> None:
        spans = [
            _span(
                span, _attributes(resource.resource.attributes), scope.scope.name, scope.schema_url
            )
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        with self._lock:
            self.spans.extend(spans)

    def _metrics(self, request: metrics_service.ExportMetricsServiceRequest) -> None:
        points = [
            point
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in _points(
                metric,
                _attributes(resource.resource.attributes),
                scope.scope.name,
                scope.schema_url,
            )
        ]
        with self._lock:
            self.metrics.extend(points)


def _span(span: trace_pb2.Span, resource: Attributes, scope: str, schema_url: str) -> Span:
    return Span(
        name=span.name,
        kind=KINDS[span.kind],
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex() or None,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        status=("unset", "ok", "error")[span.status.code],
        attributes=_attributes(span.attributes),
        links=tuple(
            Link(link.trace_id.hex(), link.span_id.hex(), _attributes(link.attributes))
            for link in span.links
        ),
        events=tuple(
            Event(event.name, event.time_unix_nano, _attributes(event.attributes))
            for event in span.events
        ),
        resource=resource,
        scope=scope,
        schema_url=schema_url,
    )


def _points(
    metric: metrics_pb2.Metric, resource: Attributes, scope: str, schema_url: str
) -> list[Point]:
    if metric.HasField("sum"):
        return [
            Point(
                metric=metric.name,
                unit=metric.unit,
                instrument="counter",
                temporality=TEMPORALITIES[metric.sum.aggregation_temporality],
                monotonic=metric.sum.is_monotonic,
                attributes=_attributes(point.attributes),
                value=point.as_int if point.WhichOneof("value") == "as_int" else point.as_double,
                count=1,
                bounds=(),
                buckets=(),
                exemplar_trace_ids=tuple(e.trace_id.hex() for e in point.exemplars),
                start_ns=point.start_time_unix_nano,
                time_ns=point.time_unix_nano,
                resource=resource,
                scope=scope,
                schema_url=schema_url,
            )
            for point in metric.sum.data_points
        ]
    return [
        Point(
            metric=metric.name,
            unit=metric.unit,
            instrument="histogram",
            temporality=TEMPORALITIES[metric.histogram.aggregation_temporality],
            monotonic=True,
            attributes=_attributes(point.attributes),
            value=point.sum,
            count=point.count,
            bounds=tuple(point.explicit_bounds),
            buckets=tuple(point.bucket_counts),
            exemplar_trace_ids=tuple(e.trace_id.hex() for e in point.exemplars),
            start_ns=point.start_time_unix_nano,
            time_ns=point.time_unix_nano,
            resource=resource,
            scope=scope,
            schema_url=schema_url,
        )
        for point in metric.histogram.data_points
    ]


def _attributes(pairs: Iterable[KeyValue]) -> Attributes:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return tuple(_value(item) for item in value.array_value.values)
    return None if kind is None else getattr(value, kind)
