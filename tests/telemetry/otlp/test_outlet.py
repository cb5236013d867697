"""What is shipped by ourselves, held to what the SDK would send of the same rows."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.telemetry.test_ship import ROWS, Points, Spans, entries, many, to
from tokenproxy.record.row import Row
from tokenproxy.telemetry import semconv
from tokenproxy.telemetry.otlp.outlet import OtlpOutlet
from tokenproxy.telemetry.otlp.sender import Sender
from tokenproxy.telemetry.outlet import NotDeliveredError
from tokenproxy.telemetry.ship import Shipment, Shipped

ENV = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
GENAI_MAIN = {"OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental"}


class Sent:
    """What senders were given; from a number of requests on they fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bodies: list[tuple[str, bytes]] = []
        self.fail_from = 1 << 30

        def send(sender: Sender, body: bytes) -> bool:
            if len(self.bodies) >= self.fail_from:
                return False
            self.bodies.append((sender._settings.path, body))
            return True

        monkeypatch.setattr(Sender, "send", send)

    @property
    def traces(self) -> list[Any]:
        """Batches of spans."""
        found = [
            ExportTraceServiceRequest.FromString(b) for p, b in self.bodies if p == "/v1/traces"
        ]
        return [list(request.resource_spans[0].scope_spans) for request in found]

    @property
    def metrics(self) -> list[Any]:
        """Batches of metrics, the points of each in some order."""
        found = [
            ExportMetricsServiceRequest.FromString(b) for p, b in self.bodies if p == "/v1/metrics"
        ]
        return [sorted_points(request) for request in found]


class Kept(Points):
    """What the SDK would send."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Any] = []

    def export(self, metrics_data: Any, *_: Any, **__: Any) -> Any:
        self.sent.append(sorted_points(encode_metrics(metrics_data)))
        return super().export(metrics_data)


class KeptSpans(Spans):
    """Likewise."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Any] = []

    def export(self, spans: Any) -> Any:
        self.sent.append(list(encode_spans(spans).resource_spans[0].scope_spans))
        return super().export(spans)


def sorted_points(request: ExportMetricsServiceRequest) -> dict[str, list[bytes]]:
    """Each metric without its points, and these; of one time in no order."""
    found: dict[str, list[bytes]] = {}
    for metric in request.resource_metrics[0].scope_metrics[0].metrics:
        data: Any = getattr(metric, metric.WhichOneof("data"))
        points = list(data.data_points)
        data.ClearField("data_points")
        times = [point.time_unix_nano for point in points]
        assert times == sorted(times)
        found[metric.SerializeToString(deterministic=True).hex()] = sorted(
            point.SerializeToString(deterministic=True) for point in points
        )
    return found


def shipped(rows: list[Row], env: dict[str, str]) -> Shipped:
    outlet = OtlpOutlet(ENV, ["traces", "metrics"], "me", semconv.choose(env))
    return Shipment(env, outlet).send(entries(rows))


CROWDED = [
    msgspec.structs.replace(row, timestamp=many(3)[number % 3].timestamp)
    for number, row in enumerate(many(1500))
]


@pytest.mark.parametrize("env", [{}, GENAI_MAIN], ids=["1.41", "main"])
@pytest.mark.parametrize("rows", [ROWS, many(1200), CROWDED], ids=["scene", "many", "crowded"])
def test_it_is_what_the_sdk_would_send(
    rows: list[Row], env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent, spans, points = Sent(monkeypatch), KeptSpans(), Kept()
    ours = shipped(rows, env)
    theirs = Shipment(env, to(spans, points, env)).send(entries(rows))
    assert ours == theirs
    assert sent.traces == spans.sent
    assert sent.metrics == points.sent


def test_series_of_runs_that_are_over_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger may hold more stories than fit into memory."""
    Sent(monkeypatch)
    rows = [
        msgspec.structs.replace(row, run_id=f"r-{number}", story_id=f"s-{number}")
        for number, row in enumerate(many(300))
    ]
    outlet = OtlpOutlet(ENV, ["metrics"], "me", semconv.V1_41)
    Shipment({}, outlet).send(entries(rows))
    assert outlet.meter is not None
    kept = [len(each._points) for each in outlet.meter._instruments.values()]
    assert max(kept) < 20


def test_a_sampler_leaves_out_spans_and_no_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = Sent(monkeypatch)
    env = {**ENV, "OTEL_TRACES_SAMPLER": "always_off"}
    done = Shipment({}, OtlpOutlet(env, ["traces"], "me", semconv.V1_41)).send(entries(ROWS))
    assert (done.rows, done.spans) == (len(ROWS), 0)
    assert not sent.bodies


@pytest.mark.parametrize("fail_from", [0, 1, 2, 3])
def test_what_does_not_arrive_ends_it(fail_from: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is said to have arrived has."""
    sent = Sent(monkeypatch)
    sent.fail_from = fail_from
    told = entries(many(2000))
    shipment = Shipment({}, OtlpOutlet(ENV, ["traces", "metrics"], "me", semconv.V1_41))
    with pytest.raises(NotDeliveredError, match=r"the collector at http://127\.0\.0\.1:1 did not"):
        shipment.send(told)
    spans = [span for (batch,) in sent.traces for span in batch.spans]
    assert shipment.shipped.rows <= len(spans)
    assert shipment.shipped.resume_at == told[shipment.shipped.rows].row.timestamp
