"""One call at one provider, as bytes, and what must be read from it.

Each file of ``fixtures/`` has ``CASES``; ``test_providers.py`` plays every case
through the route table, the dialect and the price list, in many chunkings, and
``docs/providers.md`` is made from them: a case is the proof of a cell.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any, Literal

import msgspec

from tests.wire import fixtures
from tokenproxy.wire.usage import Completeness, ToolUse, UsagePart

Aspect = Literal["plain", "stream", "cache", "reasoning", "tools", "abort", "price"]
ASPECTS: tuple[Aspect, ...] = (
    "plain", "stream", "cache", "reasoning", "tools", "abort", "price",
)  # fmt: skip


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One call. Its id is ``{provider}-{aspect}-{name}``."""

    provider: str
    """Key of the route table."""
    aspect: Aspect
    """What it proves: one column of the table of providers."""
    name: str
    """What is special about it, a word or two with dashes."""
    host: str
    path: str
    method: str = "POST"
    request: bytes = b"{}"
    """Decoded request body."""
    status: int = 200
    headers: dict[str, str] = msgspec.field(
        default_factory=lambda: {"content-type": "application/json"}
    )
    """Of the response, names lower-cased."""
    body: bytes = b""
    """Of the response, content-encoding removed."""

    asked: str | None = None
    """The model that is asked for, by body or path."""
    dialect: str
    operation: str = "chat"
    model: str | None = None
    response_id: str | None = None
    stop_reason: str | None = None
    parts: tuple[UsagePart, ...] = ()
    completeness: Completeness = "final"
    ended: bool = True
    error: str | None = None
    notes: tuple[str, ...] = ()
    tool_uses: tuple[ToolUse, ...] = ()
    usage: list[dict[str, Any]] | None = None
    """The usage objects kept verbatim; None: not compared."""
    provider_cost_usd: float | None = None
    cost_usd: str | None = None
    """Exact sum of the parts' computed costs, a decimal number; None: not compared."""
    at: str = "2026-11-22T12:00:00Z"
    """When the call began, for its price."""

    @property
    def id(self) -> str:
        """Unique."""
        return f"{self.provider}-{self.aspect}-{self.name}"


def all_cases() -> list[Case]:
    """Every case of every provider."""
    found: list[Case] = []
    for module in pkgutil.iter_modules(fixtures.__path__):
        found += getattr(importlib.import_module(f"{fixtures.__name__}.{module.name}"), "CASES", ())
    return found
