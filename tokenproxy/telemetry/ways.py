"""The ways out: what takes spans and measurements, and what became of them.

There are two. :mod:`tokenproxy.telemetry.otlp` writes and sends OTLP over HTTP itself, at
a fraction of the SDK's cost a call and at a run's end; it is taken unless the environment
asks for what only OpenTelemetry's SDK does (:mod:`tokenproxy.telemetry.sdk`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import msgspec

from tokenproxy.telemetry.delivery import Delivery
from tokenproxy.telemetry.instruments import Meter
from tokenproxy.telemetry.span import SpanTaker
from tokenproxy.telemetry.switch import Signal

logger = logging.getLogger(__name__)


class MeasureTaker(Meter, Protocol):
    """A way out for measurements: its instruments take them."""

    def shutdown(self) -> None:
        """Export what is left; blocks while that takes. Once."""
        ...


class Ways(msgspec.Struct, kw_only=True):
    """Those of one process. None: the signal is off."""

    spans: SpanTaker | None = None
    measures: MeasureTaker | None = None
    deliveries: list[Delivery] = []
    """Of the exporters that can fail."""
    leave: dict[str, Callable[[], bool]] = {}
    """``spans`` or ``metrics`` -> keeps what is not delivered when time is up, and tells whether
    nothing is lost. Only where there is a spool."""
    problems: list[str] = []
    """Sentences about what cannot be followed."""

    @contextmanager
    def said(self, signal: Signal) -> Iterator[None]:
        """A value that cannot be taken costs the signal, not the run."""
        try:
            yield
        except Exception as error:
            logger.exception("no %s", signal)
            detail = " ".join(str(error).split()) or type(error).__name__
            off = f"are off for this run: {detail}"
            before = next((one for one in self.problems if one.endswith(off)), None)
            if before is None:
                self.problems.append(f"telemetry: {signal} {off}")
            else:  # both for one reason
                both = before.replace(f" {off}", f" and {signal} {off}")
                self.problems[self.problems.index(before)] = both
