from __future__ import annotations

import pytest

from benchmarks.figures import Figure, Figures
from benchmarks.measure import Sample
from tests.benchmarks.samples import sample


def rate(sample: Sample) -> float:
    return sample.rate


def test_a_figure_is_the_median_of_what_is_known_and_its_spread() -> None:
    assert Figure.of([3.0, None, 1.0, 10.0]) == Figure(3.0, 1.0, 10.0)
    assert Figure.of([None]) is None


def test_a_ratio_is_taken_within_a_round() -> None:
    """The machine was half as fast in the second: the ratio is the same."""
    figures = Figures(
        [
            sample("nginx", 100), sample("tokenproxy", 50),
            sample("nginx", 50, round=1), sample("tokenproxy", 25, round=1),
        ]
    )  # fmt: skip
    assert figures.ratio("sse", 16, "tokenproxy", "nginx", rate) == Figure(0.5, 0.5, 0.5)


def test_what_is_added_is_measured_from_the_direct_way_of_the_same_round() -> None:
    figures = Figures(
        [
            sample("direct", ttfb_p50_ms=1.0), sample("nginx", ttfb_p50_ms=1.5),
            sample("direct", round=1, ttfb_p50_ms=2.0), sample("nginx", round=1, ttfb_p50_ms=3.0),
        ]
    )  # fmt: skip
    added = figures.added("sse", 16, "nginx", lambda sample: sample.ttfb_p50_ms)
    assert added == Figure(0.75, 0.5, 1.0)


def test_two_scenarios_of_a_peer_are_compared() -> None:
    figures = Figures([sample("tokenproxy", 130), sample("tokenproxy", 100, scenario="tls")])
    found = figures.scenario_ratio("tokenproxy", ("sse", 16), ("tls", 16), rate)
    assert found is not None
    assert found.median == pytest.approx(1.3)


def test_what_was_not_measured_is_unknown() -> None:
    figures = Figures([sample("tokenproxy")])
    assert figures.ratio("sse", 16, "tokenproxy", "nginx", rate) is None
    assert figures.value("json", 16, "tokenproxy", rate) is None
    nothing = Figures([sample("nginx", 0), sample("tokenproxy", 1)])
    assert nothing.ratio("sse", 16, "tokenproxy", "nginx", rate) is None


def test_peers_and_loads_stand_as_they_were_measured() -> None:
    figures = Figures([sample("direct"), sample("nginx"), sample("direct", streams=1)])
    assert figures.peers == ["direct", "nginx"]
    assert figures.loads == [("sse", 16), ("sse", 1)]
