"""What a usage part costs, in US dollars.

Prices come from genai-prices: its data, its choice of model, its dated and
conditional prices. What it does not know is in :mod:`tokenproxy.record.price_rules`,
where its tables are wrong in ``prices.toml``; the user's own prices win over both
(:mod:`tokenproxy.record.price_file`). The multiplication is done in
:mod:`tokenproxy.record.price_rates`.

Whose price it is: the provider's; of a gateway, whose rows bear its host's name, that
of the provider whose API it speaks, else of the model's own vendor. A provider that is
known and does not know the model has no price for it.

Unknown is None, never 0: an unknown model, a tier, speed, geography or server
tool without a price, a count that was not stated. The cost of a *partial* usage
is the cost of what is known to be used: a lower bound, as its counts are.

Importing the library takes 0.3 s, so it happens when first asked for, and
:meth:`Prices.warm` does it ahead of need in a thread of its own.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from tokenproxy import __version__, paths
from tokenproxy.record import price_file, price_rates
from tokenproxy.record import price_rules as rules
from tokenproxy.record.price_file import Override
from tokenproxy.record.price_rates import Rates
from tokenproxy.wire.usage import UsagePart

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ModelInfo, Provider

logger = logging.getLogger(__name__)

_MINUTE_NS = 60_000_000_000
_CACHE_LIMIT = 4096
_OWN = "config/"


class Seller(msgspec.Struct, frozen=True, kw_only=True):
    """Who is paid for a call."""

    provider: str
    """The ledger's name; of a gateway, its host's."""
    family: str | None = None
    """The provider whose API a gateway speaks."""
    host: str | None = None
    """Where the call went."""

    @property
    def known(self) -> str:
        """The provider that rules are about."""
        return self.family or self.provider


class Cost(msgspec.Struct, frozen=True):
    """A cost, and the price list it is from."""

    usd: Decimal
    source: str = ""
    """``genai-prices/0.2.3``; empty where nothing was looked up."""


_FREE = Cost(rules.FREE)


class _Question(msgspec.Struct, frozen=True):
    """What a price depends on."""

    seller: Seller
    model: str
    minute: int
    tier: str
    speed: str | None
    geo: str | None

    @property
    def at(self) -> datetime:
        return datetime.fromtimestamp(self.minute * 60, UTC)

    @property
    def tier_factor(self) -> Decimal | None:
        """What the tier does to the token prices, by the provider's own rule."""
        return rules.TIER_FACTORS.get(self.seller.known, {}).get(self.tier)


type _Asked = tuple[Seller, str, int, str | None, str | None, str | None]
"""What a question is made of: seller, model, minute; tier, speed and geography as stated."""


def _question(asked: _Asked) -> _Question:
    seller, model, minute, tier, speed, geo = asked
    return _Question(
        seller,
        model,
        minute,
        rules.tier_of(seller.known, tier),
        speed if speed not in rules.STANDARD_SPEEDS else None,
        geo,
    )


def model_to_price(provider: str, served: str, requested: str | None) -> str:
    """The name to look up for the model that served.

    Where the price depends on a place that only the request's name has, that name.
    """
    if provider in rules.NAMED_WITH_PLACE and requested and served in requested:
        return requested
    return served


