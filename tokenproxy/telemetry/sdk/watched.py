"""The SDK's exporters, watched: what became of an export is counted and said.

The SDK logs each failed export, which is no way to tell a user; and it drops what
failed without a word to its caller. So the exporters are wrapped, and the SDK's own
log goes to ours.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
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


class _Fate[T]:
    """What becomes of an exporter's batches: counted, and kept where there is a spool.

    Args:
        delivery: told of it.
        log: has the reason of a refusal.
        written: the request of a batch; not called without a spool.
        keep: takes requests, and tells whether it has them; None: they are lost.
    """

    def __init__(
        self,
        delivery: Delivery,
        log: SdkLog,
        written: Callable[[T], bytes],
        keep: Callable[[bytes], bool] | None,
    ) -> None:
        self._delivery = delivery
        self._log = log
        self._written = written
        self._keep = keep
        self._lock = threading.Lock()
        self._sending: T | None = None
        """The batch whose fate is still to be told."""

    def begin(self, batch: T) -> None:
        """It is being sent."""
        self._delivery.begin()
        with self._lock:
            self._sending = batch

    def settle(self, *, delivered: bool) -> bool:
        """Tell what became of it, once. Whether it is not lost."""
        with self._lock:
            batch, self._sending = self._sending, None
        if batch is None:
            return True
        kept = not delivered and self._keep is not None and self._keep(self._written(batch))
        refusal = self._log.refusals.get(self._delivery.what)
        self._delivery.end(delivered=delivered, refusal=refusal, kept=kept)
        return kept or delivered


class WatchedSpans(SpanExporter):
    """A span exporter whose batches' fate is told and who lets what fails be kept."""

    def __init__(
        self,
        exporter: SpanExporter,
        delivery: Delivery,
        log: SdkLog,
        keep: Callable[[bytes], bool] | None = None,
    ) -> None:
        self.seen = 0
        """Spans that were given to it."""
        self._exporter = exporter
        self._fate = _Fate(delivery, log, _request_of_spans, keep)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export, and count."""
        self.seen += len(spans)
        self._fate.begin(spans)
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            self._fate.settle(delivered=result is SpanExportResult.SUCCESS)
        return result

    def leave(self) -> bool:
        """Time is up: keep what is being sent, though it may arrive yet. Whether it is not lost."""
        return self._fate.settle(delivered=False)

    def shutdown(self) -> None:
        """Shut the exporter down."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is held back here."""
        return self._exporter.force_flush(timeout_millis)


class WatchedMetrics(MetricExporter):
    """The same of metrics."""

    def __init__(
        self,
        exporter: MetricExporter,
        delivery: Delivery,
        log: SdkLog,
        keep: Callable[[bytes], bool] | None = None,
        *,
        temporality: dict[type, AggregationTemporality],
        aggregation: dict[type, Aggregation],
    ) -> None:
        super().__init__(preferred_temporality=temporality, preferred_aggregation=aggregation)
        self._exporter = exporter
        self._fate = _Fate(delivery, log, _request_of_metrics, keep)

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """Export, and count."""
        self._fate.begin(metrics_data)
        result = MetricExportResult.FAILURE
        try:
            result = self._exporter.export(metrics_data, timeout_millis, **kwargs)
        finally:
            self._fate.settle(delivered=result is MetricExportResult.SUCCESS)
        return result

    def leave(self) -> bool:
        """As :meth:`WatchedSpans.leave`."""
        return self._fate.settle(delivered=False)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Shut the exporter down."""
        self._exporter.shutdown(timeout_millis, **kwargs)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Nothing is held back here."""
        return self._exporter.force_flush(timeout_millis)


def _request_of_spans(spans: Sequence[ReadableSpan]) -> bytes:
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

    written: bytes = encode_spans(spans).SerializeToString()
    return written


def _request_of_metrics(data: MetricsData) -> bytes:
    from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics

    written: bytes = encode_metrics(data).SerializeToString()
    return written


class SdkLog(logging.Handler):
    """Takes the SDK's log to ours, at the level of a detail, and keeps a refusal's reason.

    While it is installed, nothing of the SDK reaches the handlers of the root logger, nor
    Python's handler of last resort, which writes to stderr.
    """

    def __init__(self) -> None:
        super().__init__()
        self.refusals: dict[str, str] = {}
        """``spans`` or ``metrics`` -> what the collector answered, ``401 Unauthorized``."""
        self._complaints: list[str] | None = []
        """About the variables that the SDK reads itself; None once it has read them."""

    def install(self) -> None:
        """Take over, for good: an export that outlives the run still writes its log."""
        sdk = logging.getLogger(_SDK_LOGGER)
        for handler in [handler for handler in sdk.handlers if isinstance(handler, SdkLog)]:
            sdk.removeHandler(handler)
        sdk.addHandler(self)
        sdk.propagate = False

    def complaints(self) -> list[str]:
        """Sentences about the variables that the SDK has read by now: it uses its defaults."""
        found, self._complaints = self._complaints or [], None
        return [
            f"telemetry: OpenTelemetry's SDK: {' '.join(said.split())}"
            for said in dict.fromkeys(found)
        ]

    def emit(self, record: logging.LogRecord) -> None:
        """Take one record."""
        logger.debug("%s: %s", record.name, record.msg)
        # What exporters say may hold a header of the user's, which may be a key.
        if self._complaints is not None and record.name.startswith(f"{_SDK_LOGGER}.sdk."):
            if record.levelno >= logging.WARNING:
                self._complaints.append(record.getMessage())
            return
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
