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
    cache_creation_30m_input_tokens=COUNT,
    cache_creation_12h_input_tokens=COUNT,
    reasoning_output_tokens=COUNT,
    billable=st.sampled_from([None, True, False]),
    cost_usd=COST,
)


@given(st.lists(PART, max_size=4), COUNT, COUNT, COST, COST)
def test_whatever_the_parts_say_the_sum_is_the_row_s(
    parts: list[RowPart],
    total: int | None,
    output: int | None,
    cost: float | None,
    stated: float | None,
) -> None:
    row = msgspec.structs.replace(
        base(),
        parts=tuple(parts) or None,
        input_tokens=total,
        output_tokens=output,
        cost_usd=cost,
        provider_cost_usd=stated,
        model="m",
    )
    found = shares(row)
    summed: Counter[str] = Counter()
    for share in found:
        summed.update(share.kinds)
    assert +summed == +Counter(kinds(row))
    spent = cost if stated is None else stated
    assert sum(share.cost_nanos for share in found) == nanodollars(spent)
    assert all(share.cost_nanos >= 0 for share in found)


def test_parts_that_add_up_are_kept_apart() -> None:
    row = scene.row_of(scene.calls()[4])
    assert row is not None
    assert [(share.model, share.output_tokens) for share in shares(row)] == [
        ("claude-sonnet-4-5-20250929", 55),
        (scene.HAIKU, 30),
    ]


def test_what_the_provider_states_is_divided_as_our_costs_are() -> None:
    row = scene.row_of(scene.calls()[4])
    assert row is not None
    assert row.parts is not None
    first, second = row.parts

    def divided(*costs: float | None) -> list[int]:
        parts = (
            msgspec.structs.replace(first, cost_usd=costs[0]),
            msgspec.structs.replace(second, cost_usd=costs[1]),
        )
        stated = msgspec.structs.replace(row, parts=parts, provider_cost_usd=0.5)
        return [share.cost_nanos for share in shares(stated)]

    assert divided(0.03, 0.01) == [375_000_000, 125_000_000]
    assert divided(0.03, None) == [500_000_000, 0]
    assert divided(0.0, 0.0) == [500_000_000, 0]


def test_writes_by_every_time_to_live_are_kinds_of_their_own() -> None:
    counts = RowPart(
        cache_creation_input_tokens=100,
        cache_creation_30m_input_tokens=60,
        cache_creation_12h_input_tokens=30,
    )
    assert kinds(counts) == {
        "cache_creation_30m": 60,
        "cache_creation_12h": 30,
        "cache_creation_other": 10,
    }


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
