"""Our prices beside a second public table, LiteLLM's, for every model that both know.

``python -m tests.real.prices`` (or ``scripts/compare-prices``) prints every difference,
with the reason where one is known. A test holds the list to the known ones.

Compared are US dollars per million tokens by kind, service tier and length of the
prompt. Ours are taken from what :class:`Prices` really charges. The moment is a
weekday's morning in China: LiteLLM's DeepSeek prices are those of peak hours.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from tests.real import needs
from tests.real.price_differences import KNOWN, Known
from tokenproxy.record.price import Prices, Seller
from tokenproxy.wire.usage import UsagePart

NOW_NS = int(datetime(2026, 11, 23, 2, 0, tzinfo=UTC).timestamp()) * 1_000_000_000

PROVIDERS: Mapping[str, tuple[str, str]] = {
    "anthropic": ("anthropic", ""),
    "azure": ("azure.ai.openai", "azure/"),
    "azure_ai": ("azure.ai.inference", "azure_ai/"),
    "bedrock": ("aws.bedrock", ""),
    "bedrock_converse": ("aws.bedrock", ""),
    "cerebras": ("cerebras", "cerebras/"),
    "cohere": ("cohere", ""),
    "cohere_chat": ("cohere", ""),
    "deepseek": ("deepseek", "deepseek/"),
    "fireworks_ai": ("fireworks_ai", "fireworks_ai/"),
    "gemini": ("google", "gemini/"),
    "groq": ("groq", "groq/"),
    "minimax": ("minimax", "minimax/"),
    "mistral": ("mistral_ai", "mistral/"),
    "moonshot": ("moonshot_ai", "moonshot/"),
    "openai": ("openai", ""),
    "openrouter": ("openrouter", "openrouter/"),
    "perplexity": ("perplexity", "perplexity/"),
    "text-completion-openai": ("openai", ""),
    "together_ai": ("together_ai", "together_ai/"),
    "vertex_ai": ("gcp.vertex_ai", "vertex_ai/"),
    "vertex_ai-anthropic_models": ("gcp.vertex_ai", "vertex_ai/"),
    "vertex_ai-language-models": ("gcp.vertex_ai", "vertex_ai/"),
    "vertex_ai-mistral_models": ("gcp.vertex_ai", "vertex_ai/"),
    "xai": ("x_ai", "xai/"),
    "zai": ("z_ai", "zai/"),
}
"""LiteLLM's provider -> the ledger's, and the prefix of its models."""

KINDS: Mapping[str, dict[str, Any]] = {
    "input_cost_per_token": {"uncached_input_tokens": 1},
    "output_cost_per_token": {"output_tokens": 1},
    "cache_read_input_token_cost": {"cache_read_input_tokens": 1},
    "cache_creation_input_token_cost": {"cache_creation_input_tokens": 1},
    "cache_creation_input_token_cost_above_1hr": {"cache_creation_1h_input_tokens": 1},
    "cache_creation_input_token_cost_above_12hr": {"cache_creation_12h_input_tokens": 1},
    "output_cost_per_reasoning_token": {"output_tokens": 1, "reasoning_output_tokens": 1},
    "input_cost_per_audio_token": {
        "uncached_input_tokens": 1,
        "modality_tokens": {"input_audio": 1},
    },
    "output_cost_per_audio_token": {"output_tokens": 1, "modality_tokens": {"output_audio": 1}},
    "input_cost_per_image_token": {
        "uncached_input_tokens": 1,
        "modality_tokens": {"input_image": 1},
    },
    "output_cost_per_image_token": {"output_tokens": 1, "modality_tokens": {"output_image": 1}},
    "cache_read_input_audio_token_cost": {
        "cache_read_input_tokens": 1,
        "modality_tokens": {"cache_audio_read": 1},
    },
    "citation_cost_per_token": {"output_tokens": 1, "modality_tokens": {"output_citation": 1}},
}
"""LiteLLM's key -> one token of the kind."""

TIERS: Mapping[str, str | None] = {
    "": None,
    "_batches": "batch",
    "_flex": "flex",
    "_priority": "priority",
}
LENGTHS: Mapping[str, int] = {
    "": 0,
    "_above_100k_tokens": 100_001,
    "_above_128k_tokens": 128_001,
    "_above_200k_tokens": 200_001,
    "_above_256k_tokens": 256_001,
    "_above_272k_tokens": 272_001,
    "_above_512k_tokens": 512_001,
}


