"""Our multiplication against the price library's own, and what it leaves open."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import genai_prices
import pytest
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, Provider, Tier, TieredPrices
from hypothesis import given
from hypothesis import strategies as st

from tokenproxy.record import price_rules as rules
from tokenproxy.record.price_rates import PRICE_KEYS, Rates, at, cost_of, make_rates
from tokenproxy.wire.usage import MODALITIES, UsagePart

NOW = datetime(2026, 11, 22, 0, 54, tzinfo=UTC)

EVERY_KEY: dict[str, Decimal] = {
    key: Decimal(number) for number, key in enumerate(sorted(PRICE_KEYS), 1)
}


def no_tool(_: str) -> rules.ToolPrice:
    return None


def usage(**counts: Any) -> UsagePart:
    return UsagePart(**counts)


def cost(prices: dict[str, Decimal], part: UsagePart, **how: Any) -> Decimal | None:
    rates = make_rates(prices.get, **how)
    return cost_of(rates, part, lambda tool: rules.tool_price("openai", "gpt-5", tool))


def models() -> Iterator[tuple[Provider, ModelInfo]]:
    for provider in get_snapshot().providers:
        for model in provider.models:
            yield provider, model


def random_part(rng: random.Random) -> UsagePart:
    """Counts of every kind, at a scale that crosses the tiers."""
    scale = rng.choice([1_000, 150_000, 600_000])
    read, short, hour, uncached = (rng.randrange(3, scale) for _ in range(4))
    output = rng.randrange(6, scale)
    share = {"input": uncached, "cache": read, "output": output}
    return UsagePart(
        uncached_input_tokens=uncached,
        cache_read_input_tokens=read,
        cache_creation_input_tokens=short + hour,
        cache_creation_5m_input_tokens=short,
        cache_creation_1h_input_tokens=hour,
        output_tokens=output,
        reasoning_output_tokens=rng.randrange(output // 6 + 1),
        modality_tokens={
            name: rng.randrange(share[name.partition("_")[0]] // 6 + 1) for name in MODALITIES
        },
    )


def their_usage(part: UsagePart) -> genai_prices.Usage:
    """The same in the library's terms: its sets contain what ours leave out."""
    modal = part.modality_tokens
    read = part.cache_read_input_tokens or 0
    short = part.cache_creation_5m_input_tokens or 0
    hour = part.cache_creation_1h_input_tokens or 0
    return genai_prices.Usage(
        input_tokens=(part.uncached_input_tokens or 0) + read + short + hour,
        cache_read_tokens=read,
        cache_write_tokens=short + hour,
        cache_write_5m_tokens=short,
        cache_write_1h_tokens=hour,
        input_audio_tokens=modal["input_audio"] + modal["cache_audio_read"],
        input_image_tokens=modal["input_image"] + modal["cache_image_read"],
        input_video_tokens=modal["input_video"],
        cache_audio_read_tokens=modal["cache_audio_read"],
        cache_image_read_tokens=modal["cache_image_read"],
        output_tokens=part.output_tokens,
        output_reasoning_tokens=part.reasoning_output_tokens,
        output_audio_tokens=modal["output_audio"],
        output_image_tokens=modal["output_image"],
        output_video_tokens=modal["output_video"],
        output_citation_tokens=modal["output_citation"],
    )


def test_equal_to_the_librarys_own_calculator() -> None:
    """For every model of every provider under all its conditions, every kind of tokens in it."""
    rng = random.Random(7)
    compared = modal = conditional = 0
    for provider, model in models():
        contexts: list[dict[str, str]] = [{}]
        contexts += [dict(variant.when) for variant in model.price_variants or ()]
        for context in contexts:
            part = random_part(rng)
            prices = model.get_prices(NOW, context)
            ours = cost_of(make_rates(vars(prices).get), part, no_tool)
            if ours is None:
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                theirs = model.calc_price(
                    their_usage(part),
                    provider,
                    genai_request_timestamp=NOW,
                    price_context=context,
                )
            assert ours == theirs.total_price, (provider.id, model.id, context)
            compared += 1
            conditional += bool(context)
            modal += any(vars(prices).get(f"{name}_mtok") is not None for name in MODALITIES)
    assert compared > 1_700
    assert conditional > 150
    assert modal > 30


def test_what_the_library_can_price_and_we_cannot() -> None:
    """A kind without a price costs nothing with them; with us the cost is unknown."""
    open_kinds: dict[str, int] = {}
    for _, model in models():
        prices = vars(model.get_prices(NOW))
        rates = make_rates(prices.get)
        for kind, price in rates.tokens.items():
            if price is None and prices.get("input_mtok") and prices.get("output_mtok"):
                open_kinds[kind] = open_kinds.get(kind, 0) + 1
    assert set(open_kinds) == {"write_1h", "write_12h"}


def test_every_kind_has_its_own_price() -> None:
    """One million of each kind costs that kind's price and nothing else."""
    kinds = {
        "uncached_input_tokens": "input_mtok",
        "cache_read_input_tokens": "cache_read_mtok",
        "cache_creation_5m_input_tokens": "cache_write_5m_mtok",
        "cache_creation_1h_input_tokens": "cache_write_1h_mtok",
        "cache_creation_30m_input_tokens": "cache_write_mtok",
        "output_tokens": "output_mtok",
    }
    request = EVERY_KEY["requests_kcount"] / 1_000
    for count, key in kinds.items():
        found = cost(EVERY_KEY, usage(**{count: 1_000_000}))
        assert found == EVERY_KEY[key] + request, count


