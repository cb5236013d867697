from __future__ import annotations

import hashlib
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import genai_prices
import pytest
from genai_prices.data_snapshot import DataSnapshot, get_snapshot, set_custom_snapshot

from tests.record.make import MODEL, T0
from tokenproxy import __version__
from tokenproxy.record import price_rules as rules
from tokenproxy.record.price import Prices, Seller, model_to_price
from tokenproxy.wire.providers import PROVIDERS
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
    family: str | None = None,
    host: str | None = None,
    at_ns: int = T0,
    lower_bound: bool = False,
) -> Decimal | None:
    seller = Seller(provider=provider, family=family, host=host)
    found = prices.cost(seller, model, part, at_ns, lower_bound=lower_bound)
    return None if found is None else found.usd


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


def test_googles_flex_leaves_cached_input_where_batches_do(prices: Prices) -> None:
    for model, expected in (("gemini-2.5-flash", "0.03"), ("gemini-3.8-flash", "0.0375")):
        read = UsagePart(
            uncached_input_tokens=0,
            cache_read_input_tokens=1_000_000,
            output_tokens=0,
            service_tier="flex",
        )
        assert cost(prices, read, model, provider="google") == Decimal(expected)


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


def at_ns(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp()) * 1_000_000_000


PROFILE = "arn:aws:bedrock:us-east-1:1:inference-profile"
MILLION = UsagePart(uncached_input_tokens=1_000_000, output_tokens=0)


def in_tier(tier: str) -> UsagePart:
    return UsagePart(uncached_input_tokens=1_000_000, output_tokens=0, service_tier=tier)


@pytest.mark.parametrize(
    ("provider", "model", "word", "expected"),
    [
        ("openai", "gpt-5", "default", "1.25"),
        ("openai", "gpt-5", "auto", "1.25"),
        ("openai", "gpt-5", "flex", "0.625"),
        ("openai", "gpt-5", "priority", "2.5"),
        ("openai", "gpt-5", "fast", "2.5"),
        ("openai", "gpt-5", "batch", "0.625"),
        ("openai", "gpt-5", "scale", None),
        ("openai", "gpt-6-sol", "ultrafast", None),
        ("openai", "gpt-5-nano", "priority", None),
        ("google", "gemini-3.8-flash", "ON_DEMAND", "0.75"),
        ("google", "gemini-3.8-flash", "TRAFFIC_TYPE_UNSPECIFIED", "0.75"),
        ("google", "gemini-3.8-flash-tts", "ON_DEMAND_FLEX", "0.25"),
        ("google", "gemini-3.8-flash-tts", "ON_DEMAND_PRIORITY", "0.9"),
        ("google", "gemini-3.8-flash", "PROVISIONED_THROUGHPUT", None),
        ("google", "gemini-3.8-flash", "ON_DEMAND_FLEX", "0.375"),
        ("google", "gemini-3.8-flash", "ON_DEMAND_PRIORITY", None),
        ("azure.ai.openai", "gpt-5", "batch", "0.625"),
        ("azure.ai.openai", "gpt-5", "priority", None),
        ("aws.bedrock", "amazon.nova-pro-v1:0", "batch", "0.4"),
        ("google", "gemini-3.8-flash", "batch", "0.375"),
        ("google", "gemini-3.7-flash", "batch", "0.375"),
        ("mistral_ai", "codestral-2508", "batch", "0.15"),
        ("groq", "llama-3.3-70b-versatile", "on_demand", "0.59"),
        ("groq", "llama-3.3-70b-versatile", "flex", "0.59"),
        ("groq", "llama-3.3-70b-versatile", "performance", None),
        ("groq", "llama-3.3-70b-versatile", "batch", "0.295"),
        ("aws.bedrock", "amazon.nova-pro-v1:0", "default", "0.8"),
        ("aws.bedrock", "amazon.nova-pro-v1:0", "reserved", None),
        ("aws.bedrock", "amazon.nova-pro-v1:0", "flex", None),
        ("deepseek", "deepseek-flash", "batch", None),
    ],
)
def test_tiers_by_the_providers_words(
    prices: Prices, provider: str, model: str, word: str, expected: str | None
) -> None:
    found = cost(prices, in_tier(word), model, provider=provider)
    assert found == (None if expected is None else Decimal(expected))


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        ("aws.bedrock", "global.anthropic.claude-opus-5-5", "4"),
        ("aws.bedrock", "us.anthropic.claude-opus-5-5", "4.4"),
        ("aws.bedrock", "anthropic.claude-opus-5-5", "4.4"),
        ("aws.bedrock", f"{PROFILE}/global.anthropic.claude-opus-5-5", "4"),
        ("aws.bedrock", f"{PROFILE}/a1b2", None),
        ("aws.bedrock", "claude-opus-5-5", None),
        ("azure.ai.openai", "gpt-5-2025-08-07", "1.25"),
        ("azure.ai.inference", "claude-opus-5-5", "4"),
        ("azure.ai.inference", "mistral-large-2512", None),
        ("azure.ai.inference", "DeepSeek-V3.2", "0.2288"),
        ("gcp.vertex_ai", "gemini-2.5-flash", "0.3"),
        ("gcp.vertex_ai", "claude-opus-5-5", "4"),
        ("gcp.vertex_ai", "mistral-large-2512", None),
        ("google", "models/gemini-2.5-flash", "0.3"),
        ("github_copilot", "gpt-5.4-mini", "0.75"),
        ("together_ai", "meta-llama/Llama-3.3-70B-Instruct-Turbo", "0.88"),
        ("fireworks_ai", "accounts/fireworks/models/deepseek-v3p2", "0.56"),
        ("cerebras", "gpt-oss-120b", "0.35"),
        ("moonshot_ai", "kimi-k3", "3"),
        ("z_ai", "glm-5.3", "1.4"),
        ("minimax", "MiniMax-M3", "0.6"),
        ("mistral_ai", "codestral-2508", "0.3"),
        ("x_ai", "grok-4-fast-reasoning", "0.2"),
        ("groq", "openai/gpt-oss-120b", "0.15"),
        ("cohere", "command-a-03-2025", "2.5"),
        ("huggingface", "deepseek-ai/DeepSeek-V3.2:novita", "0.269"),
        ("huggingface", "deepseek-ai/DeepSeek-V3.2", None),
        ("openrouter", "anthropic/claude-opus-5-5", None),
        ("openrouter", "deepseek/deepseek-v4-flash:free", "0"),
        ("nvidia", "meta/llama-3.3-70b-instruct", None),
        ("openai", "claude-opus-5-5", None),
    ],
)  # fmt: skip
def test_every_provider_of_the_table(
    prices: Prices, provider: str, model: str, expected: str | None
) -> None:
    found = cost(prices, MILLION, model, provider=provider)
    assert found == (None if expected is None else Decimal(expected))


