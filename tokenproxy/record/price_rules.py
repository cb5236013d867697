"""Price rules that the price library's data does not hold. Data only.

Sources, read in November 2026: Anthropic's documentation ("Pricing", "Data
residency", "Batch processing", "Server tools"); OpenAI's ("Pricing", "Data
residency", "Prompt caching"); Google's ("Gemini API pricing", "Agent platform
pricing"); xAI's ("Pricing"); Groq's ("Flex processing", "Batch"); Mistral's
("Batch inference"). Where two tables were compared, the second is LiteLLM's
(``scripts/compare-prices``).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fnmatch import fnmatchcase
from types import MappingProxyType

import msgspec

LIBRARY_PROVIDERS: Mapping[str, str] = MappingProxyType(
    {
        "aws.bedrock": "aws",
        "azure.ai.inference": "azure",
        "azure.ai.openai": "azure",
        "fireworks_ai": "fireworks",
        "gcp.gemini": "google",
        "gcp.gen_ai": "google",
        "gcp.vertex_ai": "google",
        "github_copilot": "github-copilot",
        "mistral_ai": "mistral",
        "moonshot_ai": "moonshotai",
        "together_ai": "together",
        "x_ai": "x-ai",
        "z_ai": "zai",
    }
)
"""The ledger's provider name -> the library's id, where they differ. A provider that the library
does not know (``nvidia``, ``huggingface`` without a named host, ``ollama``) has no price there."""

NAMED_WITH_PLACE = frozenset({"aws.bedrock"})
"""Providers whose requests name a place (``us.anthropic.claude-opus-5-5``) that the answer's model
name leaves out, and that the price depends on. A bare name has no price there."""

# -- what costs nothing -----------------------------------------------------------------------

LOCAL_PROVIDERS = frozenset({"ollama"})
"""Free where they run on this machine. What they charge elsewhere is not known."""
LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0"})  # noqa: S104 - compared, not bound

FREE_MODELS: Mapping[str, str] = MappingProxyType({"openrouter": "*:free"})
"""Provider -> pattern of model names that it gives away."""

# -- tiers ------------------------------------------------------------------------------------

STANDARD = "standard"
BATCH = "batch"

TIERS: Mapping[str, str] = MappingProxyType(
    {
        # OpenAI, Azure, Bedrock; "auto" is only echoed by servers that have no tiers
        "default": STANDARD,
        "auto": STANDARD,
        "on_demand": STANDARD,
        # Google's trafficType
        "traffic_type_unspecified": STANDARD,
        "service_tier_unspecified": STANDARD,
        "on_demand_flex": "flex",
        "on_demand_priority": "priority",
    }
)
"""A provider's word for a service tier, in lower case -> the library's. Any other word is its own:
without a price of its own (Anthropic's ``priority``, OpenAI's ``scale``, Google's
``provisioned_throughput`` and Bedrock's ``reserved`` are sold by contract) the cost is unknown."""

TIERS_AT_LIST_PRICE: Mapping[str, frozenset[str]] = MappingProxyType({"groq": frozenset({"flex"})})
"""Provider -> tiers that cost what the standard one does ("Pricing matches the on-demand tier")."""

STANDARD_SPEEDS = frozenset({"standard", "default"})
"""Speeds at list price; any other needs a price of its own."""

TIERS_PRICED_AS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {provider: {"flex": BATCH} for provider in ("gcp.vertex_ai", "google")}
)
"""Provider -> tier without a price of its own -> the tier whose price it has. Google's flex and
batch are both half of the standard price, and both leave some models' cached input as it is."""

_HALF = Decimal("0.5")

TIER_FACTORS: Mapping[str, Mapping[str, Decimal]] = MappingProxyType(
    {
        "anthropic": {BATCH: _HALF},
        "aws.bedrock": {BATCH: _HALF},
        "azure.ai.openai": {BATCH: _HALF},
        "gcp.vertex_ai": {BATCH: _HALF, "flex": _HALF},
        "google": {BATCH: _HALF, "flex": _HALF},
        "groq": {BATCH: _HALF},
        "mistral_ai": {BATCH: _HALF},
        "openai": {BATCH: _HALF},
    }
)
"""Share of the token prices in a tier, for models and dates without prices of their own in it.
Server tools keep theirs. (Google's priority tier costs "75% to 100% more", xAI's batches "20% to
50%" less: that is no price.)"""

