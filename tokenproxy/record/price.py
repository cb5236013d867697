"""What a usage part costs, in US dollars.

Prices come from genai-prices: its data, its choice of model, its dated and
conditional prices. The multiplication is done here, because the library's own
calculator re-validates its units on every call (0.1 ms, longer than everything
else that is done for a row); a test holds both to the same result for every
model. What the library does not know is in :mod:`tokenproxy.record.price_rules`.

Unknown is None, never 0: an unknown model, a tier, speed, geography or server
tool without a price, a count that was not stated. The cost of a *partial* usage
is the cost of what is known to be used: a lower bound, as its counts are.

Importing the library takes 0.3 s, so it happens when first asked for, and
:meth:`Prices.warm` does it ahead of need in a thread of its own.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from tokenproxy.record import price_rules as rules
from tokenproxy.wire.usage import UsagePart

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ModelPrice, TieredPrices

logger = logging.getLogger(__name__)

MILLION = Decimal(1_000_000)
THOUSAND = Decimal(1_000)
FREE = Decimal(0)
ONE = Decimal(1)

_MINUTE_NS = 60_000_000_000
_CACHE_LIMIT = 4096

type _Price = Decimal | TieredPrices | None
type _Key = tuple[str, str, int, str | None, str | None, str | None]


class _Rates(msgspec.Struct, frozen=True, kw_only=True):
    """Prices of one model under one set of conditions, per million tokens."""

    input: _Price
    cache_read: _Price
    cache_write_5m: _Price
    cache_write_1h: _Price
    """None with a ``cache_write_5m``: the longer time to live has no known price."""
    output: _Price
    reasoning: _Price
    search: _Price
    """Per thousand web searches."""
    request: _Price
    """Per thousand requests."""
    factor: Decimal
    """On every token price: batch and geography, where the library has no price for them."""


class Prices:
    """A price list with a memory of what it looked up. Not to be shared by threads."""

    def __init__(self) -> None:
        self.problem: str | None = None
        """Why there are no prices at all, one sentence; None while all is well."""
        self._loaded = threading.Event()
        self._warming: threading.Thread | None = None
        self._snapshot: DataSnapshot | None = None
        self._library = ""
        self._cache: dict[_Key, _Rates | None] = {}

    @property
    def ready(self) -> bool:
        """Whether asking costs no import."""
        return self._loaded.is_set()

    def warm(self) -> None:
        """Import the library in a thread of its own; at once back, harmless when repeated."""
        if self._warming is None and not self.ready:
            self._warming = threading.Thread(
                target=self.load, name="tokenproxy-prices", daemon=True
            )
            self._warming.start()

    def load(self) -> None:
        """Import the library now. A broken one is told by :attr:`problem`, not by an exception."""
        try:
            import genai_prices
            from genai_prices import data_snapshot

            data_snapshot.get_snapshot()
            self._library = f"genai-prices/{genai_prices.__version__}"
        except Exception as error:
            logger.exception("the price library cannot be used")
            self.problem = f"No prices: the price library cannot be used ({type(error).__name__})."
        finally:
            self._loaded.set()

    def version(self) -> str | None:
        """What the costs are made of: ``genai-prices/0.2.3``, and when its data was updated."""
        snapshot = self._current()
        if snapshot is None:
            return None
        if snapshot.from_auto_update:
            return f"{self._library}+{snapshot.timestamp:%Y-%m-%dT%H:%M:%S}"
        return self._library

    def cost(
        self, *, provider: str, model: str, part: UsagePart, at_ns: int, lower_bound: bool = False
    ) -> Decimal | None:
        """Cost of one part at the prices of its time, exact; None if unknown.

        Args:
            provider: The ledger's provider name.
            model: The model that the part is billed to.
            part: The counts; a part that is not billable costs nothing.
            at_ns: When the call began, Unix nanoseconds.
            lower_bound: The usage is partial: price what is known of it.
        """
        if part.billable is False:
            return FREE
        searches = _searches(part.server_tool_use)
        counts = (part.uncached_input_tokens, part.output_tokens)
        missing = counts.count(None)
        if searches is None or missing == len(counts) or (missing and not lower_bound):
            return None
        rates = self._find(provider, model, part, at_ns)
        return None if rates is None else _multiply(rates, part, searches)

    def _current(self) -> DataSnapshot | None:
        """The library's price data, which it may replace while we run."""
        if not self.ready:
            self.load()
        if self.problem is not None:
            return None
        from genai_prices import data_snapshot

        snapshot = data_snapshot.get_snapshot()
        if snapshot is not self._snapshot:
            self._snapshot = snapshot
            self._cache.clear()
        return snapshot

    def _find(self, provider: str, model: str, part: UsagePart, at_ns: int) -> _Rates | None:
        snapshot = self._current()
        if snapshot is None or not model:
            return None
        # Prices change at the earliest by the minute (off-peak hours).
        minute = at_ns // _MINUTE_NS
        key = (provider, model, minute, part.service_tier, part.speed, part.inference_geo)
        if key not in self._cache:
            if len(self._cache) >= _CACHE_LIMIT:
                self._cache.clear()
            self._cache[key] = _look_up(snapshot, key)
        return self._cache[key]


