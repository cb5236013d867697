from __future__ import annotations

import random
import subprocess
import sys
import warnings
from datetime import UTC, datetime
from decimal import Decimal

import genai_prices
import pytest
from genai_prices.data_snapshot import DataSnapshot, get_snapshot, set_custom_snapshot
from genai_prices.types import Tier, TieredPrices

from tests.record.make import MODEL, T0
from tokenproxy.record import price_rules
from tokenproxy.record.price import Prices, _at
from tokenproxy.wire.usage import UsagePart

GOLDEN = UsagePart(
    uncached_input_tokens=3,
    cache_read_input_tokens=100_000,
    cache_creation_input_tokens=1_000,
    cache_creation_1h_input_tokens=1_000,
    output_tokens=500,
    server_tool_use={"web_search_requests": 2, "web_fetch_requests": 4},
)


@pytest.fixture(scope="module")
def prices() -> Prices:
    made = Prices()
    made.load()
    return made


def cost(
    prices: Prices,
    part: UsagePart,
    model: str = MODEL,
    *,
    provider: str = "anthropic",
    at_ns: int = T0,
    lower_bound: bool = False,
) -> Decimal | None:
    return prices.cost(
        provider=provider, model=model, part=part, at_ns=at_ns, lower_bound=lower_bound
    )


def plain(**extra: object) -> UsagePart:
    return UsagePart(
        **({"uncached_input_tokens": 1_000_000, "output_tokens": 100_000} | extra),  # type: ignore[arg-type] # a table's row
    )


def test_golden_number(prices: Prices) -> None:
    assert cost(prices, GOLDEN) == Decimal("0.058012")


def test_golden_run_of_five_calls(prices: Prices) -> None:
    total = Decimal(0)
    for output in (55, 42, 77, 42, 42):
        one = cost(
            prices,
            UsagePart(
                uncached_input_tokens=12,
                cache_read_input_tokens=15_000,
                cache_creation_input_tokens=2_048,
                cache_creation_5m_input_tokens=2_000,
                cache_creation_1h_input_tokens=48,
                output_tokens=output,
            ),
        )
        assert one is not None
        total += one
    assert total == Decimal("0.07232")


def test_writes_without_a_time_to_live_are_five_minute_writes(prices: Prices) -> None:
    split = plain(
        cache_creation_input_tokens=1_000,
        cache_creation_5m_input_tokens=700,
        cache_creation_1h_input_tokens=300,
    )
    rest = plain(cache_creation_input_tokens=1_000, cache_creation_1h_input_tokens=300)
    no_total = plain(cache_creation_5m_input_tokens=700, cache_creation_1h_input_tokens=300)
    assert cost(prices, split) == cost(prices, rest) == cost(prices, no_total)


def test_geography_multiplies_tokens_and_not_searches(prices: Prices) -> None:
    us = UsagePart(
        uncached_input_tokens=1_000_000,
        output_tokens=0,
        inference_geo="us",
        server_tool_use={"web_search_requests": 1_000},
    )
    assert cost(prices, us) == Decimal("4.4") + Decimal(10)


@pytest.mark.parametrize("geo", ["global", "not_available", "", None])
def test_elsewhere_is_list_price(prices: Prices, geo: str | None) -> None:
    assert cost(prices, plain(inference_geo=geo)) == cost(prices, plain())


def test_older_models_have_no_geographic_price(prices: Prices) -> None:
    old = "claude-sonnet-4-5-20250929"
    assert cost(prices, plain(inference_geo="us"), old) == cost(prices, plain(), old)


def test_a_geography_without_a_rule_is_unknown(prices: Prices) -> None:
    assert cost(prices, plain(inference_geo="atlantis")) is None


def test_rules_name_models_the_library_has() -> None:
    anthropic = next(p for p in get_snapshot().providers if p.id == "anthropic")
    known = {model.id for model in anthropic.models}
    for rule in price_rules.GEO_RULES["anthropic"].values():
        assert rule.not_for <= known


