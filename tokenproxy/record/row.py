"""The ledger row: one call, one line. The contract that other tools read.

The order of the fields is the order of the keys on the line. The first twelve
are the ancestor's, with its types; a reader of those finds them where it
expects them. Unknown is absent: ``omit_defaults`` drops every None.
"""

from __future__ import annotations

from typing import Any

import msgspec

SCHEMA = "tokenproxy.usage/1"


class RowPart(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Tokens billed to one model inside a call that billed several. Counts are tokens."""

    model: str | None = None
    role: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    uncached_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation_5m_input_tokens: int | None = None
    cache_creation_1h_input_tokens: int | None = None
    reasoning_output_tokens: int | None = None
    server_tool_use: dict[str, int] | None = None
    service_tier: str | None = None
    speed: str | None = None
    inference_geo: str | None = None
    billable: bool | None = None
    cost_usd: float | None = None


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of ``provider_usage.jsonl``."""

    # The ancestor's twelve. Required fields carry no default: they are always written.
    timestamp: str
    """UTC start of the call, ``2026-11-22T00:54:55.830Z``."""
    story_id: str
    iteration: int
    provider: str
    model: str
    complexity: int
    input_tokens: int | None = None
    """All input: uncached, cache reads and cache writes."""
    output_tokens: int | None = None
    """All billed output, reasoning included."""
    cost_usd: float | None = None
    """US dollars; absent if the price of any part is unknown."""
    latency_ms: float
    success: bool
    fallback_used: bool
    # Ours.
    error: str | None = None
    schema: str
    run_id: str
    call_id: str
    outcome: str
    completeness: str
    operation: str
    requested_model: str | None = None
    response_id: str | None = None
    request_id: str | None = None
    client_request_id: str | None = None
    session_id: str | None = None
    turn_id: str | None = None
    agent_id: str | None = None
    parent_agent_id: str | None = None
    agent_type: str | None = None
    request_class: str | None = None
    attempt: int | None = None
    retry_of: str | None = None
    uncached_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation_5m_input_tokens: int | None = None
    cache_creation_1h_input_tokens: int | None = None
    reasoning_output_tokens: int | None = None
    server_tool_use: dict[str, int] | None = None
    service_tier: str | None = None
    speed: str | None = None
    inference_geo: str | None = None
    stop_reason: str | None = None
    parts: tuple[RowPart, ...] | None = None
    """Only when more than one model or role was billed."""
    status_code: int | None = None
    stream: bool | None = None
    ttft_ms: float | None = None
    request_bytes: int | None = None
    response_bytes: int | None = None
    provider_cost_usd: float | None = None
    price_version: str | None = None
    notes: tuple[str, ...] | None = None
    """Discrepancies seen in the provider's own numbers, machine words."""
    trace_id: str | None = None
    span_id: str | None = None
    project: str | None = None
    labels: dict[str, str] | None = None
    client: str | None = None
    usage: list[dict[str, Any]] | None = None
    """The provider's usage objects, verbatim."""
