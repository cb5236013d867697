"""Anthropic's ``usage`` object: how two of them merge and how counts add up.

The rules (SDK, ``accumulate_event``; "Prompt caching"; facts of the wire):

* ``message_delta.usage`` is cumulative. It overrides ``message_start``'s field
  by field; null or absent keeps what was there, an explicit 0 is a value.
* It does not carry ``cache_creation``, ``service_tier``, ``speed`` and
  ``inference_geo``: those stay the start's.
* ``cache_creation_input_tokens`` is the total of cache writes. The split by
  time to live comes from ``cache_creation``; what that leaves over was written
  for 5 minutes (server tools make such writes unasked), and is noted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

import msgspec

from tokenproxy.wire import notes
from tokenproxy.wire.bookkeeping import MAX_KEYS, MAX_TOOLS
from tokenproxy.wire.words import count, word

INPUTS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
TOKENS = (*INPUTS, "output_tokens")


def merge(held: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
    """The usage that holds after ``update`` came on top of ``held``."""
    if len(held) + len(update) > MAX_KEYS:
        update = _within_bounds(held, update)
    return {
        **held,
        **{key: value for key, value in update.items() if _is_stated(key, value)},
    }


def bad_counts(usage: Mapping[str, Any]) -> bool:
    """Whether a token count is there but is no count."""
    for key in TOKENS:
        stated = usage.get(key)
        if stated is not None and count(stated) is None:
            return True
    return False


def _within_bounds(held: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
    """``update`` without keys for which there is no room: those that are known always fit."""
    known = {key: value for key, value in update.items() if key in held or key in TOKENS}
    return dict(islice(update.items(), max(MAX_KEYS - len(held), 0))) | known


def _is_stated(key: str, value: Any) -> bool:
    return count(value) is not None if key in TOKENS else value is not None


class Tally(msgspec.Struct, kw_only=True):
    """Counts of one billed part while they are added up. None: not stated by any entry."""

    uncached: int | None = None
    cache_read: int | None = None
    cache_creation: int | None = None
    cache_5m: int | None = None
    cache_1h: int | None = None
    output: int | None = None
    reasoning: int | None = None
    server_tools: dict[str, int] = msgspec.field(default_factory=dict)

    def counts(self) -> tuple[int | None, ...]:
        """In the order of ``TOKENS``."""
        return self.uncached, self.cache_read, self.cache_creation, self.output


def tally(entries: Iterable[Mapping[str, Any]]) -> Tally:
    """The sum of usage objects or of entries of ``iterations``."""
    total, *others = [_tally_of(entry) for entry in entries] or [Tally()]
    for other in others:
        _add(total, other)
    return total


def _tally_of(entry: Mapping[str, Any]) -> Tally:
    get = entry.get
    split = _object(entry, "cache_creation")
    five = count(split.get("ephemeral_5m_input_tokens"))
    hour = count(split.get("ephemeral_1h_input_tokens"))
    created = count(get("cache_creation_input_tokens"))
    tools: dict[str, int] = {}
    for key, value in _object(entry, "server_tool_use").items():
        requests, tool = count(value), word(key)
        if requests is not None and tool is not None:
            _add_tool(tools, tool, requests)
    return Tally(
        uncached=count(get("input_tokens")),
        cache_read=count(get("cache_read_input_tokens")),
        cache_creation=plus(five, hour) if created is None else created,
        cache_5m=five,
        cache_1h=hour,
        output=count(get("output_tokens")),
        reasoning=count(_object(entry, "output_tokens_details").get("thinking_tokens")),
        server_tools=tools,
    )


def _add(total: Tally, other: Tally) -> None:
    total.uncached = plus(total.uncached, other.uncached)
    total.cache_read = plus(total.cache_read, other.cache_read)
    total.cache_creation = plus(total.cache_creation, other.cache_creation)
    total.cache_5m = plus(total.cache_5m, other.cache_5m)
    total.cache_1h = plus(total.cache_1h, other.cache_1h)
    total.output = plus(total.output, other.output)
    total.reasoning = plus(total.reasoning, other.reasoning)
    for tool, requests in other.server_tools.items():
        _add_tool(total.server_tools, tool, requests)


def _add_tool(tools: dict[str, int], tool: str, requests: int) -> None:
    if tool in tools or len(tools) < MAX_TOOLS:
        tools[tool] = tools.get(tool, 0) + requests


def plus(left: int | None, right: int | None) -> int | None:
    """The sum of what is known."""
    if left is None or right is None:
        return right if left is None else left
    return left + right


def settle_cache_split(total: Tally, stated: Tally) -> list[str]:
    """Make the split of ``total``'s cache writes add up; return notes.

    Args:
        total: what is settled, in place.
        stated: the top-level usage, whose split stands in if the entries have none.
    """
    created = total.cache_creation
    if created is None:
        return []
    split = plus(total.cache_5m, total.cache_1h)
    if split != created and plus(stated.cache_5m, stated.cache_1h) == created:
        total.cache_5m, total.cache_1h = stated.cache_5m, stated.cache_1h
        return []
    remainder = created - (split or 0)
    if remainder > 0:
        total.cache_5m = plus(total.cache_5m, remainder)
        return [notes.CACHE_SPLIT_REMAINDER]
    if remainder < 0:
        total.cache_1h = min(total.cache_1h or 0, created)
        total.cache_5m = created - total.cache_1h
        return [notes.CACHE_SPLIT_EXCEEDS]
    return []


def settle_reasoning(total: Tally) -> list[str]:
    """Drop reasoning that cannot be a part of the output; return notes."""
    if total.reasoning is None or total.output is None or total.reasoning <= total.output:
        return []
    total.reasoning = None
    return [notes.REASONING_EXCEEDS_OUTPUT]


def _object(entry: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = entry.get(key)
    return value if isinstance(value, dict) else {}
