"""Where a ledger is shipped to: exporters by the standard variables, and why one failed."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from tokenproxy.telemetry import switch
from tokenproxy.telemetry.delivery import Delivery
from tokenproxy.telemetry.instance import NAMESPACE
from tokenproxy.telemetry.sdk import exporters
from tokenproxy.telemetry.sdk.watched import SdkLog
from tokenproxy.telemetry.switch import Signal

TIMEOUT_MS: Final = "10000"
"""The specification's default of ``OTEL_EXPORTER_OTLP_TIMEOUT``: no command's end waits for this,
so it need not be as short as ours (``switch.DEFAULT_TIMEOUT_S``)."""


class CannotShipError(Exception):
    """The environment names no collector, or what cannot be followed. One sentence."""


class NotDeliveredError(Exception):
    """The collector did not take what was sent; the message is one sentence about it."""


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """The exporters of the signals that are sent."""

    spans: tuple[SpanExporter, ...] = ()
    metrics: tuple[MetricExporter, ...] = ()
    deliveries: tuple[Delivery, ...] = ()

    @property
    def address(self) -> str:
        """Where to, for people."""
        return " and ".join(dict.fromkeys(one.address for one in self.deliveries)) or "stderr"

    def send_spans(self, spans: Sequence[ReadableSpan]) -> None:
        """Send one batch, with the retries that the exporters make.

        Raises:
            NotDeliveredError: An exporter gave up.
        """
        for exporter in self.spans:
            if exporter.export(spans) is not SpanExportResult.SUCCESS:
                raise self._failure("spans")

    def send_metrics(self, data: MetricsData) -> None:
        """Send one batch, as :meth:`send_spans`.

        Raises:
            NotDeliveredError: An exporter gave up.
        """
        for exporter in self.metrics:
            if exporter.export(data) is not MetricExportResult.SUCCESS:
                raise self._failure("metrics")

    def close(self) -> None:
        """Nothing is held back; connections end."""
        for shutdown in (
            *(one.shutdown for one in self.spans),
            *(one.shutdown for one in self.metrics),
        ):
            with suppress(Exception):
                shutdown()

    def _failure(self, what: str) -> NotDeliveredError:
        failed = [one for one in self.deliveries if one.failed and one.what == what]
        told = [one.verdict for one in failed]
        return NotDeliveredError(" and ".join(told) or f"the exporter refused the {what}")


def open_destination(env: Mapping[str, str], signals: Sequence[Signal]) -> Destination:
    """The exporters that the environment asks for, as ``run`` reads it.

    Raises:
        CannotShipError: It asks for none, or for what there is not.
    """
    sdk_log = SdkLog()
    sdk_log.install()
    env = {"OTEL_EXPORTER_OTLP_TIMEOUT": TIMEOUT_MS, **env}
    spans, metrics = list[SpanExporter](), list[MetricExporter]()
    deliveries: list[Delivery] = []
    for signal in signals:
        for name in _chosen(env, signal):
            try:
                if signal == "traces":
                    exporter, delivery = exporters.spans(env, name, sdk_log)
                    spans.append(exporter)
                else:
                    measuring, delivery = exporters.metrics(env, name, sdk_log)
                    metrics.append(measuring)
            except Exception as error:
                detail = " ".join(str(error).split()) or type(error).__name__
                raise CannotShipError(f"{signal} cannot be sent: {detail}") from error
            deliveries.extend([delivery] if delivery else [])
    return Destination(spans=tuple(spans), metrics=tuple(metrics), deliveries=tuple(deliveries))


def sender_id(ledger: Path | None) -> str:
    """A ``service.instance.id`` of what is shipped: the same for a ledger whenever it is.

    Another one than that of any run, which goes on writing its own series; and one for
    each ledger, since two may have calls of the same millisecond.
    """
    where = f"{socket.gethostname()}/{os.getuid()}/ledger/{ledger.resolve() if ledger else ''}"
    return str(uuid.uuid5(NAMESPACE, where.encode(errors="replace").decode()))


def _chosen(env: Mapping[str, str], signal: Signal) -> Sequence[switch.Exporter]:
    """The signal's exporters; a word that cannot be followed is not passed over."""
    if env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        raise CannotShipError("OTEL_SDK_DISABLED is true: unset it to ship")
    choice = switch.choose(env, signal)
    problems = [*choice.problems]
    if "otlp" in choice.exporters and (problem := switch.protocol(env, signal)[1]):
        problems.append(problem)
    preferred = env.get("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "").strip().lower()
    if signal == "metrics" and preferred == "cumulative":
        problems.append(
            "measurements of the past are sent as deltas, and "
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE wants cumulative ones"
        )
    if problems:
        raise CannotShipError(problems[0].removeprefix("telemetry: "))
    if not choice.exporters:
        none = env.get(f"OTEL_{signal.upper()}_EXPORTER")
        if none:
            raise CannotShipError(f"OTEL_{signal.upper()}_EXPORTER is {none}: unset it to ship")
        raise CannotShipError(
            f"no collector is named for {signal}: set OTEL_EXPORTER_OTLP_ENDPOINT "
            "(such as http://127.0.0.1:4318)"
        )
    return choice.exporters
