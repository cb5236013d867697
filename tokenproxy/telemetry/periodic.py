"""Measurements that a live run exports from time to time, and at its end.

In the SDK's place, of which the exporters remain: see :mod:`tokenproxy.telemetry.measures`.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from typing import Final

from opentelemetry.sdk.metrics import Counter, Histogram
from opentelemetry.sdk.metrics.export import MetricExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from tokenproxy.telemetry.exporters import temporality
from tokenproxy.telemetry.measures import Measures

logger = logging.getLogger(__name__)

_INTERVAL_MS: Final = 60_000.0
_TIMEOUT_MS: Final = 30_000.0
"""The specification's (configuration/sdk-environment-variables.md, "Periodic exporting
MetricReader")."""

_BUCKETS: Final = "explicit_bucket_histogram"
_EXEMPLARS: Final = "trace_based"


def fits(env: Mapping[str, str]) -> bool:
    """Whether the environment asks for nothing that only the SDK's own meter can do.

    Args:
        env: for the aggregation; what the SDK alone decides is in the process's own.
    """
    buckets = env.get("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "")
    exemplars = os.environ.get("OTEL_METRICS_EXEMPLAR_FILTER", "")
    return _word(buckets) in ("", _BUCKETS) and _word(exemplars) in ("", _EXEMPLARS)


class PeriodicMeasures:
    """Measures, and exports from a thread of its own.

    Args:
        env: for the temporality; the interval and the time-out are taken from the process's
            own, as the SDK does it.
        exporter: takes what is collected.
        resource: who measures.
    """

    def __init__(
        self, env: Mapping[str, str], exporter: MetricExporter, resource: Resource
    ) -> None:
        self._interval_s = _milliseconds("OTEL_METRIC_EXPORT_INTERVAL", _INTERVAL_MS) / 1000
        self._timeout_ms = _milliseconds("OTEL_METRIC_EXPORT_TIMEOUT", _TIMEOUT_MS)
        self._exporter = exporter
        self._resource = resource
        self._kinds = temporality(env)
        self._measures: Measures | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tokenproxy-metrics", daemon=True)
        self._thread.start()

    def get_meter(self, name: str, version: str, schema_url: str | None) -> Measures:
        """The instruments. There is one scope: whoever asks again gets the same."""
        if self._measures is None:
            self._measures = Measures(
                self._resource,
                InstrumentationScope(name, version, schema_url),
                counters=self._kinds[Counter],
                histograms=self._kinds[Histogram],
            )
        return self._measures

    def shutdown(self) -> None:
        """Export what is left; blocks while that takes. Once."""
        if self._over.is_set():
            return
        self._over.set()
        self._thread.join()
        self._exporter.shutdown()

    def _run(self) -> None:
        while not self._over.wait(self._interval_s):
            self._export()
        self._export()

    def _export(self) -> None:
        data = self._measures.collect() if self._measures is not None else None
        if data is None:
            return
        try:
            self._exporter.export(data, self._timeout_ms)
        except Exception:
            logger.exception("metrics are not exported")


def _word(value: str) -> str:
    return value.strip().lower()


def _milliseconds(variable: str, otherwise: float) -> float:
    try:
        stated = float(os.environ.get(variable, ""))
    except ValueError:
        return otherwise
    return stated if 0 < stated < threading.TIMEOUT_MAX else otherwise