# -- cache writes -----------------------------------------------------------------------------

WRITES_12H: Mapping[str, Decimal] = MappingProxyType({"openai": Decimal(2)})
"""The library's vendor -> price of a write kept for 12 hours, in prices of a usual one (30
minutes). The library has only the usual price; LiteLLM's table has both, from GPT-5.6 on."""

# -- places -----------------------------------------------------------------------------------


class PlaceRule(msgspec.Struct, frozen=True, kw_only=True):
    """A surcharge on all token prices for inference kept in one place."""

    factor: Decimal
    only_for: tuple[str, ...] = ("*",)
    """Patterns of the models it holds for, ``fnmatch`` style."""
    not_for: tuple[str, ...] = ()
    """Patterns of models that are older than the rule. Others are held to be newer."""

    def at(self, model: str) -> Decimal:
        """The factor for one model."""
        held = any(fnmatchcase(model, pattern) for pattern in self.only_for) and not any(
            fnmatchcase(model, pattern) for pattern in self.not_for
        )
        return self.factor if held else Decimal(1)


_BEFORE_CLAUDE_4_5 = (
    "claude-2*",
    "claude-3-*",
    "claude-4-*",
    "claude-opus-4-0*",
    "claude-opus-4-1*",
    "claude-opus-4-2025*",
    "claude-opus-4@*",
    "claude-sonnet-4-0*",
    "claude-sonnet-4-2025*",
    "claude-sonnet-4@*",
    "claude-v1*",
)
_CLAUDE_4_5 = ("claude-haiku-4-5*", "claude-opus-4-5*", "claude-sonnet-4-5*")

_CLAUDE_IN_THE_US = PlaceRule(
    factor=Decimal("1.1"), not_for=(*_BEFORE_CLAUDE_4_5, *_CLAUDE_4_5), only_for=("claude-*",)
)

GEO_RULES: Mapping[str, Mapping[str, PlaceRule]] = MappingProxyType(
    {
        "anthropic": {"us": _CLAUDE_IN_THE_US},
        "azure.ai.inference": {"us": _CLAUDE_IN_THE_US},
    }
)
"""Provider -> ``inference_geo`` -> rule. "Claude Opus 4.6 and all subsequent models": on the
vendor's own API, its platform on AWS, and Foundry's US data zone. On Bedrock the place is in the
model's name, and the library has both prices; on Vertex it is in the host's."""

STANDARD_GEOS = frozenset({"", "global", "not_available"})
"""Geographies at list price. For a provider with rules, one that is in neither is unknown."""


class HostRule(msgspec.Struct, frozen=True, kw_only=True):
    """A place rule for calls to certain hosts."""

    provider: str
    hosts: str
    """Pattern of the hosts."""
    not_hosts: tuple[str, ...] = ()
    rule: PlaceRule


HOST_RULES = (
    # Data residency: 10 % on models released on or after March 5, 2026, the day of GPT-5.4.
    HostRule(
        provider="openai",
        hosts="*.api.openai.com",
        rule=PlaceRule(
            factor=Decimal("1.1"),
            only_for=("gpt-*",),
            not_for=(
                *(f"gpt-{old}" for old in ("3*", "4*", "5", "5-*", "5.1*", "5.2*", "5.3*")),
                *(f"gpt-{old}" for old in ("audio*", "image*", "oss*")),
                *(f"gpt-{old}" for old in ("realtime", "realtime-mini*")),
            ),
        ),
    ),
    # Regional and multi-region endpoints cost 10 % more than the global one.
    HostRule(
        provider="gcp.vertex_ai",
        hosts="*aiplatform*",
        not_hosts=("aiplatform.googleapis.com", "aiplatform.mtls.googleapis.com"),
        rule=PlaceRule(
            factor=Decimal("1.1"),
            only_for=(
                "claude-*",
                "gemini-3.1-flash-image*",
                "gemini-3.1-flash-lite*",
                "gemini-3.[5-9]-*",
                "gemini-[4-9]*",
            ),
            not_for=_BEFORE_CLAUDE_4_5,
        ),
    ),
    # The regional endpoint in the US costs 10 % more than the global one.
    HostRule(
        provider="x_ai", hosts="us*.api.x.ai", rule=PlaceRule(factor=Decimal("1.1"))
    ),
)  # fmt: skip

