"""Shares of a row always add up to the row."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.telemetry import scene
from tokenproxy.record.row import Row, RowPart
from tokenproxy.telemetry.counts import kinds, shares
from tokenproxy.telemetry.money import nanodollars

COUNT = st.none() | st.integers(0, 10**9)
COST = st.none() | st.floats(0, 1000, allow_nan=False)


def base() -> Row:
    row = scene.row_of(scene.calls()[0])
    assert row is not None
    return row


PART = st.builds(
    RowPart,
    model=st.sampled_from(["a", "b", None]),
    input_tokens=COUNT,
    output_tokens=COUNT,
    uncached_input_tokens=COUNT,
    cache_read_input_tokens=COUNT,
    cache_creation_input_tokens=COUNT,
    cache_creation_5m_input_tokens=COUNT,
    cache_creation_1h_input_tokens=COUNT,
    reasoning_output_tokens=COUNT,
    billable=st.sampled_from([None, True, False]),
    cost_usd=COST,
)


@given(st.lists(PART, max_size=4), COUNT, COUNT, COST)
def test_whatever_the_parts_say_the_sum_is_the_row_s(
    parts: list[RowPart], total: int | None, output: int | None, cost: float | None
) -> None:
    row = msgspec.structs.replace(
        base(),
        parts=tuple(parts) or None,
        input_tokens=total,
        output_tokens=output,
        cost_usd=cost,
        model="m",
    )
    found = shares(row)
    summed: Counter[str] = Counter()
    for share in found:
        summed.update(share.kinds)
    assert +summed == +Counter(kinds(row))
    assert sum(share.cost_nanos for share in found) == nanodollars(cost)
    assert all(share.cost_nanos >= 0 for share in found)


def test_parts_that_add_up_are_kept_apart() -> None:
    row = scene.row_of(scene.calls()[4])
    assert row is not None
    assert [(share.model, share.output_tokens) for share in shares(row)] == [
        ("claude-sonnet-4-5-20250929", 55),
        (scene.HAIKU, 30),
    ]


def test_a_part_that_is_not_charged_is_in_no_share() -> None:
    row = scene.row_of(scene.calls()[4])
    assert row is not None
    assert row.parts is not None
    declined = RowPart(model="x", role="fallback_declined", billable=False, output_tokens=9)
    more = msgspec.structs.replace(row, parts=(declined, *row.parts))
    assert shares(more) == shares(row)


@pytest.mark.parametrize(
    ("usd", "nanos"),
    [(None, 0), (0.0, 0), (0.00000003, 30), (0.07232, 72_320_000), (1234.5, 1_234_500_000_000)],
)
def test_nanodollars(usd: float | None, nanos: int) -> None:
    assert nanodollars(usd) == nanos