def _look_up(snapshot: DataSnapshot, key: _Key) -> _Rates | None:
    provider, model_ref, minute, tier, speed, geo = key
    at = datetime.fromtimestamp(minute * 60, UTC)
    library_provider = rules.LIBRARY_PROVIDERS.get(provider, provider)
    try:
        owner, model = snapshot.find_provider_model(model_ref, None, library_provider, None)
    except LookupError:
        return None
    context, required = _conditions(tier, speed)
    standard = model.get_prices(at)
    # A model borrowed from another provider has no conditional prices here.
    own = any(model is listed for listed in owner.models)
    prices = model.get_prices(at, context) if own else standard
    factor = _geo_factor(provider, model.id, geo)
    if factor is None:
        return None
    if required and prices == standard:
        batch = rules.BATCH_FACTORS.get(provider)
        if required != {"processing"} or batch is None:
            return None
        factor *= batch
    elif len(required) > 1:
        return None
    return _rates(prices, factor)


def _conditions(tier: str | None, speed: str | None) -> tuple[dict[str, str], set[str]]:
    """The library's price context, and which of its keys must change the price to be believed."""
    context: dict[str, str] = {}
    required: set[str] = set()
    if tier == "batch":
        context["processing"] = tier
        required.add("processing")
    elif tier is not None:
        context["service_tier"] = tier
        if tier not in rules.STANDARD_TIERS:
            required.add("service_tier")
    if speed is not None and speed not in rules.STANDARD_SPEEDS:
        context["speed"] = speed
        required.add("speed")
    return context, required


def _geo_factor(provider: str, model_id: str, geo: str | None) -> Decimal | None:
    geo_rules = rules.GEO_RULES.get(provider)
    if geo_rules is None or geo is None or geo in rules.STANDARD_GEOS:
        return ONE
    rule = geo_rules.get(geo)
    if rule is None:
        return None
    return ONE if model_id in rule.not_for else rule.factor


def _rates(prices: ModelPrice, factor: Decimal) -> _Rates:
    write = prices.cache_write_mtok
    return _Rates(
        input=prices.input_mtok,
        # A kind without a price of its own is billed as what it is part of.
        cache_read=_either(prices.cache_read_mtok, prices.input_mtok),
        cache_write_5m=_either(prices.cache_write_5m_mtok, _either(write, prices.input_mtok)),
        cache_write_1h=_either(
            prices.cache_write_1h_mtok, prices.input_mtok if write is None else None
        ),
        output=prices.output_mtok,
        reasoning=_either(prices.output_reasoning_mtok, prices.output_mtok),
        search=prices.web_searches_kcount,
        request=prices.requests_kcount,
        factor=factor,
    )


def _either(first: _Price, second: _Price) -> _Price:
    return second if first is None else first


def _searches(tools: Mapping[str, int]) -> int | None:
    """Web searches to pay for; None if another server tool's price is not known."""
    searches = 0
    for tool, requests in tools.items():
        if tool == rules.WEB_SEARCH:
            searches = requests
        elif requests and tool not in rules.FREE_SERVER_TOOLS:
            return None
    return searches


def _multiply(rates: _Rates, part: UsagePart, searches: int) -> Decimal | None:
    uncached = part.uncached_input_tokens or 0
    read = part.cache_read_input_tokens or 0
    hour = part.cache_creation_1h_input_tokens or 0
    # Writes that no time to live was stated for are of the provider's default: five minutes.
    short = max(
        (part.cache_creation_input_tokens or 0) - hour, part.cache_creation_5m_input_tokens or 0
    )
    output = part.output_tokens or 0
    reasoning = min(part.reasoning_output_tokens or 0, output)
    inputs = uncached + read + short + hour
    tokens = FREE
    for count, price in (
        (uncached, rates.input),
        (read, rates.cache_read),
        (short, rates.cache_write_5m),
        (hour, rates.cache_write_1h),
        (output - reasoning, rates.output),
        (reasoning, rates.reasoning),
    ):
        if count:
            if price is None:
                return None
            tokens += count * _at(price, inputs)
    total = tokens / MILLION * rates.factor
    if searches:
        if rates.search is None:
            return None
        total += searches * _at(rates.search, inputs) / THOUSAND
    if rates.request is not None:
        total += _at(rates.request, inputs) / THOUSAND
    return total


def _at(price: Decimal | TieredPrices, inputs: int) -> Decimal:
    """The price for a request of so many input tokens: a tier's price holds for all its tokens."""
    if isinstance(price, Decimal):
        return price
    for tier in reversed(price.tiers):
        if inputs > tier.start:
            return tier.price
    return price.base