@pytest.mark.parametrize(
    ("name", "whole"),
    [
        *((name, "uncached_input_tokens") for name in MODALITIES if name.startswith("input")),
        *((name, "cache_read_input_tokens") for name in MODALITIES if name.startswith("cache")),
        *((name, "output_tokens") for name in MODALITIES if name.startswith("output")),
    ],
)
def test_a_subset_is_billed_instead_of_the_text(name: str, whole: str) -> None:
    prices = {key: price for key, price in EVERY_KEY.items() if not key.startswith("requests")}
    part = usage(**{whole: 3_000_000, "modality_tokens": {name: 1_000_000}})
    text = {
        "uncached_input_tokens": "input_mtok",
        "cache_read_input_tokens": "cache_read_mtok",
        "output_tokens": "output_mtok",
    }[whole]
    assert cost(prices, part) == 2 * prices[text] + prices[f"{name}_mtok"]
    del prices[f"{name}_mtok"]
    assert cost(prices, part) == 3 * prices[text]


def test_cached_audio_of_a_model_without_cache_prices_is_audio() -> None:
    prices = {"input_mtok": Decimal(1), "input_audio_mtok": Decimal(8)}
    part = UsagePart(
        cache_read_input_tokens=2_000_000, modality_tokens={"cache_audio_read": 1_000_000}
    )
    assert cost(prices, part) == 9


def test_reasoning_of_a_model_that_prices_it_apart() -> None:
    prices = {"output_mtok": Decimal(8), "output_reasoning_mtok": Decimal(3)}
    part = UsagePart(output_tokens=1_000_000, reasoning_output_tokens=500_000)
    assert cost(prices, part) == Decimal("5.5")


def test_a_longer_time_to_live_is_not_billed_as_a_shorter_one() -> None:
    writes = {"input_mtok": Decimal(4), "cache_write_mtok": Decimal(5)}
    hour = UsagePart(cache_creation_1h_input_tokens=1_000_000)
    half_day = UsagePart(cache_creation_12h_input_tokens=1_000_000)
    assert cost(writes, hour) is None
    assert cost(writes, half_day) is None
    assert cost(writes, half_day, factor_12h=Decimal(2)) == 10


def test_writes_that_are_not_charged_are_input() -> None:
    free = {"input_mtok": Decimal(4)}
    for kind in ("5m", "1h", "30m", "12h"):
        part = usage(**{f"cache_creation_{kind}_input_tokens": 1_000_000})
        assert cost(free, part, factor_12h=Decimal(2)) == 4, kind


def test_writes_without_a_time_to_live_are_the_rest() -> None:
    prices = {
        "input_mtok": Decimal(1),
        "cache_write_mtok": Decimal(10),
        "cache_write_1h_mtok": Decimal(100),
    }
    part = UsagePart(
        cache_creation_input_tokens=4_000_000,
        cache_creation_1h_input_tokens=1_000_000,
        cache_creation_30m_input_tokens=1_000_000,
        cache_creation_12h_input_tokens=1_000_000,
    )
    assert cost(prices, part, factor_12h=Decimal(2)) == 10 + 100 + 10 + 20


def test_the_factor_is_on_tokens_and_not_on_tools_or_requests() -> None:
    part = UsagePart(
        uncached_input_tokens=1_000_000, server_tool_use={"web_search_requests": 1_000}
    )
    prices = {
        "input_mtok": Decimal(4),
        "web_searches_kcount": Decimal(10),
        "requests_kcount": Decimal(1_000),
    }
    assert cost(prices, part, factor=Decimal("0.5")) == 2 + 10 + 1


def test_searching_that_is_charged_once_a_call() -> None:
    part = UsagePart(server_tool_use={"web_search_requests": 3})
    prices = {"web_searches_kcount": Decimal(35)}
    assert cost(prices, part, one_search=True) == Decimal("0.035")
    assert cost(prices, part) == Decimal("0.105")


def test_searches_of_a_model_that_is_paid_by_request_are_in_that() -> None:
    part = UsagePart(server_tool_use={"web_search_requests": 3})
    assert cost({"requests_kcount": Decimal(12)}, part) == Decimal("0.012")
    both = {"requests_kcount": Decimal(12), "web_searches_kcount": Decimal(5)}
    assert cost(both, part) == Decimal("0.027")


def test_the_highest_tier_reached_is_the_price_of_all() -> None:
    steps = TieredPrices(
        base=Decimal(1),
        tiers=[Tier(start=100, price=Decimal(2)), Tier(start=200, price=Decimal(3))],
    )
    assert [at(steps, inputs) for inputs in (0, 100, 101, 200, 201)] == [1, 1, 2, 2, 3]


def test_output_does_not_raise_the_tier() -> None:
    steps = TieredPrices(base=Decimal(1), tiers=[Tier(start=100, price=Decimal(2))])
    part = UsagePart(
        uncached_input_tokens=0,
        output_tokens=1_000_000,
        reasoning_output_tokens=500_000,
        modality_tokens={"output_audio": 10},
    )
    rates: Rates = make_rates({"output_mtok": steps}.get)
    assert cost_of(rates, part, no_tool) == 1


@given(
    output=st.integers(0, 1_000),
    reasoning=st.integers(0, 2_000),
    modal=st.dictionaries(st.sampled_from((*MODALITIES, "output_smell")), st.integers(0, 2_000)),
)
def test_subsets_never_bill_more_than_their_whole(
    output: int, reasoning: int, modal: dict[str, int]
) -> None:
    one = dict.fromkeys(PRICE_KEYS, Decimal(1_000_000)) | {"requests_kcount": Decimal(0)}
    part = UsagePart(
        uncached_input_tokens=7,
        cache_read_input_tokens=5,
        output_tokens=output,
        reasoning_output_tokens=reasoning,
        modality_tokens=modal,
    )
    assert cost(one, part) == 7 + 5 + output
