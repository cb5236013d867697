"""Exporters by the standard variables.

What a variable means is decided in :mod:`tokenproxy.telemetry.switch` and here for
endpoint, protocol, timeout, temporality and aggregation; headers, compression,
certificates, queue sizes, limits and the sampler the SDK reads from the process's
environment itself.

The HTTP exporter honours the user's ``HTTPS_PROXY`` and ``NO_PROXY``, as every OTLP
exporter does: our process's environment is the user's own. The proxy variables that
point at *us* are in the command's environment only, so nothing loops.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Final, TextIO

from opentelemetry.sdk.metrics import (
    Counter,
    Histogram,
    ObservableCounter,
    ObservableUpDownCounter,
    UpDownCounter,
)
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ConsoleMetricExporter,
    MetricExporter,
)
from opentelemetry.sdk.metrics.view import (
    Aggregation,
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
)
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SpanExporter

from tokenproxy.telemetry import switch
from tokenproxy.telemetry.delivery import Delivery
from tokenproxy.telemetry.sdk.watched import SdkLog, WatchedMetrics, WatchedSpans
from tokenproxy.telemetry.switch import Exporter

_DELTA = AggregationTemporality.DELTA
_CUMULATIVE = AggregationTemporality.CUMULATIVE

_TEMPORALITY: Final[dict[str, dict[type, AggregationTemporality]]] = {
    "delta": {Counter: _DELTA, Histogram: _DELTA, ObservableCounter: _DELTA},
    "lowmemory": {Counter: _DELTA, Histogram: _DELTA, ObservableCounter: _CUMULATIVE},
    "cumulative": {
        Counter: _CUMULATIVE,
        Histogram: _CUMULATIVE,
        ObservableCounter: _CUMULATIVE,
    },
}
_ALWAYS_CUMULATIVE: Final[dict[type, AggregationTemporality]] = {
    UpDownCounter: _CUMULATIVE,
    ObservableUpDownCounter: _CUMULATIVE,
}


def spans(
    env: Mapping[str, str],
    name: Exporter,
    log: SdkLog,
    keep: Callable[[bytes], bool] | None = None,
    console: TextIO | None = None,
) -> tuple[SpanExporter, Delivery | None]:
    """An exporter of spans, and its fate if it is one that can fail.

    ``keep`` takes requests that were not delivered, and tells whether it has them; ``console`` is
    what is printed to, by default stderr.

    Raises:
        ValueError: A variable holds what the SDK cannot take. Others may be raised too:
            the SDK's exporters do not say.
    """
    if name == "console":
        # Standard output is the command's.
        return ConsoleSpanExporter(out=console or sys.stderr), None
    delivery = Delivery("spans", switch.endpoint(env, "traces"))
    exporter: SpanExporter
    if switch.protocol(env, "traces")[0] == "grpc":
        _silence_grpc()
        from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as grpc

        exporter = grpc.OTLPSpanExporter(
            endpoint=delivery.endpoint, timeout=switch.timeout_s(env, "traces")
        )
    else:
        from opentelemetry.exporter.otlp.proto.http import trace_exporter as http

        exporter = http.OTLPSpanExporter(
            endpoint=delivery.endpoint, timeout=switch.timeout_s(env, "traces")
        )
    return WatchedSpans(exporter, delivery, log, keep), delivery


def metrics(
    env: Mapping[str, str],
    name: Exporter,
    log: SdkLog,
    keep: Callable[[bytes], bool] | None = None,
    console: TextIO | None = None,
) -> tuple[MetricExporter, Delivery | None]:
    """An exporter of metrics, and its fate if it is one that can fail.

    Raises:
        ValueError: As :func:`spans`.
    """
    preferred, aggregated = temporality(env), aggregation(env)
    if name == "console":
        printing = ConsoleMetricExporter(
            out=console or sys.stderr,
            preferred_temporality=preferred,
            preferred_aggregation=aggregated,
        )
        return printing, None
    delivery = Delivery("metrics", switch.endpoint(env, "metrics"))
    exporter: MetricExporter
    if switch.protocol(env, "metrics")[0] == "grpc":
        _silence_grpc()
        from opentelemetry.exporter.otlp.proto.grpc import metric_exporter as grpc

        exporter = grpc.OTLPMetricExporter(
            endpoint=delivery.endpoint, timeout=switch.timeout_s(env, "metrics")
        )
    else:
        from opentelemetry.exporter.otlp.proto.http import metric_exporter as http

        exporter = http.OTLPMetricExporter(
            endpoint=delivery.endpoint, timeout=switch.timeout_s(env, "metrics")
        )
    watched = WatchedMetrics(
        exporter, delivery, log, keep, temporality=preferred, aggregation=aggregated
    )
    return watched, delivery


def temporality(env: Mapping[str, str]) -> dict[type, AggregationTemporality]:
    """Temporality by instrument; delta unless the user wants another.

    A short run's cumulative counter is one sample of a series: nothing can be summed
    over runs. Deltas of all runs are simply added.
    """
    wanted = env.get("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "").strip().lower()
    return {**_TEMPORALITY.get(wanted, _TEMPORALITY["delta"]), **_ALWAYS_CUMULATIVE}


def aggregation(env: Mapping[str, str]) -> dict[type, Aggregation]:
    """Aggregation of histograms: explicit buckets unless the user wants exponential ones."""
    wanted = env.get("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "")
    if wanted.strip().lower() == "base2_exponential_bucket_histogram":
        return {Histogram: ExponentialBucketHistogramAggregation()}
    return {Histogram: ExplicitBucketHistogramAggregation()}


def _silence_grpc() -> None:
    """Keep the core of gRPC from writing to stderr; it reads this once, when it is loaded."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
