from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenproxy.wire import notes
from tokenproxy.wire.anthropic.usage import (
    Tally,
    bad_counts,
    merge,
    plus,
    settle_cache_split,
    settle_reasoning,
    tally,
)

COUNT = st.none() | st.integers(0, 1000)


@pytest.mark.parametrize(
    ("held", "update", "merged"),
    [
        ({}, {}, {}),
        ({"input_tokens": 25}, {"input_tokens": 10_682}, {"input_tokens": 10_682}),
        ({"input_tokens": 25}, {"input_tokens": None}, {"input_tokens": 25}),
        ({"input_tokens": 25}, {}, {"input_tokens": 25}),
        ({"input_tokens": 25}, {"input_tokens": 0}, {"input_tokens": 0}),
        ({"input_tokens": 25}, {"input_tokens": "12"}, {"input_tokens": 25}),
        ({"input_tokens": 25}, {"input_tokens": -1}, {"input_tokens": 25}),
        (
            {"speed": "fast"},
            {"speed": None, "output_tokens": 3},
            {"speed": "fast", "output_tokens": 3},
        ),
        ({"iterations": [1]}, {"iterations": None}, {"iterations": [1]}),
        ({"iterations": [1]}, {"iterations": [2]}, {"iterations": [2]}),
        (
            {"cache_creation": {"ephemeral_5m_input_tokens": 7}},
            {"cache_creation_input_tokens": 9},
            {"cache_creation": {"ephemeral_5m_input_tokens": 7}, "cache_creation_input_tokens": 9},
        ),
    ],
)
def test_merge(held: dict[str, Any], update: dict[str, Any], merged: dict[str, Any]) -> None:
    assert merge(held, update) == merged


@pytest.mark.parametrize(
    ("usage", "bad"),
    [
        ({"input_tokens": 0, "output_tokens": None}, False),
        ({"input_tokens": "0"}, True),
        ({"output_tokens": -1}, True),
        ({"output_tokens": 1.5}, True),
        ({"cache_read_input_tokens": True}, True),
        ({"something_else": "x"}, False),
    ],
)
def test_bad_counts(usage: dict[str, Any], bad: bool) -> None:
    assert bad_counts(usage) is bad


def test_tally_adds_what_is_known() -> None:
    assert tally([]) == Tally()
    assert (
        tally([{}, {"input_tokens": None, "server_tool_use": None, "cache_creation": 3}]) == Tally()
    )
    total = tally(
        [
            {
                "input_tokens": 1,
                "output_tokens": 5,
                "cache_creation_input_tokens": 7,
                "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4},
                "output_tokens_details": {"thinking_tokens": 2},
                "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0, "new": "x"},
            },
            {
                "input_tokens": 10,
                "cache_read_input_tokens": 20,
                "cache_creation": {"ephemeral_1h_input_tokens": 5},
                "server_tool_use": {"web_search_requests": 1, "code_execution_requests": 1},
            },
        ]
    )
    assert total == Tally(
        uncached=11,
        cache_read=20,
        cache_creation=12,
        cache_5m=3,
        cache_1h=9,
        output=5,
        reasoning=2,
        server_tools={
            "web_search_requests": 3,
            "web_fetch_requests": 0,
            "code_execution_requests": 1,
        },
    )


REMAINDER, EXCEEDS = [notes.CACHE_SPLIT_REMAINDER], [notes.CACHE_SPLIT_EXCEEDS]


@pytest.mark.parametrize(
    ("total", "split", "stated", "settled", "said"),
    [
        # total, its own (5m, 1h), the top level's (5m, 1h) -> (5m, 1h), notes
        (None, (None, None), (None, None), (None, None), []),
        (0, (None, None), (None, None), (None, None), []),
        (0, (0, 0), (None, None), (0, 0), []),
        (2048, (2000, 48), (None, None), (2000, 48), []),
        (2048, (None, None), (2000, 48), (2000, 48), []),
        (2048, (None, None), (None, None), (2048, None), REMAINDER),
        (2048, (None, None), (1000, 48), (2048, None), REMAINDER),
        (2048, (2000, 0), (None, None), (2048, 0), REMAINDER),
        (2048, (None, 2000), (None, None), (48, 2000), REMAINDER),
        (2048, (2000, 40), (2000, 40), (2008, 40), REMAINDER),
        (100, (2000, 48), (None, None), (52, 48), EXCEEDS),
        (40, (2000, 48), (None, None), (0, 40), EXCEEDS),
        (0, (2000, 48), (None, None), (0, 0), EXCEEDS),
    ],
)
def test_cache_split(
    total: int | None,
    split: tuple[int | None, int | None],
    stated: tuple[int | None, int | None],
    settled: tuple[int | None, int | None],
    said: list[str],
) -> None:
    counts = Tally(cache_creation=total, cache_5m=split[0], cache_1h=split[1])
    top = Tally(cache_creation=total, cache_5m=stated[0], cache_1h=stated[1])
    assert settle_cache_split(counts, top) == said
    assert (counts.cache_5m, counts.cache_1h) == settled


@given(COUNT, COUNT, COUNT, COUNT, COUNT)
def test_a_settled_split_adds_up(
    total: int | None,
    five: int | None,
    hour: int | None,
    top_five: int | None,
    top_hour: int | None,
) -> None:
    counts = Tally(cache_creation=total, cache_5m=five, cache_1h=hour)
    settle_cache_split(counts, Tally(cache_5m=top_five, cache_1h=top_hour))
    if total:
        assert (counts.cache_5m or 0) + (counts.cache_1h or 0) == total
    assert counts.cache_creation == total


def test_reasoning_is_never_more_than_output() -> None:
    fine, wrong = Tally(output=9, reasoning=9), Tally(output=9, reasoning=10)
    assert settle_reasoning(fine) == []
    assert fine.reasoning == 9
    assert settle_reasoning(wrong) == [notes.REASONING_EXCEEDS_OUTPUT]
    assert wrong.reasoning is None
    assert settle_reasoning(Tally(reasoning=3)) == []


@pytest.mark.parametrize(
    ("left", "right", "both"),
    [(None, None, None), (1, None, 1), (None, 2, 2), (1, 2, 3), (0, None, 0)],
)
def test_plus(left: int | None, right: int | None, both: int | None) -> None:
    assert plus(left, right) == both