def test_every_provider_has_a_name_in_the_library_or_is_known_to_have_none() -> None:
    known = {provider.id for provider in get_snapshot().providers}
    without = {
        one.name
        for one in PROVIDERS.values()
        if rules.LIBRARY_PROVIDERS.get(one.name, one.name) not in known
    }
    assert without == {"nvidia", "huggingface", "ollama"}
    assert set(rules.LIBRARY_PROVIDERS.values()) <= known


@pytest.mark.parametrize(
    ("model", "family", "expected"),
    [
        ("gpt-5", "openai", "1.25"),
        ("claude-opus-5-5", "anthropic", "4"),
        ("claude-opus-5-5", "openai", "4"),
        ("anthropic/claude-opus-5-5", "openai", "4"),
        ("azure/gpt-5", "openai", "1.25"),
        ("gemini-2.5-flash", "openai", "0.3"),
        ("our-own-model", "openai", None),
        ("our/own-model", "openai", None),
    ],
)
def test_a_gateway_is_priced_by_its_family_then_by_the_vendor(
    prices: Prices, model: str, family: str, expected: str | None
) -> None:
    host = "llm.corp.example"
    found = cost(prices, MILLION, model, provider=host, family=family, host=host)
    assert found == (None if expected is None else Decimal(expected))


def test_a_gateway_has_its_familys_tiers_and_places(prices: Prices) -> None:
    gateway = {"provider": "llm.corp.example", "family": "openai", "host": "llm.corp.example"}
    assert cost(prices, in_tier("flex"), "gpt-5", **gateway) == Decimal("0.625")  # type: ignore[arg-type] # all strings
    us = UsagePart(uncached_input_tokens=1_000_000, output_tokens=0, inference_geo="us")
    gateway["family"] = "anthropic"
    assert cost(prices, us, MODEL, **gateway) == Decimal("4.4")  # type: ignore[arg-type] # all strings


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_a_model_on_this_machine_is_free(prices: Prices, host: str) -> None:
    assert cost(prices, MILLION, "qwen3:8b", provider="ollama", host=host) == 0
    assert cost(prices, MILLION, "gpt-oss:120b-cloud", provider="ollama", host="ollama.com") is None
    assert cost(prices, MILLION, "no-such-model", provider="openai", host=host) is None


