"""A model's prices under one set of conditions, and the multiplication.

Tokens are billed in disjoint kinds. A kind without a price of its own is billed
as what it is part of: cached audio as cached input, reasoning as output. That is
how the price library decomposes usage (``genai_prices.decompose``), whose own
calculator a test holds this one to; it is not used, because it re-validates its
units on every call (0.1 ms, longer than everything else that is done for a row).

Two exceptions, both about cache writes. A longer time to live is never billed at
the price of a shorter one: without its own price the cost is unknown, unless
writes are not charged at all. And writes that no time to live was stated for are
of the provider's usual one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from tokenproxy.record.price_rules import FREE, ToolPrice
from tokenproxy.wire.usage import MODALITIES, UsagePart

if TYPE_CHECKING:
    from genai_prices.types import TieredPrices

type Price = Decimal | TieredPrices

MILLION = Decimal(1_000_000)
THOUSAND = Decimal(1_000)
ONE = Decimal(1)

_INPUT = "input_mtok"
_READ = "cache_read_mtok"
_WRITE = "cache_write_mtok"
_OUTPUT = "output_mtok"

_KINDS: Mapping[str, tuple[str, ...]] = {
    "input": (_INPUT,),
    "input_audio": ("input_audio_mtok", _INPUT),
    "input_image": ("input_image_mtok", _INPUT),
    "input_video": ("input_video_mtok", _INPUT),
    "cache_read": (_READ, _INPUT),
    "cache_audio_read": ("cache_audio_read_mtok", _READ, "input_audio_mtok", _INPUT),
    "cache_image_read": ("cache_image_read_mtok", _READ, "input_image_mtok", _INPUT),
    "write": ("cache_write_5m_mtok", _WRITE, _INPUT),
    "write_30m": (_WRITE, _INPUT),
    "output": (_OUTPUT,),
    "reasoning": ("output_reasoning_mtok", _OUTPUT),
    "output_audio": ("output_audio_mtok", _OUTPUT),
    "output_image": ("output_image_mtok", _OUTPUT),
    "output_video": ("output_video_mtok", _OUTPUT),
    "output_citation": ("output_citation_mtok", _OUTPUT),
}
"""Disjoint kind of tokens -> price keys, the first that the model has."""

_INPUTS = tuple(kind for kind in MODALITIES if kind.startswith("input_"))
_READS = tuple(kind for kind in MODALITIES if kind.startswith("cache_"))
_OUTPUTS = tuple(kind for kind in MODALITIES if kind.startswith("output_"))

_WRITE_1H = "cache_write_1h_mtok"
_REQUESTS = "requests_kcount"
_TOOLS = ("web_searches_kcount", "storage_searches_kcount")

PRICE_KEYS = frozenset(
    {*(key for chain in _KINDS.values() for key in chain), _WRITE_1H, _REQUESTS, *_TOOLS}
)
"""Every price that is asked for, by the price library's name."""


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """Prices of one model under one set of conditions."""

    tokens: dict[str, Price | None]
    """Per million, by disjoint kind."""
    tools: dict[str, Price | None]
    """Per thousand, by price key."""
    request: Price | None
    """Per thousand requests."""
    factor: Decimal = ONE
    """On every token price: batch and place, where no price says it."""
    factor_12h: Decimal | None = None
    """Price of a write kept for 12 hours, in prices of a usual one."""
    one_search: bool = False
    """Each server tool is charged once a call."""
    source: str = ""
    """Price list that they are from, and its version."""


def make_rates(
    price: Callable[[str], Price | None],
    *,
    factor: Decimal = ONE,
    factor_12h: Decimal | None = None,
    one_search: bool = False,
    source: str = "",
) -> Rates:
    """Rates from a price list that tells the price of a key, or None."""
    tokens = {kind: _first(map(price, chain)) for kind, chain in _KINDS.items()}
    free_writes = price(_WRITE) is None and price("cache_write_5m_mtok") is None
    hour, request = price(_WRITE_1H), price(_REQUESTS)
    # A model that is paid for by request (Perplexity's) has its searches in that.
    included = None if request is None else FREE
    tokens["write_1h"] = price(_INPUT) if hour is None and free_writes else hour
    tokens["write_12h"] = tokens["write"] if free_writes or factor_12h is not None else None
    return Rates(
        tokens=tokens,
        tools={key: _first((price(key), included)) for key in _TOOLS},
        request=request,
        factor=factor,
        factor_12h=None if free_writes else factor_12h,
        one_search=one_search,
        source=source,
    )


def cost_of(
    rates: Rates, part: UsagePart, tool_price: Callable[[str], ToolPrice]
) -> Decimal | None:
    """What a part costs; None if the price of anything in it is unknown."""
    counts = _counts(part)
    inputs = sum(counts.values()) - (part.output_tokens or 0)
    total = FREE
    for kind, count in counts.items():
        if not count:
            continue
        price = rates.tokens[kind]
        if price is None:
            return None
        cost = count * (price if isinstance(price, Decimal) else at(price, inputs))
        if kind == "write_12h" and rates.factor_12h is not None:
            cost *= rates.factor_12h
        total += cost
    total = total / MILLION * rates.factor
    for tool, requests in part.server_tool_use.items():
        if not requests:
            continue
        each = tool_price(tool)
        price = rates.tools.get(each) if isinstance(each, str) else each
        if price is None:
            return None
        billed = 1 if rates.one_search else requests
        total += billed * at(price, inputs) / THOUSAND
    if rates.request is not None:
        total += at(rates.request, inputs) / THOUSAND
    return total


def at(price: Price, inputs: int) -> Decimal:
    """The price for a request of so many input tokens: a tier's price holds for all its tokens."""
    if isinstance(price, Decimal):
        return price
    for tier in reversed(price.tiers):
        if inputs > tier.start:
            return tier.price
    return price.base


def _counts(part: UsagePart) -> dict[str, int]:
    """The part's tokens by disjoint kind."""
    modal = part.modality_tokens
    hour = part.cache_creation_1h_input_tokens or 0
    half = part.cache_creation_30m_input_tokens or 0
    long = part.cache_creation_12h_input_tokens or 0
    written = part.cache_creation_input_tokens or 0
    counts: dict[str, int] = {
        "write": max(written - hour - half - long, part.cache_creation_5m_input_tokens or 0),
        "write_30m": half,
        "write_1h": hour,
        "write_12h": long,
    }
    # Subsets that say more than their whole are cut to it: a stream that broke off.
    output = part.output_tokens or 0
    counts["reasoning"] = min(part.reasoning_output_tokens or 0, output)
    if not modal:
        counts["input"] = part.uncached_input_tokens or 0
        counts["cache_read"] = part.cache_read_input_tokens or 0
        counts["output"] = output - counts["reasoning"]
        return counts
    for whole, rest, subsets in (
        ("input", part.uncached_input_tokens or 0, _INPUTS),
        ("cache_read", part.cache_read_input_tokens or 0, _READS),
        ("output", output - counts["reasoning"], _OUTPUTS),
    ):
        left = rest
        for name in subsets:
            counts[name] = taken = min(modal.get(name) or 0, left)
            left -= taken
        counts[whole] = left
    return counts


def _first(prices: Iterable[Price | None]) -> Price | None:
    return next((price for price in prices if price is not None), None)