class Prices:
    """A price list with a memory of what it looked up. Not to be shared by threads."""

    def __init__(self) -> None:
        self.problem: str | None = None
        """What is wrong with the prices, one sentence; None while all is well."""
        self.broken = False
        """There are none at all."""
        self.declined: set[tuple[str, str]] = set()
        """Provider and model of what was asked for and the user's own file says not to price."""
        self.ready = False
        """Asking costs no import."""
        self._warming: threading.Thread | None = None
        self._snapshot: DataSnapshot | None = None
        self._library = ""
        self._files: tuple[tuple[str, price_file.PriceFile], ...] = ()
        """Sources and their entries, the most important first."""
        self._snapshot_now: Callable[[], DataSnapshot] | None = None
        self._cache: dict[_Asked, Rates | None] = {}

    def warm(self) -> None:
        """Import the library in a thread of its own; at once back, harmless when repeated."""
        if self._warming is None and not self.ready:
            self._warming = threading.Thread(
                target=self.load, name="tokenproxy-prices", daemon=True
            )
            self._warming.start()

    def load(self) -> None:
        """Import the library and read the price files now.

        What is broken is told by :attr:`problem`, not by an exception.
        """
        try:
            self._read_files()
            import genai_prices
            from genai_prices import data_snapshot

            data_snapshot.get_snapshot()
            self._snapshot_now = data_snapshot.get_snapshot
            self._library = f"genai-prices/{genai_prices.__version__}"
        except Exception as error:
            logger.exception("the price library cannot be used")
            self.broken = True
            self.problem = f"No prices: the price library cannot be used ({type(error).__name__})."
        finally:
            self.ready = True

    def cost(
        self, seller: Seller, model: str, part: UsagePart, at_ns: int, *, lower_bound: bool = False
    ) -> Cost | None:
        """Cost of one part at the prices of its time, exact; None if unknown.

        Args:
            seller: Whose prices.
            model: The model that the part is billed to.
            part: The counts; a part that is not billable costs nothing.
            at_ns: When the call began, Unix nanoseconds.
            lower_bound: The usage is partial: price what is known of it.
        """
        if part.billable is False or _is_free(seller, model):
            return _FREE
        counts = (part.uncached_input_tokens, part.output_tokens)
        missing = counts.count(None)
        if missing == len(counts) or (missing and not lower_bound):
            return None
        rates = self._find(
            (
                seller,
                model,
                # Prices change at the earliest by the minute (off-peak hours).
                at_ns // _MINUTE_NS,
                part.service_tier,
                part.speed,
                part.inference_geo,
            )
        )
        if rates is None:
            return None
        usd = price_rates.cost_of(rates, part, partial(rules.tool_price, seller.known, model))
        return None if usd is None else Cost(usd, rates.source)

    def _read_files(self) -> None:
        files = [(f"tokenproxy/{__version__}", price_file.read(price_file.SHIPPED))]
        own = paths.config_file()
        try:
            if own is not None:
                read = price_file.read(own)
                files.insert(0, (f"{_OWN}{read.digest}", read))
        except price_file.PriceFileError as error:
            self.problem = f"{error}. Its prices are not used."
        self._files = tuple(files)

    def _current(self) -> DataSnapshot | None:
        """The library's price data, which it may replace while we run."""
        if not self.ready:
            self.load()
        if self.broken or self._snapshot_now is None:
            return None
        snapshot = self._snapshot_now()
        if snapshot is not self._snapshot:
            self._snapshot = snapshot
            self._cache.clear()
        return snapshot

    def _find(self, asked: _Asked) -> Rates | None:
        snapshot = self._current()
        if snapshot is None:
            return None
        try:
            return self._cache[asked]
        except KeyError:
            pass
        if len(self._cache) >= _CACHE_LIMIT:
            self._cache.clear()
            self.declined.clear()
        found = self._look_up(snapshot, _question(asked)) if asked[1] else None
        self._cache[asked] = found
        return found

    def _look_up(self, snapshot: DataSnapshot, asked: _Question) -> Rates | None:
        names = (asked.seller.provider, asked.seller.family)
        for source, file in self._files:
            fitting = file.fitting(names, asked.model, asked.at)
            if fitting:
                if source.startswith(_OWN) and _is_declined(asked, fitting):
                    self.declined.add((asked.seller.provider, asked.model))
                return _own_rates(asked, fitting, source)
        found = _model_of(snapshot, asked.seller, asked.model)
        if found is None:
            return None
        owner, model = found
        # A model borrowed from another provider has no conditional prices there.
        own = any(model is listed for listed in owner.models)
        return _library_rates(asked, owner, model, self._source(snapshot), own=own)

    def _source(self, snapshot: DataSnapshot) -> str:
        """The library's version, and when its data was updated."""
        if snapshot.from_auto_update:
            return f"{self._library}+{snapshot.timestamp:%Y-%m-%dT%H:%M:%S}"
        return self._library