@pytest.mark.parametrize(
    ("provider", "host", "model", "expected"),
    [
        ("openai", "api.openai.com", "gpt-5.4-mini", "0.75"),
        ("openai", "eu.api.openai.com", "gpt-5.4-mini", "0.825"),
        ("openai", "us.api.openai.com", "gpt-5.4-mini", "0.825"),
        ("openai", "eu.api.openai.com", "gpt-5", "1.25"),
        ("openai", "eu.api.openai.com", "gpt-4.1", "2"),
        ("gcp.vertex_ai", "aiplatform.googleapis.com", "claude-opus-5-5", "4"),
        ("gcp.vertex_ai", "us-east5-aiplatform.googleapis.com", "claude-opus-5-5", "4.4"),
        ("gcp.vertex_ai", "aiplatform.eu.rep.googleapis.com", "claude-haiku-4-5@20251001", "1.1"),
        ("gcp.vertex_ai", "us-east5-aiplatform.googleapis.com", "claude-opus-4-1@20250805", "15"),
        ("gcp.vertex_ai", "us-central1-aiplatform.googleapis.com", "gemini-3.8-flash", "0.825"),
        ("gcp.vertex_ai", "us-central1-aiplatform.googleapis.com", "gemini-2.5-flash", "0.3"),
        ("x_ai", "api.x.ai", "grok-4-fast-reasoning", "0.2"),
        ("x_ai", "us-east-1.api.x.ai", "grok-4-fast-reasoning", "0.22"),
        ("x_ai", "eu-west-1.api.x.ai", "grok-4-fast-reasoning", "0.2"),
    ],
)
def test_places_that_the_host_names(
    prices: Prices, provider: str, host: str, model: str, expected: str
) -> None:
    assert cost(prices, MILLION, model, provider=provider, host=host) == Decimal(expected)


def test_claude_in_foundrys_us_data_zone(prices: Prices) -> None:
    us = UsagePart(uncached_input_tokens=1_000_000, output_tokens=0, inference_geo="us")
    assert cost(prices, us, MODEL, provider="azure.ai.inference") == Decimal("4.4")


def test_on_bedrock_the_request_names_the_place() -> None:
    assert model_to_price("aws.bedrock", "claude-opus-5-5", "us.anthropic.claude-opus-5-5") == (
        "us.anthropic.claude-opus-5-5"
    )
    assert model_to_price("aws.bedrock", "claude-opus-5-5", "eu.anthropic.claude-haiku-5-5") == (
        "claude-opus-5-5"
    )
    assert model_to_price("aws.bedrock", "us.amazon.nova-pro-v1:0", None) == (
        "us.amazon.nova-pro-v1:0"
    )
    assert model_to_price("openai", "gpt-5-2025-08-07", "gpt-5-2025-08-07-x") == "gpt-5-2025-08-07"


def test_openais_cache_writes_by_time_to_live(prices: Prices) -> None:
    half_an_hour = UsagePart(
        uncached_input_tokens=0, output_tokens=0, cache_creation_30m_input_tokens=200_000
    )
    half_a_day = UsagePart(
        uncached_input_tokens=0, output_tokens=0, cache_creation_12h_input_tokens=200_000
    )
    assert cost(prices, half_an_hour, "gpt-6-sol", provider="openai") == Decimal("0.5")
    assert cost(prices, half_a_day, "gpt-6-sol", provider="openai") == 1
    free = plain(cache_creation_12h_input_tokens=1_000_000)
    assert cost(prices, free, "gpt-5", provider="openai") == Decimal("3.5")


def test_audio_of_a_realtime_model(prices: Prices) -> None:
    spoken = UsagePart(
        uncached_input_tokens=1_000,
        cache_read_input_tokens=500,
        output_tokens=400,
        modality_tokens={"input_audio": 700, "cache_audio_read": 500, "output_audio": 300},
    )
    expected = Decimal(300 * 4 + 700 * 32 + 100 * 16 + 300 * 64) / 1_000_000
    expected += Decimal(500) * Decimal("0.4") / 1_000_000
    assert cost(prices, spoken, "gpt-realtime", provider="openai") == expected


