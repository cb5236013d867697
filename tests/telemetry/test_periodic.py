"""Measurements that are exported from time to time, and at the end."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tokenproxy.telemetry.measured import Metric
from tokenproxy.telemetry.periodic import PeriodicMeasures, deltas

TEMPORALITY = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"


class Taker:
    """Keeps what it is given, or fails."""

    def __init__(self, *, fails: bool = False) -> None:
        self.taken: list[Sequence[Metric]] = []
        self.timeouts: list[float] = []
        self.over = 0
        self._fails = fails

    def export(self, found: Sequence[Metric], timeout_s: float) -> None:
        self.taken.append(found)
        self.timeouts.append(timeout_s)
        if self._fails:
            raise OSError

    def shutdown(self) -> None:
        self.over += 1


@pytest.mark.parametrize("fails", [False, True])
def test_the_end_exports_what_is_left_once(*, fails: bool) -> None:
    taker = Taker(fails=fails)
    measures = PeriodicMeasures({}, taker)
    measures.create_counter("c").bind({}).add(3, None)
    measures.shutdown()
    measures.shutdown()
    assert (len(taker.taken), taker.over, taker.timeouts) == (1, 1, [30.0])


@pytest.mark.parametrize("instruments", [0, 1])
def test_what_measured_nothing_exports_nothing(instruments: int) -> None:
    taker = Taker()
    measures = PeriodicMeasures({}, taker)
    for number in range(instruments):
        measures.create_counter(f"c{number}").bind({})
    measures.shutdown()
    assert taker.taken == []


@pytest.mark.parametrize("value", ["", "nonsense", "0", "-5", "nan", "inf", "1e300"])
def test_an_interval_that_is_none_is_the_usual(value: str) -> None:
    measures = PeriodicMeasures({"OTEL_METRIC_EXPORT_INTERVAL": value}, Taker())
    assert measures._interval_s == 60
    measures.shutdown()


def test_the_variables_are_milliseconds() -> None:
    env = {"OTEL_METRIC_EXPORT_INTERVAL": "250", "OTEL_METRIC_EXPORT_TIMEOUT": "1500"}
    measures = PeriodicMeasures(env, Taker())
    assert (measures._interval_s, measures._timeout_s) == (0.25, 1.5)
    measures.shutdown()


@pytest.mark.parametrize(
    ("value", "delta"), [("", True), ("lowmemory", True), ("odd", True), (" Cumulative", False)]
)
def test_the_temporality_is_the_users(value: str, *, delta: bool) -> None:
    assert deltas({TEMPORALITY: value}) is delta
    measures = PeriodicMeasures({TEMPORALITY: value}, Taker())
    assert measures.delta is delta
    measures.shutdown()
