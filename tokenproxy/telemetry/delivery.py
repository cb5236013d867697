"""What became of what was exported: counted at the exporters, said in one sentence.

The SDK logs each failed export, which is no way to tell a user; and it drops what
failed without a word to its caller. So the exporters are wrapped, and the SDK's own
log goes to ours.
"""

from __future__ import annotations

import logging
import threading
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

from tokenproxy.telemetry.switch import split

logger = logging.getLogger(__name__)

_SDK_LOGGER: Final = "opentelemetry"
_SILENCE: Final = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED")
"""gRPC's codes for nobody there."""


class Delivery:
    """The fate of one signal's exports to one collector."""

    def __init__(self, what: str, endpoint: str) -> None:
        self.what = what
        """``spans`` or ``metrics``."""
        self.endpoint = endpoint
        self.delivered = 0
        self.failed = 0
        self.under_way = 0
        self.late = False
        """Time was up before all was exported: an export may not even have begun."""
        self._lock = threading.Lock()

    def begin(self) -> None:
        """An export is under way."""
        with self._lock:
            self.under_way += 1

    def end(self, *, delivered: bool) -> None:
        """It is over."""
        with self._lock:
            self.under_way -= 1
            if delivered:
                self.delivered += 1
            else:
                self.failed += 1

    @property
    def address(self) -> str:
        """Scheme, host and port: a path says nothing, and a user's password must not be said."""
        parts = split(self.endpoint)
        host = parts.netloc.rpartition("@")[2]
        return f"{parts.scheme}://{host}" if parts.scheme else host

    @property
    def lost(self) -> str | None:
        """``spans`` or ``some spans`` if not everything arrived, else None."""
        if not (self.failed or self.under_way or self.late):
            return None
        return f"some {self.what}" if self.delivered else self.what


class WatchedSpans(SpanExporter):
    """A span exporter that tells its :class:`Delivery`."""

    def __init__(self, exporter: SpanExporter, delivery: Delivery) -> None:
        self._exporter = exporter
        self._delivery = delivery

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export, and count."""
        self._delivery.begin()
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            self._delivery.end(delivered=result is SpanExportResult.SUCCESS)
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
        *,
        temporality: dict[type, AggregationTemporality],
        aggregation: dict[type, Aggregation],
    ) -> None:
        super().__init__(preferred_temporality=temporality, preferred_aggregation=aggregation)
        self._exporter = exporter
        self._delivery = delivery

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """Export, and count."""
        self._delivery.begin()
        result = MetricExportResult.FAILURE
        try:
            result = self._exporter.export(metrics_data, timeout_millis, **kwargs)
        finally:
            self._delivery.end(delivered=result is MetricExportResult.SUCCESS)
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


def sentences(deliveries: Sequence[Delivery], refusals: dict[str, str]) -> tuple[str, ...]:
    """One sentence a collector that did not take everything; none if all arrived."""
    lost: dict[str, list[str]] = {}
    for delivery in deliveries:
        if delivery.lost is not None:
            lost.setdefault(verdict(delivery, refusals), []).append(delivery.lost)
    return tuple(
        f"telemetry: {said}; {' and '.join(what)} of this run were not delivered"
        for said, what in lost.items()
    )


def verdict(delivery: Delivery, refusals: dict[str, str]) -> str:
    """What a collector did that did not take everything."""
    refusal = refusals.get(delivery.what)
    answered = f"answered {refusal}" if refusal else "did not answer"
    return f"the collector at {delivery.address} {answered}"
