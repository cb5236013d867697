from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenproxy.units import duration, si, usd


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (1, "1"),
        (500, "500"),
        (999, "999"),
        (1000, "1.0k"),
        (5_190, "5.2k"),
        (10_911, "10.9k"),
        (567_890, "567.9k"),
        (789_000, "789.0k"),
        (999_949, "999.9k"),
        (999_950, "1.0M"),
        (1_234_567, "1.2M"),
        (999_999_999, "1.0G"),
        (4_500_000_000_000, "4.5T"),
        (-5_200, "-5.2k"),
    ],
)
def test_counts(count: int, text: str) -> None:
    assert si(count) == text


@given(st.integers(min_value=0, max_value=10**17))
def test_a_count_never_shows_a_thousand_of_a_step(count: int) -> None:
    number = float(si(count).rstrip("kMGTP"))
    assert number < 1000


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "$0.00"),
        (0.0723, "$0.0723"),
        (0.07232, "$0.0723"),
        (0.5, "$0.5000"),
        (0.99994, "$0.9999"),
        (0.99996, "$1.00"),
        (1, "$1.00"),
        (12.34, "$12.34"),
        (1234.5, "$1,234.50"),
        (0.001, "$0.0010"),
        (0.00042, "$0.00042"),
        (0.000042, "$0.000042"),
        (0.0000995, "$0.00010"),
        (-0.0723, "-$0.0723"),
    ],
)
def test_money(amount: float, text: str) -> None:
    assert usd(amount) == text


@given(st.floats(min_value=1e-9, max_value=1e6))
def test_money_that_was_spent_never_reads_as_nothing(amount: float) -> None:
    assert float(usd(amount).lstrip("$").replace(",", "")) == pytest.approx(amount, rel=0.06)


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0 ms"),
        (3.4, "3 ms"),
        (850, "850 ms"),
        (999.4, "999 ms"),
        (999.6, "1.0 s"),
        (3_240, "3.2 s"),
        (59_940, "59.9 s"),
        (59_960, "1 min 0 s"),
        (125_000, "2 min 5 s"),
        (3_599_700, "1 h 0 min"),
        (3_780_000, "1 h 3 min"),
        (90_000_000, "1 d 1 h"),
        (-850, "-850 ms"),
    ],
)
def test_time(ms: float, text: str) -> None:
    assert duration(ms) == text
