"""The columns of a ledger: what questions can ask of a row."""

from __future__ import annotations

COLUMNS = {
    "timestamp": "VARCHAR",
    "story_id": "VARCHAR",
    "iteration": "BIGINT",
    "provider": "VARCHAR",
    "model": "VARCHAR",
    "complexity": "BIGINT",
    "input_tokens": "BIGINT",
    "output_tokens": "BIGINT",
    "cost_usd": "DOUBLE",
    "latency_ms": "DOUBLE",
    "success": "BOOLEAN",
    "fallback_used": "BOOLEAN",
    "error": "VARCHAR",
    "run_id": "VARCHAR",
    "call_id": "VARCHAR",
    "outcome": "VARCHAR",
    "completeness": "VARCHAR",
    "operation": "VARCHAR",
    "session_id": "VARCHAR",
    "agent_id": "VARCHAR",
    "agent_type": "VARCHAR",
    "request_class": "VARCHAR",
    "uncached_input_tokens": "BIGINT",
    "cache_read_input_tokens": "BIGINT",
    "cache_creation_input_tokens": "BIGINT",
    "reasoning_output_tokens": "BIGINT",
    "status_code": "BIGINT",
    "ttft_ms": "DOUBLE",
    "provider_cost_usd": "DOUBLE",
    "project": "VARCHAR",
    "labels": "MAP(VARCHAR, VARCHAR)",
    "client": "VARCHAR",
    "parts": "STRUCT(model VARCHAR, billable BOOLEAN, input_tokens BIGINT, output_tokens BIGINT,"
    " uncached_input_tokens BIGINT, cache_read_input_tokens BIGINT,"
    " cache_creation_input_tokens BIGINT, reasoning_output_tokens BIGINT, cost_usd DOUBLE)[]",
}
"""Key of the ledger row -> DuckDB type. All that any question needs; ``usage`` is not read."""