def _is_free(seller: Seller, model: str) -> bool:
    if seller.provider in rules.LOCAL_PROVIDERS and seller.host in rules.LOCAL_HOSTS:
        return True
    given_away = rules.FREE_MODELS.get(seller.provider)
    return given_away is not None and fnmatchcase(model, given_away)


def _own_rates(asked: _Question, fitting: Sequence[Override], source: str) -> Rates | None:
    """Rates by the entries of a file that fit, the last one first."""
    by_tier = {entry.service_tier: entry for entry in reversed(fitting)}
    entry, factor = by_tier.get(asked.tier), _place(asked, asked.model)
    share = asked.tier_factor
    if entry is None and share is not None and factor is not None:
        entry, factor = by_tier.get(rules.STANDARD), factor * share
    if entry is None or not entry.prices or asked.speed is not None or factor is None:
        return None
    return price_rates.make_rates(entry.prices.get, factor=factor, source=source)


def _is_declined(asked: _Question, fitting: Sequence[Override]) -> bool:
    by_tier = {entry.service_tier: entry for entry in reversed(fitting)}
    entry = by_tier.get(asked.tier) or by_tier.get(rules.STANDARD)
    return entry is not None and not entry.prices


def _model_of(
    snapshot: DataSnapshot, seller: Seller, model: str
) -> tuple[Provider, ModelInfo] | None:
    """The library's model, and the provider whose price it is."""
    for library, name in _candidates(seller, model):
        try:
            return snapshot.find_provider_model(name, None, library, None)
        except LookupError:
            continue
    return None


def _candidates(seller: Seller, model: str) -> list[tuple[str | None, str]]:
    """Where to look for a model, in order: (the library's provider or None for any, name)."""
    known = seller.known
    library = rules.LIBRARY_PROVIDERS.get(known, known)
    last = model.rpartition("/")[2]
    if known in rules.NAMED_WITH_PLACE:
        # An ARN ends in the id; a name without its vendor says nothing of the place.
        return [(library, last)] if "." in last else []
    found: list[tuple[str | None, str]] = [(library, model)]
    if library == "google":
        found.append((library, last))  # models/gemini-..., publishers/google/models/gemini-...
    if known == "huggingface" and ":" in model:
        name, _, host = model.rpartition(":")
        found.append((f"huggingface_{host}", name))
    if seller.family is not None:
        vendor, _, rest = model.partition("/")
        if rest:
            found.append((rules.LIBRARY_PROVIDERS.get(vendor, vendor), rest))
        found += [(None, model), (None, last)]
    return found


def _library_rates(
    asked: _Question, owner: Provider, model: ModelInfo, source: str, *, own: bool
) -> Rates | None:
    standard = prices = model.get_prices(asked.at)
    factor = _place(asked, model.id)
    contexts = _contexts(asked)
    if factor is None or (asked.speed is not None and asked.tier != rules.STANDARD):
        return None
    for context in contexts if own else ():
        prices = model.get_prices(asked.at, context)
        if prices != standard:
            break
    if contexts and prices == standard:
        if asked.speed is not None or asked.tier_factor is None:
            return None
        factor *= asked.tier_factor
    vendor = owner.id if own else ""
    once = rules.ONE_SEARCH_A_CALL.get(owner.id, ())
    return price_rates.make_rates(
        vars(prices).get,
        factor=factor,
        factor_12h=rules.WRITES_12H.get(vendor),
        one_search=any(fnmatchcase(model.id, pattern) for pattern in once),
        source=source,
    )


def _contexts(asked: _Question) -> list[dict[str, str]]:
    """The library's price contexts, in order; one of them must change the price to be believed."""
    if asked.speed is not None:
        return [{"speed": asked.speed}]
    if asked.tier == rules.STANDARD:
        return []
    other = rules.TIERS_PRICED_AS.get(asked.seller.known, {}).get(asked.tier)
    return [_tier_context(tier) for tier in (asked.tier, other) if tier is not None]


def _tier_context(tier: str) -> dict[str, str]:
    return {"processing" if tier == rules.BATCH else "service_tier": tier}


def _place(asked: _Question, model: str) -> Decimal | None:
    seller = asked.seller
    return rules.place_factor(seller.known, model, asked.geo, seller.host)