@pytest.mark.parametrize("model", [MODEL, "claude-opus-4-1", "claude-haiku-5-5"])
@pytest.mark.parametrize(
    "at", [datetime(2026, 8, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)]
)
def test_batch_halves_tokens_on_any_date(prices: Prices, model: str, at: datetime) -> None:
    at_ns = int(at.timestamp()) * 1_000_000_000
    searched = {"web_search_requests": 100}
    batch = cost(prices, plain(service_tier="batch"), model, at_ns=at_ns)
    searching = cost(
        prices, plain(service_tier="batch", server_tool_use=searched), model, at_ns=at_ns
    )
    listed = cost(prices, plain(), model, at_ns=at_ns)
    assert batch is not None
    assert listed is not None
    assert batch * 2 == listed
    assert searching == batch + 1


def test_fast_has_its_price(prices: Prices) -> None:
    assert cost(prices, plain(speed="fast")) == Decimal(8) + Decimal(4)


def test_fast_on_a_model_without_a_fast_price_is_unknown(prices: Prices) -> None:
    assert cost(prices, plain(speed="fast"), "claude-sonnet-5-5") is None


def test_two_conditions_at_once_have_no_price(prices: Prices) -> None:
    assert cost(prices, plain(speed="fast", service_tier="batch")) is None


def test_a_model_that_another_provider_offers_has_only_its_list_price(prices: Prices) -> None:
    assert cost(prices, plain(), provider="azure.ai.inference") is not None
    assert cost(prices, plain(service_tier="batch"), provider="azure.ai.inference") is None


def test_a_tier_sold_by_contract_is_unknown(prices: Prices) -> None:
    assert cost(prices, plain(service_tier="priority")) is None
    assert cost(prices, plain(service_tier="standard")) == cost(prices, plain())


def test_a_tier_with_prices_of_its_own_has_them(prices: Prices) -> None:
    listed = cost(prices, plain(), "gpt-5", provider="openai")
    flex = cost(prices, plain(service_tier="flex"), "gpt-5", provider="openai")
    assert listed is not None
    assert flex is not None
    assert flex < listed


def test_a_long_prompt_raises_the_price_of_all_tokens(prices: Prices) -> None:
    short = UsagePart(uncached_input_tokens=90_000, cache_read_input_tokens=10_000, output_tokens=0)
    long = UsagePart(uncached_input_tokens=90_000, cache_read_input_tokens=10_001, output_tokens=0)
    below, above = (cost(prices, part, "claude-haiku-5-5") for part in (short, long))
    assert below == Decimal("0.0091")
    assert above == Decimal("0.04550005")


def test_the_highest_tier_reached_is_the_price_of_all() -> None:
    steps = TieredPrices(
        base=Decimal(1),
        tiers=[Tier(start=100, price=Decimal(2)), Tier(start=200, price=Decimal(3))],
    )
    assert [_at(steps, inputs) for inputs in (0, 100, 101, 200, 201)] == [1, 1, 2, 2, 3]


def test_prices_are_those_of_the_calls_time(prices: Prices) -> None:
    long = UsagePart(uncached_input_tokens=300_000, output_tokens=0)
    before = int(datetime(2026, 3, 12, 23, 59, tzinfo=UTC).timestamp()) * 1_000_000_000
    after = int(datetime(2026, 3, 13, 0, 0, tzinfo=UTC).timestamp()) * 1_000_000_000
    assert cost(prices, long, "claude-opus-4-6", at_ns=before) == Decimal(3)
    assert cost(prices, long, "claude-opus-4-6", at_ns=after) == Decimal("1.5")


def test_what_is_not_billed_costs_nothing(prices: Prices) -> None:
    assert cost(prices, plain(billable=False), "no-such-model") == 0


@pytest.mark.parametrize(
    ("model", "provider"),
    [("no-such-model", "anthropic"), (MODEL, "no-such-provider"), ("", "anthropic")],
)
def test_an_unknown_model_has_no_price(prices: Prices, model: str, provider: str) -> None:
    assert cost(prices, plain(), model, provider=provider) is None


def test_unknown_usage_has_no_price(prices: Prices) -> None:
    assert cost(prices, UsagePart()) is None
    assert cost(prices, UsagePart(output_tokens=10)) is None
    assert cost(prices, UsagePart(uncached_input_tokens=10)) is None
    assert cost(prices, UsagePart(), lower_bound=True) is None


def test_partial_usage_costs_its_lower_bound(prices: Prices) -> None:
    assert cost(prices, UsagePart(output_tokens=100), lower_bound=True) == Decimal("0.002")
    assert cost(prices, UsagePart(uncached_input_tokens=100), lower_bound=True) == Decimal("0.0004")