@pytest.mark.parametrize(
    ("provider", "model", "tools", "expected"),
    [
        ("openai", "gpt-5", {"web_search_requests": 2}, "0.02"),
        ("openai", "gpt-5", {"file_search_requests": 2}, "0.005"),
        ("openai", "gpt-5", {"code_interpreter_requests": 1}, None),
        ("azure.ai.openai", "gpt-5", {"web_search_requests": 2}, None),
        ("google", "gemini-3.8-flash", {"web_search_requests": 3}, "0.042"),
        ("google", "gemini-2.5-flash", {"web_search_requests": 3}, "0.035"),
        ("google", "gemini-2.5-flash", {"google_maps_requests": 3}, "0.025"),
        ("gcp.vertex_ai", "gemini-3.8-flash", {"google_maps_requests": 3}, "0.042"),
        ("google", "gemini-3.8-flash", {"image_search_requests": 1}, None),
        ("perplexity", "sonar", {"web_search_requests": 3}, "0.012"),
        ("perplexity", "sonar-deep-research", {"web_search_requests": 21}, "0.105"),
        ("x_ai", "grok-4.5", {"web_search_requests": 2, "x_search_requests": 1}, "0.015"),
        ("x_ai", "grok-4.5", {"file_search_requests": 2, "mcp_requests": 3}, "0.005"),
        ("groq", "openai/gpt-oss-120b", {"web_search_requests": 1}, None),
    ],
)
def test_server_tools_by_provider(
    prices: Prices, provider: str, model: str, tools: dict[str, int], expected: str | None
) -> None:
    part = UsagePart(uncached_input_tokens=0, output_tokens=0, server_tool_use=tools)
    found = cost(prices, part, model, provider=provider)
    assert found == (None if expected is None else Decimal(expected))


@pytest.mark.parametrize(
    ("model", "moment", "expected"),
    [
        ("deepseek-chat", "2025-09-06T00:00:00Z", ("0.56", "0.07", "1.68")),
        ("deepseek-chat", "2026-01-01T00:00:00Z", ("0.28", "0.028", "0.42")),
        ("deepseek-reasoner", "2026-07-24T15:58:00Z", ("0.14", "0.0028", "0.28")),
        ("deepseek-v4-flash", "2026-08-01T02:00:00Z", ("0.14", "0.0028", "0.28")),
        ("deepseek-v4-pro", "2026-08-20T02:00:00Z", ("1.32", "0.044", "3.96")),
        # A Saturday: before weekends were off-peak, and since.
        ("deepseek-v4-pro", "2026-08-22T02:00:00Z", ("1.32", "0.044", "3.96")),
        ("deepseek-v4-pro", "2026-08-29T02:00:00Z", ("0.66", "0.022", "1.98")),
        ("deepseek-flash", "2026-11-23T00:59:00Z", ("0.15", "0.003", "0.6")),
        ("deepseek-flash", "2026-11-23T01:00:00Z", ("0.3", "0.006", "1.2")),
        ("deepseek-flash", "2026-11-23T04:00:00Z", ("0.15", "0.003", "0.6")),
        ("deepseek-flash", "2026-11-23T09:59:00Z", ("0.3", "0.006", "1.2")),
        ("deepseek-flash", "2026-11-22T09:59:00Z", ("0.15", "0.003", "0.6")),
        ("deepseek-flash", "2026-10-01T02:00:00Z", ("0.15", "0.003", "0.6")),
        ("deepseek-v4-flash-vision-exp", "2026-11-23T02:00:00Z", ("0.3", "0.006", "1.2")),
    ],
)
def test_deepseeks_table_is_corrected(
    prices: Prices, model: str, moment: str, expected: tuple[str, str, str]
) -> None:
    found = tuple(
        cost(prices, part, model, provider="deepseek", at_ns=at_ns(moment))
        for part in (
            MILLION,
            UsagePart(uncached_input_tokens=0, cache_read_input_tokens=1_000_000, output_tokens=0),
            UsagePart(uncached_input_tokens=0, output_tokens=1_000_000),
        )
    )
    assert found == tuple(map(Decimal, expected))


def test_names_that_deepseek_retired_have_no_price_since(prices: Prices) -> None:
    for model in ("deepseek-chat", "deepseek-reasoner"):
        assert cost(prices, MILLION, model, provider="deepseek", at_ns=T0) is None


def test_a_correction_says_that_it_was_used(prices: Prices) -> None:
    assert source(prices, "deepseek-flash", "deepseek") == f"tokenproxy/{__version__}"


