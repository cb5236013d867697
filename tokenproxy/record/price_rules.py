"""Price rules that the price library's data does not hold. Data only.

Sources: Anthropic's documentation, pages "Pricing", "Data residency", "Batch
processing" and "Server tools" (August 2026 and later).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

import msgspec


class GeoRule(msgspec.Struct, frozen=True, kw_only=True):
    """A surcharge on all token prices for inference kept in one geography."""

    factor: Decimal
    not_for: frozenset[str]
    """The library's ids of models that are older than the rule."""


LIBRARY_PROVIDERS: Mapping[str, str] = MappingProxyType(
    {
        "aws.bedrock": "aws",
        "azure.ai.inference": "azure",
        "azure.ai.openai": "azure",
        "gcp.gemini": "google",
        "gcp.gen_ai": "google",
        "gcp.vertex_ai": "google",
        "mistral_ai": "mistral",
        "x_ai": "x-ai",
    }
)
"""The ledger's provider name -> the library's id, where they differ."""

STANDARD_TIERS = frozenset({"standard", "default", "on_demand"})
"""Service tiers at list price. ``batch`` has its own rule; any other needs a price of its own:
without one (Anthropic's ``priority`` is sold by contract) the cost is unknown."""

STANDARD_SPEEDS = frozenset({"standard", "default"})
"""Speeds at list price; any other needs a price of its own."""

BATCH_FACTORS: Mapping[str, Decimal] = MappingProxyType({"anthropic": Decimal("0.5")})
"""Share of the token price in a batch, for models and dates without batch prices of their own.
Anthropic halves every token price; web searches keep theirs."""

_BEFORE_OPUS_4_6 = frozenset(
    {
        "claude-2",
        "claude-3-5-haiku-latest",
        "claude-3-5-sonnet",
        "claude-3-7-sonnet-latest",
        "claude-3-haiku",
        "claude-3-opus-latest",
        "claude-3-sonnet",
        "claude-haiku-4-5",
        "claude-opus-4-0",
        "claude-opus-4-1",
        "claude-opus-4-5",
        "claude-sonnet-4-0",
        "claude-sonnet-4-5",
        "claude-v1",
    }
)

GEO_RULES: Mapping[str, Mapping[str, GeoRule]] = MappingProxyType(
    {"anthropic": {"us": GeoRule(factor=Decimal("1.1"), not_for=_BEFORE_OPUS_4_6)}}
)
"""Provider -> ``inference_geo`` -> rule. "Claude Opus 4.6 and all subsequent models", first-party
API only: on Bedrock and Vertex the region is part of the endpoint, not of the usage."""

STANDARD_GEOS = frozenset({"", "global", "not_available"})
"""Geographies at list price. For a provider with rules, one that is in neither is unknown."""

WEB_SEARCH = "web_search_requests"
"""The server tool with a price of its own in the library (per thousand)."""

FREE_SERVER_TOOLS = frozenset(
    {"web_fetch_requests", "code_execution_requests", "tool_search_requests"}
)
"""Not charged by request. Code execution is charged by container hour beyond a monthly allowance,
which no single response tells; it is not part of a call's cost."""