def test_a_server_tool_without_a_price_is_unknown(prices: Prices) -> None:
    assert cost(prices, plain(server_tool_use={"teleport_requests": 1})) is None
    assert cost(prices, plain(server_tool_use={"teleport_requests": 0})) is not None
    searching = plain(server_tool_use={"web_search_requests": 1})
    assert cost(prices, searching, "claude-3-haiku-20240307") is None


def test_an_hours_write_without_a_price_is_unknown(prices: Prices) -> None:
    """The five-minute price would be too low."""
    found = False
    for provider in get_snapshot().providers:
        for model in provider.models:
            rates = model.get_prices(datetime(2026, 11, 22, tzinfo=UTC))
            if rates.cache_write_mtok is not None and rates.cache_write_1h_mtok is None:
                found = True
                part = plain(cache_creation_1h_input_tokens=1)
                assert cost(prices, part, model.id, provider=provider.id) is None
    assert found


def test_equal_to_the_librarys_own_calculator(prices: Prices) -> None:
    """For every model of every provider, with counts that cross each tier."""
    rng = random.Random(7)
    at = datetime(2026, 11, 22, 0, 54, tzinfo=UTC)
    compared = 0
    for provider in get_snapshot().providers:
        for model in provider.models:
            scale = rng.choice([1_000, 150_000, 600_000])
            read, short, hour = (rng.randrange(scale) for _ in range(3))
            uncached, output = rng.randrange(scale), rng.randrange(1, scale)
            part = UsagePart(
                uncached_input_tokens=uncached,
                cache_read_input_tokens=read,
                cache_creation_input_tokens=short + hour,
                cache_creation_5m_input_tokens=short,
                cache_creation_1h_input_tokens=hour,
                output_tokens=output,
                reasoning_output_tokens=rng.randrange(output),
            )
            try:
                owner, found = get_snapshot().find_provider_model(model.id, None, provider.id, None)
            except LookupError:
                continue
            ours = prices.cost(
                provider=provider.id,
                model=model.id,
                part=part,
                at_ns=int(at.timestamp()) * 1_000_000_000,
            )
            if ours is None:
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                theirs = found.calc_price(
                    genai_prices.Usage(
                        input_tokens=uncached + read + short + hour,
                        cache_read_tokens=read,
                        cache_write_tokens=short + hour,
                        cache_write_5m_tokens=short,
                        cache_write_1h_tokens=hour,
                        output_tokens=output,
                        output_reasoning_tokens=part.reasoning_output_tokens,
                    ),
                    owner,
                    genai_request_timestamp=at,
                )
            assert ours == theirs.total_price, (provider.id, model.id)
            compared += 1
    assert compared > 1_000


def test_version_names_library_and_update(prices: Prices) -> None:
    assert prices.version() == f"genai-prices/{genai_prices.__version__}"
    updated = DataSnapshot(
        providers=get_snapshot().providers,
        from_auto_update=True,
        timestamp=datetime(2026, 11, 20, 1, 2, 3),  # noqa: DTZ001 - as the library makes it
    )
    set_custom_snapshot(updated)
    try:
        assert prices.version() == f"genai-prices/{genai_prices.__version__}+2026-11-20T01:02:03"
    finally:
        set_custom_snapshot(None)


def test_new_price_data_is_used_at_once(prices: Prices) -> None:
    assert cost(prices, plain()) is not None
    set_custom_snapshot(DataSnapshot(providers=[], from_auto_update=True))
    try:
        assert cost(prices, plain()) is None
    finally:
        set_custom_snapshot(None)
    assert cost(prices, plain()) is not None


def test_a_broken_library_leaves_calls_unpriced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    broken = Prices()
    broken.load()
    assert broken.ready
    assert broken.problem is not None
    assert broken.problem.startswith("No prices")
    assert broken.version() is None
    assert broken.cost(provider="anthropic", model=MODEL, part=plain(), at_ns=T0) is None


def test_the_library_is_not_imported_before_it_is_needed() -> None:
    code = (
        "import sys, tokenproxy.record.price as p; p.Prices();"
        "sys.exit('genai_prices' in sys.modules or 'pydantic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_warming_happens_elsewhere() -> None:
    warmed = Prices()
    warmed.warm()
    warmed.warm()
    assert warmed._loaded.wait(10)
    assert warmed.ready