OWN = """
[[prices]]
model = "claude-opus-5-5"
input_mtok = 3
output_mtok = 12.5

[[prices]]
provider = "llm.corp.example"
model = "our-*"
input_mtok = 1
output_mtok = 2

[[prices]]
provider = "llm.corp.example"
model = "our-*"
service_tier = "flex"
input_mtok = 0.5
output_mtok = 1

[[prices]]
provider = "deepseek"
model = "deepseek-chat"
input_mtok = 0.1
output_mtok = 0.2

[[prices]]
model = "gpt-5"
priced = false
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prices:
    file = tmp_path / "config.toml"
    file.write_text(OWN)
    monkeypatch.setenv("TOKENPROXY_CONFIG", str(file))
    made = Prices()
    made.load()
    assert made.problem is None
    return made


def test_the_users_prices_win(own: Prices) -> None:
    assert cost(own, plain()) == Decimal(3) + Decimal("1.25")
    assert cost(own, MILLION, "deepseek-chat", provider="deepseek") == Decimal("0.1")
    assert cost(own, MILLION, "gpt-5", provider="openai") is None
    assert cost(own, MILLION, "gpt-5-mini", provider="openai") == Decimal("0.25")
    digest = hashlib.sha256(OWN.encode()).hexdigest()[:8]
    assert source(own) == f"config/{digest}"


def test_what_the_user_does_not_want_priced_is_remembered(own: Prices) -> None:
    for model in ("gpt-5", "gpt-5-mini", "unheard-of"):
        cost(own, MILLION, model, provider="openai")
    cost(own, in_tier("flex"), "gpt-5", provider="llm.corp.example", family="openai")
    cost(own, MILLION, "deepseek-reasoner", provider="deepseek")  # our own file's word
    assert own.declined == {("openai", "gpt-5"), ("llm.corp.example", "gpt-5")}


def test_the_users_prices_are_whole_lists(own: Prices) -> None:
    cached = UsagePart(uncached_input_tokens=0, cache_read_input_tokens=1_000_000, output_tokens=0)
    assert cost(own, cached) == 3
    assert cost(own, plain(server_tool_use={"web_search_requests": 1})) is None


def test_audio_of_a_chat_model_is_not_billed_as_text(prices: Prices) -> None:
    spoken = UsagePart(
        uncached_input_tokens=1_000_000,
        output_tokens=1_000_000,
        modality_tokens={"input_audio": 1_000_000, "output_audio": 1_000_000},
    )
    assert cost(prices, spoken, "gpt-4o-audio-preview-2025-06-03", provider="openai") == 120
    assert cost(prices, spoken, "gpt-4o-mini-audio-preview", provider="openai") == 30


def test_the_users_prices_are_for_the_tier_they_name(own: Prices) -> None:
    gateway = {"provider": "llm.corp.example", "family": "openai"}
    found = [
        cost(own, part, "our-model", **gateway)  # type: ignore[arg-type] # all strings
        for part in (MILLION, in_tier("flex"), in_tier("priority"), in_tier("batch"))
    ]
    assert found == [1, Decimal("0.5"), None, Decimal("0.5")]
    assert cost(own, in_tier("batch")) == Decimal("1.5")
    assert cost(own, plain(speed="fast")) is None
    assert cost(own, plain(inference_geo="us")) == (3 + Decimal("1.25")) * Decimal("1.1")
    assert cost(own, plain(inference_geo="atlantis")) is None


def test_a_config_that_broke_in_the_meantime_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKENPROXY_CONFIG", str(tmp_path / "gone.toml"))
    made = Prices()
    made.load()
    assert made.problem == (
        f"{tmp_path / 'gone.toml'} cannot be read: No such file or directory."
        " Its prices are not used."
    )
    assert cost(made, plain()) is not None


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


def source(prices: Prices, model: str = MODEL, provider: str = "anthropic") -> str | None:
    found = prices.cost(Seller(provider=provider), model, plain(), T0)
    return None if found is None else found.source


def test_a_cost_names_the_library_and_its_update(prices: Prices) -> None:
    assert source(prices) == f"genai-prices/{genai_prices.__version__}"
    updated = DataSnapshot(
        providers=get_snapshot().providers,
        from_auto_update=True,
        timestamp=datetime(2026, 11, 20, 1, 2, 3),  # noqa: DTZ001 - as the library makes it
    )
    set_custom_snapshot(updated)
    try:
        assert source(prices) == f"genai-prices/{genai_prices.__version__}+2026-11-20T01:02:03"
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
    assert cost(broken, plain()) is None


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
    assert warmed._warming is not None
    warmed._warming.join(10)
    assert warmed.ready
