"""The SDK's exporters, watched: what became of an export is counted and said.

The SDK logs each failed export, which is no way to tell a user; and it drops what
failed without a word to its caller. So the exporters are wrapped, and the SDK's own
log goes to ours.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from enum import Enum
from typing import Any, Final

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    MetricExporter,
    MetricExportResult,
    MetricsData,
)
from opentelemetry.sdk.metrics.view import Aggregation
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from tokenproxy.telemetry.delivery import Delivery

logger = logging.getLogger(__name__)

_SDK_LOGGER: Final = "opentelemetry"
_SILENCE: Final = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED")
"""gRPC's codes for nobody there."""


class WatchedSpans(SpanExporter):
    """A span exporter that tells its :class:`Delivery`."""

    def __init__(self, exporter: SpanExporter, delivery: Delivery, log: SdkLog) -> None:
        self._exporter = exporter
        self._delivery = delivery
        self._log = log

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export, and count."""
        self._delivery.begin()
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            self._delivery.end(
                delivered=result is SpanExportResult.SUCCESS,
                refusal=self._log.refusals.get(self._delivery.what),
            )
        return result

    def shutdown(self) -> None:
        """Shut the exporter down."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is held back here."""
        return self._exporter.force_flush(timeout_millis)


class WatchedMetrics(MetricExporter):
    """A metric exporter that tells its :class:`Delivery`."""

    def __init__(
        self,
        exporter: MetricExporter,
        delivery: Delivery,
        log: SdkLog,
        *,
        temporality: dict[type, AggregationTemporality],
        aggregation: dict[type, Aggregation],
    ) -> None:
        super().__init__(preferred_temporality=temporality, preferred_aggregation=aggregation)
        self._exporter = exporter
        self._delivery = delivery
        self._log = log

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """Export, and count."""
        self._delivery.begin()
        result = MetricExportResult.FAILURE
        try:
            result = self._exporter.export(metrics_data, timeout_millis, **kwargs)
        finally:
            self._delivery.end(
                delivered=result is MetricExportResult.SUCCESS,
                refusal=self._log.refusals.get(self._delivery.what),
            )
        return result

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Shut the exporter down."""
        self._exporter.shutdown(timeout_millis, **kwargs)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Nothing is held back here."""
        return self._exporter.force_flush(timeout_millis)


class SdkLog(logging.Handler):
    """Takes the SDK's log to ours, at the level of a detail, and keeps a refusal's reason.

    While it is installed, nothing of the SDK reaches the handlers of the root logger, nor
    Python's handler of last resort, which writes to stderr.
    """

    def __init__(self) -> None:
        super().__init__()
        self.refusals: dict[str, str] = {}
        """``spans`` or ``metrics`` -> what the collector answered, ``401 Unauthorized``."""

    def install(self) -> None:
        """Take over, for good: an export that outlives the run still writes its log."""
        sdk = logging.getLogger(_SDK_LOGGER)
        for handler in [handler for handler in sdk.handlers if isinstance(handler, SdkLog)]:
            sdk.removeHandler(handler)
        sdk.addHandler(self)
        sdk.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        """Take one record."""
        logger.debug("%s: %s", record.name, record.msg)
        if not str(record.msg).startswith("Failed to export"):
            return
        match record.args:
            # exporter/otlp/common/http.py: "Failed to export %s batch code: %s, reason: %s"
            case (str(kind), int(status), str(reason)):
                self.refusals[kind] = f"{status} {reason}".strip()
            # exporter/otlp/proto/grpc/exporter.py: "Failed to export %s to %s, error code: %s, ..."
            case (str(kind), str(), Enum(name=code), *_) if code not in _SILENCE:
                self.refusals["spans" if kind == "traces" else kind] = code
            case _:
                pass
