"""Measurements that a live run exports from time to time, and at its end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from tokenproxy.telemetry.measured import Metric
from tokenproxy.telemetry.measures import Measures

logger = logging.getLogger(__name__)

INTERVAL_MS: Final = 60_000.0
TIMEOUT_MS: Final = 30_000.0
"""The specification's (configuration/sdk-environment-variables.md, "Periodic exporting
MetricReader")."""


class MetricTaker(Protocol):
    """A way out for what was measured."""

    def export(self, found: Sequence[Metric], timeout_s: float) -> None:
        """Send it; blocks while that takes. What does not arrive is lost, and counted."""
        ...

    def shutdown(self) -> None:
        """Nothing more will come."""
        ...


class PeriodicMeasures(Measures):
    """Measures, and exports from a thread of its own.

    Args:
        env: for the temporality, the interval and the time-out.
        taker: takes what is collected.
    """

    def __init__(self, env: Mapping[str, str], taker: MetricTaker) -> None:
        super().__init__(delta=deltas(env))
        self._interval_s = _milliseconds(env, "OTEL_METRIC_EXPORT_INTERVAL", INTERVAL_MS) / 1000
        self._timeout_s = _milliseconds(env, "OTEL_METRIC_EXPORT_TIMEOUT", TIMEOUT_MS) / 1000
        self._taker = taker
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tokenproxy-metrics", daemon=True)
        self._thread.start()

    def shutdown(self) -> None:
        """Export what is left; blocks while that takes. Once."""
        if self._over.is_set():
            return
        self._over.set()
        self._thread.join()
        self._taker.shutdown()

    def _run(self) -> None:
        while not self._over.wait(self._interval_s):
            self._export()
        self._export()

    def _export(self) -> None:
        found = self.collect()
        if not found:
            return
        try:
            self._taker.export(found, self._timeout_s)
        except Exception:
            logger.exception("metrics are not exported")


def deltas(env: Mapping[str, str]) -> bool:
    """Whether sums and histograms are deltas: unless the user wants another temporality.

    A short run's cumulative counter is one sample of a series: nothing can be summed
    over runs. Deltas of all runs are simply added.
    """
    wanted = env.get("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "")
    return wanted.strip().lower() != "cumulative"


def _milliseconds(env: Mapping[str, str], variable: str, otherwise: float) -> float:
    try:
        stated = float(env.get(variable, ""))
    except ValueError:
        return otherwise
    return stated if 0 < stated < threading.TIMEOUT_MAX else otherwise
