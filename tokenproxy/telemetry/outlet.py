"""Where a ledger is shipped to, and what of the environment cannot be followed there.

There are two ways, as for a run's own telemetry (:mod:`tokenproxy.telemetry.ways`): OTLP over
HTTP written and sent by ourselves, and OpenTelemetry's SDK for all else. Imports no
opentelemetry unless that is asked for.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from tokenproxy.telemetry import semconv, switch
from tokenproxy.telemetry.delivery import Delivery
from tokenproxy.telemetry.instance import NAMESPACE
from tokenproxy.telemetry.instruments import Meter
from tokenproxy.telemetry.otlp import fit
from tokenproxy.telemetry.problems import problems_of
from tokenproxy.telemetry.span import SpanTaker
from tokenproxy.telemetry.switch import Signal

TIMEOUT_MS: Final = "10000"
"""The specification's default of ``OTEL_EXPORTER_OTLP_TIMEOUT``: no command's end waits for this,
so it need not be as short as ours (``switch.DEFAULT_TIMEOUT_S``)."""


class CannotShipError(Exception):
    """The environment names no collector, or what cannot be followed. One sentence."""


class NotDeliveredError(Exception):
    """The collector did not take what was sent; the message is one sentence about it."""


class Outlet(Protocol):
    """Holds what is told, and sends it when it is said to."""

    @property
    def deliveries(self) -> Sequence[Delivery]:
        """What became of it, by signal and exporter."""
        ...

    @property
    def spans(self) -> SpanTaker | None:
        """Takes spans, if they are sent."""
        ...

    @property
    def meter(self) -> Meter | None:
        """Makes the instruments, if measurements are sent."""
        ...

    @property
    def waiting_spans(self) -> int:
        """Spans that wait to be sent."""
        ...

    @property
    def waiting_points(self) -> int:
        """Data points that do."""
        ...

    def date(self, end_ns: int) -> None:
        """What was measured since the last time is of the millisecond that ends then.

        So what is sent for a row depends on nothing but the rows of its millisecond, and what is
        sent twice is the same sample of the same series, which a backend that stores samples by
        series and time keeps once. That holds only if a series has no other writer: see
        :func:`sender_id`. There are no exemplars: backends want those in the order of time.
        """
        ...

    def send_spans(self) -> int:
        """Send the spans that wait, retries included. Returns how many there were.

        Raises:
            NotDeliveredError: They did not arrive.
        """
        ...

    def send_points(self) -> int:
        """Send the points that wait, a metric's together and in order of time; likewise.

        Raises:
            NotDeliveredError: They did not arrive.
        """
        ...

    def close(self) -> None:
        """Nothing is held back; connections end."""
        ...


def address(outlet: Outlet) -> str:
    """Where to, for people."""
    return " and ".join(dict.fromkeys(one.address for one in outlet.deliveries)) or "stderr"


def open_outlet(env: Mapping[str, str], signals: Sequence[Signal], sender: str) -> Outlet:
    """The way that the environment asks for, as ``run`` reads it.

    Args:
        env: The process's environment; it chooses the dialect and the sampler, too.
        signals: What is sent.
        sender: ``service.instance.id``, unless the user's environment states one.

    Raises:
        CannotShipError: It asks for none, or for what there is not.
    """
    env = {"OTEL_EXPORTER_OTLP_TIMEOUT": TIMEOUT_MS, **env}
    for signal in signals:
        _require(env, signal)
    dialect = semconv.choose(env)
    try:
        if fit.fits(env):
            from tokenproxy.telemetry.otlp.outlet import OtlpOutlet

            return OtlpOutlet(env, signals, sender, dialect)
        from tokenproxy.telemetry.sdk.outlet import open_sdk

        return open_sdk(env, signals, sender, dialect)
    except Exception as error:
        detail = " ".join(str(error).split()) or type(error).__name__
        raise CannotShipError(f"{' and '.join(signals)} cannot be sent: {detail}") from error


def sender_id(ledger: Path | None) -> str:
    """A ``service.instance.id`` of what is shipped: the same for a ledger whenever it is.

    Another one than that of any run, which goes on writing its own series; and one for
    each ledger, since two may have calls of the same millisecond.
    """
    where = f"{socket.gethostname()}/{os.getuid()}/ledger/{ledger.resolve() if ledger else ''}"
    return str(uuid.uuid5(NAMESPACE, where.encode(errors="replace").decode()))


def _require(env: Mapping[str, str], signal: Signal) -> None:
    """A word that cannot be followed is not passed over.

    Raises:
        CannotShipError: It says so.
    """
    if env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        raise CannotShipError("OTEL_SDK_DISABLED is true: unset it to ship")
    choice = switch.choose(env, signal)
    problems = [*problems_of(env, signal)]
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
