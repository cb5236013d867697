"""Ledger rows to ask about."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]

RUN = "019ab9f0-0000-7000-8000-000000000001"
"""A UUIDv7 whose time is STARTED_MS."""
STARTED_MS = int(RUN.replace("-", "")[:12], 16)


def row(call_id: str = "c1", **changes: Any) -> Row:
    """A priced, complete call; a change to None leaves the key out."""
    made: Row = {
        "timestamp": "2026-11-22T00:54:55.830Z",
        "story_id": "US-7",
        "iteration": 3,
        "provider": "anthropic",
        "model": "claude-opus-5-5",
        "complexity": 5,
        "input_tokens": 17_060,
        "output_tokens": 55,
        "cost_usd": 0.0145,
        "latency_ms": 200.0,
        "success": True,
        "fallback_used": False,
        "schema": "tokenproxy.usage/1",
        "run_id": RUN,
        "call_id": call_id,
        "outcome": "complete",
        "completeness": "final",
        "operation": "chat",
        "uncached_input_tokens": 12,
        "cache_read_input_tokens": 15_000,
        "cache_creation_input_tokens": 2_048,
        "status_code": 200,
        "usage": [{"input_tokens": 12, "output_tokens": 55}],
    } | changes
    return {key: value for key, value in made.items() if value is not None}


def failed(call_id: str = "c1", **changes: Any) -> Row:
    """A call that the provider refused: nothing used."""
    nothing: Row = dict.fromkeys(
        (
            "input_tokens",
            "output_tokens",
            "cost_usd",
            "uncached_input_tokens",
            "cache_read_input_tokens",
            "cache_creation_input_tokens",
            "usage",
        )
    )
    refused = {
        "success": False,
        "outcome": "error",
        "completeness": "none",
        "error": "overloaded_error",
        "status_code": 529,
        "latency_ms": 30.0,
    }
    return row(call_id, **nothing | refused | changes)


def legacy(**changes: Any) -> Row:
    """A row of the ancestor's: twelve keys."""
    made = row(**changes)
    return dict(list(made.items())[:12])


def write(path: Path, rows: Sequence[Row | bytes]) -> Path:
    """A ledger of these rows; bytes stand as they are."""
    lines = [one if isinstance(one, bytes) else json.dumps(one).encode() + b"\n" for one in rows]
    path.write_bytes(b"".join(lines))
    return path
