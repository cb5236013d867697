from __future__ import annotations

from typing import Any

import pytest

from tests.wire.fixtures.bedrock import usage
from tokenproxy.wire import notes
from tokenproxy.wire.anthropic.usage import Tally
from tokenproxy.wire.bedrock.counts import bill, counts_of, header_counts, speed_of, tier_of
from tokenproxy.wire.usage import UsagePart

HEADER = "x-amzn-bedrock-"


@pytest.mark.parametrize(
    ("stated", "counts"),
    [
        ({}, None),
        ({"totalTokens": 5}, None),
        ({"inputTokens": 12}, Tally(uncached=12)),
        ({"outputTokens": 0}, Tally(output=0)),
        ({"inputTokenCount": 1, "outputTokenCount": 2, "cacheReadInputTokenCount": 3,
          "cacheWriteInputTokenCount": 4},
         Tally(uncached=1, output=2, cache_read=3, cache_creation=4)),
        ({"prompt_token_count": 1, "generation_token_count": 2}, Tally(uncached=1, output=2)),
        ({"inputTextTokenCount": 1, "totalOutputTextTokenCount": 2}, Tally(uncached=1, output=2)),
        ({"input_tokens": 1, "output_tokens": 2}, Tally(uncached=1, output=2)),
        ({"inputTokens": 1, "cacheDetails": [{"ttl": "1h", "inputTokens": 5}]},
         Tally(uncached=1, cache_creation=5, cache_1h=5)),
        ({"inputTokens": 1, "cacheDetails": [7, {"ttl": "1h"}, {"ttl": "5m", "inputTokens": "5"},
                                             {"ttl": "9d", "inputTokens": 5}, None]},
         Tally(uncached=1)),
        ({"inputTokens": 1, "cacheDetails": {"ttl": "1h"}}, Tally(uncached=1)),
    ],
)  # fmt: skip
def test_shapes(stated: dict[str, Any], counts: Tally | None) -> None:
    assert counts_of(stated) == counts


@pytest.mark.parametrize(
    ("stated", "said", "balanced"),
    [
        (usage(12, 55), (), True),
        (usage(12, 55, totalTokens=None), (), True),
        (usage(12, 55, cacheReadInputTokens=7), (), True),
        (usage(12, 55, cacheReadInputTokens=7, totalTokens=74), (), True),
        (usage(12, 55, cacheReadInputTokens=7, totalTokens=73), (notes.TOTAL_MISMATCH,), False),
        (usage(12, 55, cacheReadInputTokens=-7), (notes.BAD_COUNT,), True),
        (usage(12, 55, cacheWriteInputTokens=7), (notes.CACHE_SPLIT_REMAINDER,), True),
        (
            usage(12, 55, cacheWriteInputTokens=7, cacheDetails=[{"ttl": "1h", "inputTokens": 8}]),
            (notes.CACHE_SPLIT_EXCEEDS,),
            True,
        ),
    ],
)
def test_what_is_odd(stated: dict[str, Any], said: tuple[str, ...], balanced: bool) -> None:
    found = bill(stated, tier=None, speed=None)
    assert (found.notes, found.balanced) == (said, balanced)


def test_cache_writes_of_unknown_life_are_five_minutes() -> None:
    details = [{"ttl": "1h", "inputTokens": 5}, {"ttl": "9d", "inputTokens": 1}]
    found = bill(
        usage(1, 2, cacheWriteInputTokens=8, cacheDetails=details), tier="flex", speed="optimized"
    )
    assert found.part == UsagePart(
        uncached_input_tokens=1,
        cache_creation_input_tokens=8,
        cache_creation_5m_input_tokens=3,
        cache_creation_1h_input_tokens=5,
        output_tokens=2,
        service_tier="flex",
        speed="optimized",
    )


def test_openais_shape_is_read_by_its_own_rules() -> None:
    found = bill(
        {
            "prompt_tokens": 112,
            "completion_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 9},
        },
        tier="priority",
        speed=None,
    )
    assert found.part == UsagePart(
        uncached_input_tokens=103, cache_read_input_tokens=9, output_tokens=5,
        service_tier="priority",
    )  # fmt: skip


def test_headers() -> None:
    headers = {
        f"{HEADER}input-token-count": "12",
        f"{HEADER}output-token-count": "-5",
        f"{HEADER}cache-read-input-token-count": "\u0663",
        f"{HEADER}cache-write-input-token-count": "9" * 400,
        f"{HEADER}invocation-latency": "99",
        f"{HEADER}service-tier": "flex",
        "input-token-count": "7",
    }
    assert header_counts(headers) == {f"{HEADER}input-token-count": 12}
    for huge in ("0" * 5000, "0" * 20 + "9" * 300, "9" * 17):
        assert header_counts({f"{HEADER}input-token-count": huge}) == {}
    assert tier_of(headers) == "flex"
    assert tier_of({}) is None


@pytest.mark.parametrize(
    ("latency", "speed"),
    [(None, None), ("", None), ("standard", None), ("optimized", "optimized")],
)
def test_speed(latency: str | None, speed: str | None) -> None:
    assert speed_of(latency) == speed
