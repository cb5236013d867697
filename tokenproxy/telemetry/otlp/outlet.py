"""Where a ledger is shipped to by OTLP over HTTP, written and sent by ourselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from tokenproxy.telemetry import switch
from tokenproxy.telemetry.delivery import Delivery
from tokenproxy.telemetry.measured import Metric, Spread, Total
from tokenproxy.telemetry.measures import Measures
from tokenproxy.telemetry.otlp.metrics import MetricWriter
from tokenproxy.telemetry.otlp.sampler import Sampler, sampler
from tokenproxy.telemetry.otlp.sender import Sender
from tokenproxy.telemetry.otlp.settings import settings
from tokenproxy.telemetry.otlp.ways import OtlpSpans, frame_of
from tokenproxy.telemetry.outlet import NotDeliveredError
from tokenproxy.telemetry.semconv import Semconv
from tokenproxy.telemetry.switch import Signal

_MS = 1_000_000
_NAMES: Final[dict[Signal, str]] = {"traces": "spans", "metrics": "metrics"}


class OtlpOutlet:
    """See :class:`tokenproxy.telemetry.outlet.Outlet`.

    Args:
        env: fits (:func:`tokenproxy.telemetry.otlp.fit.fits`).
        signals: what is sent.
        sender: ``service.instance.id``, unless the user's words have another.
        dialect: for the schema.

    Raises:
        OSError: A certificate or key that is named cannot be read.
        ValueError: A header of the user's cannot be sent.
    """

    def __init__(
        self, env: Mapping[str, str], signals: Sequence[Signal], sender: str, dialect: Semconv
    ) -> None:
        self._frame = frame_of(env, sender, dialect)
        self._waiting = _Waiting()
        self._points: dict[str, tuple[Metric, list[Total | Spread]]] = {}
        self._writer = MetricWriter()
        self.waiting_points = 0
        self._deliveries = {
            signal: Delivery(_NAMES[signal], switch.endpoint(env, signal)) for signal in signals
        }
        self.deliveries = tuple(self._deliveries.values())
        self._senders = {
            signal: Sender(settings(env, signal), told) for signal, told in self._deliveries.items()
        }
        self.spans: OtlpSpans | None = None
        if "traces" in signals:
            kept = sampler(env) or Sampler(1.0, parent_based=True)
            self.spans = OtlpSpans(self._waiting, kept)
        self.meter = Measures(delta=True) if "metrics" in signals else None

    @property
    def waiting_spans(self) -> int:
        """Spans that wait to be sent."""
        return len(self._waiting.spans)

    def date(self, end_ns: int) -> None:
        """What was measured since the last time is of the millisecond that ends then."""
        if self.meter is None:
            return
        for metric in self.meter.collect_of(end_ns - _MS, end_ns):
            _, points = self._points.setdefault(metric.name, (metric, []))
            points += metric.points
            self.waiting_points += len(metric.points)

    def send_spans(self) -> int:
        """Send the spans that wait, retries included.

        Raises:
            NotDeliveredError: They did not arrive.
        """
        spans, self._waiting.spans = self._waiting.spans, []
        if spans:
            self._send("traces", self._frame.request(spans))
        return len(spans)

    def send_points(self) -> int:
        """Send the points that wait; likewise.

        Raises:
            NotDeliveredError: They did not arrive.
        """
        found, self._points = self._points, {}
        count, self.waiting_points = self.waiting_points, 0
        if found:
            written = [
                self._writer.write(msgspec.structs.replace(metric, points=points))
                for metric, points in found.values()
            ]
            self._send("metrics", self._frame.request(written))
        return count

    def close(self) -> None:
        """Nothing is held back; connections end."""
        for sender in self._senders.values():
            sender.shutdown()

    def _send(self, signal: Signal, request: bytes) -> None:
        if not self._senders[signal].send(request):
            raise NotDeliveredError(self._deliveries[signal].verdict)


class _Waiting:
    """Holds written spans until they are sent."""

    def __init__(self) -> None:
        self.spans: list[bytes] = []

    def put(self, span: bytes) -> None:
        """Take one."""
        self.spans.append(span)

    def shutdown(self) -> None:
        """What waits is sent by its owner."""