# -- server tools -----------------------------------------------------------------------------

FREE = Decimal(0)

WEB_SEARCHES = "web_searches_kcount"
STORAGE_SEARCHES = "storage_searches_kcount"

type ToolPrice = Decimal | str | None
"""US dollars per thousand requests, or the price key of the model's own; None: unknown."""
type ToolPrices = Mapping[str, ToolPrice | tuple[tuple[str, Decimal], ...]]
"""By key of ``server_tool_use``; a price by model is (pattern of names, price) pairs."""

SERVER_TOOLS: ToolPrices = MappingProxyType(
    {
        "web_search_requests": WEB_SEARCHES,
        "web_fetch_requests": FREE,
        "code_execution_requests": FREE,
        "tool_search_requests": FREE,
    }
)
"""Key of ``server_tool_use`` -> its price, with every provider that says nothing else below.
Anthropic's code execution is charged by container hour beyond a monthly allowance, which no single
response tells; it is not part of a call's cost."""

_GOOGLE_TOOLS: ToolPrices = {
    # Grounding with Google Maps; with Google Search the library has a price for each model.
    "google_maps_requests": (("gemini-2*", Decimal(25)), ("gemini-*", Decimal(14))),
}

SERVER_TOOLS_OF: Mapping[str, ToolPrices] = MappingProxyType(
    {
        # A search by Azure is Bing's, at a price of its own.
        "azure.ai.openai": {"web_search_requests": None},
        "google": _GOOGLE_TOOLS,
        "gcp.vertex_ai": _GOOGLE_TOOLS,
        "openai": {
            "file_search_requests": STORAGE_SEARCHES,
            # Billed by tokens, or by the session of a container, which no response tells.
            "code_execution_requests": None,
            "code_interpreter_requests": None,
        },
        "x_ai": {
            "web_search_requests": Decimal(5),
            "mcp_requests": FREE,
            "x_search_requests": Decimal(5),
            "code_execution_requests": Decimal(5),
            "code_interpreter_requests": Decimal(5),
            "attachment_search_requests": Decimal(10),
            "collections_search_requests": Decimal("2.5"),
            "file_search_requests": Decimal("2.5"),
        },
    }
)
"""Provider -> what it charges otherwise. A tool in neither table has no known price."""

ONE_SEARCH_A_CALL: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"google": ("gemini-1*", "gemini-2*")}
)
"""The library's vendor -> models whose grounding is charged by prompt, not by search."""


def tier_of(provider: str, word: str | None) -> str:
    """The library's word for a tier; what the provider does not name is the standard one."""
    if not word:
        return STANDARD
    tier = TIERS.get(word.lower(), word.lower())
    return STANDARD if tier in TIERS_AT_LIST_PRICE.get(provider, ()) else tier


def tool_price(provider: str, model: str, tool: str) -> ToolPrice:
    """What a server tool costs with a provider's model."""
    own = SERVER_TOOLS_OF.get(provider, {})
    price = own[tool] if tool in own else SERVER_TOOLS.get(tool)
    if isinstance(price, tuple):
        return next((each for pattern, each in price if fnmatchcase(model, pattern)), None)
    return price


def place_factor(provider: str, model: str, geo: str | None, host: str | None) -> Decimal | None:
    """What a place does to the token prices; None if that is not known."""
    rules = GEO_RULES.get(provider)
    if rules is not None and geo is not None and geo not in STANDARD_GEOS:
        return rules[geo].at(model) if geo in rules else None
    for rule in HOST_RULES:
        if (
            host is not None
            and rule.provider == provider
            and fnmatchcase(host, rule.hosts)
            and host not in rule.not_hosts
        ):
            return rule.rule.at(model)
    return Decimal(1)