EPSILON = Decimal("1e-9")
"""The table holds floats."""


class Sort(NamedTuple):
    """A sort of tokens that has a price: a kind, in a tier, in a prompt of some length."""

    key: str
    """LiteLLM's."""
    token: dict[str, Any]
    tier: str | None
    length: int


class Difference(NamedTuple):
    """One price that the tables do not agree on, per million tokens."""

    provider: str
    model: str
    price: str
    ours: Decimal | None
    theirs: Decimal

    def __str__(self) -> str:
        ours = "unknown" if self.ours is None else f"{self.ours.normalize():f}"
        return f"{self.provider}  {self.model}  {self.price}  {ours}  {self.theirs.normalize():f}"


class Comparison(NamedTuple):
    """What came of it."""

    models: int
    """That both know."""
    prices: int
    """That were compared."""
    differences: list[Difference]


def compare(table: Path) -> Comparison:
    """Compare every price of every model that both know."""
    prices = Prices()
    models, compared, found = 0, 0, []
    for name, entry in json.loads(table.read_text(), parse_float=Decimal).items():
        provider, prefix = PROVIDERS.get(entry.get("litellm_provider", ""), ("", ""))
        if not provider:
            continue
        model = name.removeprefix(prefix)
        if provider in {"azure.ai.openai", "aws.bedrock"} and "/" in model:
            continue  # a region before the model's name is LiteLLM's own notation
        seller = Seller(provider=provider)
        if _ours(prices, seller, model, next(_sorts())) is None:
            continue
        models += 1
        for sort in _sorts():
            theirs = entry.get(sort.key)
            if theirs is None:
                continue
            compared += 1
            ours = _ours(prices, seller, model, sort)
            per_million = Decimal(theirs) * 1_000_000
            if ours is None and not per_million:
                continue  # it has no such tokens
            if ours is None or abs(ours - per_million) > EPSILON:
                found.append(Difference(provider, model, sort.key, ours, per_million))
    return Comparison(models, compared, sorted(set(found), key=str))


def _sorts() -> Iterator[Sort]:
    for kind, token in KINDS.items():
        for suffix, tier in TIERS.items():
            for more, length in LENGTHS.items():
                yield Sort(f"{kind}{more}{suffix}", token, tier, length)


def _ours(prices: Prices, seller: Seller, model: str, sort: Sort) -> Decimal | None:
    """What a million tokens of a sort cost."""

    def cost(**counts: Any) -> Decimal | None:
        part = UsagePart(service_tier=sort.tier, **counts)
        found = prices.cost(seller, model, part, NOW_NS, lower_bound=True)
        return None if found is None else found.usd

    number = 1_000
    base: dict[str, Any] = {"uncached_input_tokens": sort.length, "output_tokens": 0}
    more = {
        key: dict.fromkeys(value, number) if isinstance(value, dict) else number + base.get(key, 0)
        for key, value in sort.token.items()
    }
    without, with_it = cost(**base), cost(**(base | more))
    return None if without is None or with_it is None else (with_it - without) * 1_000


def reason_of(difference: Difference) -> Known | None:
    """Why the tables differ, if that is known."""
    asked = (difference.provider, difference.model, difference.price)
    return next(
        (known for known in KNOWN if all(map(fnmatchcase, asked, known[:3]))),
        None,
    )


def main() -> None:
    """Print every difference, grouped by its reason."""
    compared = compare(needs.litellm_prices())
    out = sys.stdout
    out.write(
        f"{compared.prices} prices of {compared.models} models compared,"
        f" {len(compared.differences)} differ (per million tokens: ours, LiteLLM's)\n"
    )
    for reason, group in groupby(sorted(compared.differences, key=_reason), key=_reason):
        out.write(f"\n{reason}:\n")
        out.writelines(f"  {difference}\n" for difference in group)


def _reason(difference: Difference) -> str:
    known = reason_of(difference)
    return "NOT EXPLAINED" if known is None else known.reason


if __name__ == "__main__":
    main()
