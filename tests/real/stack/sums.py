"""The same sums three ways: over the ledger's rows, in Prometheus, over Jaeger's spans.

What a row adds to a sum is stated here anew, from docs/ledger.md: nothing of the
mapping that is under test is used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tests.e2e.bench import Row
from tests.real.stack.jaeger import Span
from tests.real.stack.prometheus import Prometheus

Sums = dict[str, int]
"""Value of a dimension -> sum; zeros are left out."""

PROVIDERS = {"google": "gcp.gemini"}
"""The ledger's name -> OpenTelemetry's, where they differ."""


@dataclass(frozen=True)
class Sum:
    """A number by a dimension."""

    name: str
    promql: str
    """Leaves ``label``; {range} is the time to look back over."""
    label: str
    of_row: Callable[[Row], dict[str, int]]
    of_span: Callable[[dict[str, Any]], dict[str, int]]


def _nanos(row: Row) -> int:
    spent = row.get("provider_cost_usd", row.get("cost_usd"))
    return round((spent or 0) * 1e9)


def _tokens(row: Row) -> int:
    return int(row.get("input_tokens", 0) + row.get("output_tokens", 0))


def _kinds(row: Row) -> dict[str, int]:
    kinds = {
        "uncached_input": row.get("uncached_input_tokens", 0),
        "cache_read": row.get("cache_read_input_tokens", 0),
        "cache_creation_5m": row.get("cache_creation_5m_input_tokens", 0),
        "cache_creation_1h": row.get("cache_creation_1h_input_tokens", 0),
    }
    written = row.get("cache_creation_input_tokens", 0)
    kinds["cache_creation_other"] = (
        written - kinds["cache_creation_5m"] - kinds["cache_creation_1h"]
    )
    kinds["input_other"] = row.get("input_tokens", 0) - sum(kinds.values())
    kinds["output"] = row.get("output_tokens", 0)
    return kinds


def _span_output(tags: dict[str, Any]) -> int:
    cut = tags.get("tokenproxy.usage.output_tokens_at_least", 0)
    return int(tags.get("gen_ai.usage.output_tokens", cut))


def _span_tokens(tags: dict[str, Any]) -> int:
    return int(tags.get("gen_ai.usage.input_tokens", 0)) + _span_output(tags)


def _span_nanos(tags: dict[str, Any]) -> int:
    return int(tags.get("tokenproxy.cost.usd_nanos", 0))


def _span_kinds(tags: dict[str, Any]) -> dict[str, int]:
    def count(name: str) -> int:
        return int(tags.get(name, 0))

    kinds = {
        "uncached_input": count("tokenproxy.usage.uncached_input_tokens"),
        "cache_read": count("gen_ai.usage.cache_read.input_tokens"),
        "cache_creation_5m": count("tokenproxy.usage.cache_creation_5m_input_tokens"),
        "cache_creation_1h": count("tokenproxy.usage.cache_creation_1h_input_tokens"),
    }
    written = count("gen_ai.usage.cache_creation.input_tokens")
    kinds["cache_creation_other"] = (
        written - kinds["cache_creation_5m"] - kinds["cache_creation_1h"]
    )
    kinds["input_other"] = count("gen_ai.usage.input_tokens") - sum(kinds.values())
    kinds["output"] = _span_output(tags)
    return kinds


def _by(
    label: str,
    key: str,
    tag: str,
    rows: Callable[[Row], int],
    spans: Callable[[dict[str, Any]], int],
) -> tuple[str, Callable[[Row], Sums], Callable[[dict[str, Any]], Sums]]:
    return (
        label,
        lambda row: {str(row.get(key, "")): rows(row)},
        lambda tags: {str(tags.get(tag, "")): spans(tags)},
    )


def _one(_: object) -> int:
    return 1


def _sum(
    name: str,
    metric: str,
    by: tuple[str, Callable[[Row], Sums], Callable[[dict[str, Any]], Sums]],
) -> Sum:
    label, of_row, of_span = by
    promql = f"sum by ({label}) (sum_over_time({metric}[{{range}}]))"
    return Sum(name, promql, label, of_row, of_span)


TOKENS = "tokenproxy_usage_tokens_total"
COST = "tokenproxy_cost_usd_nanos_total"
CALLS = "tokenproxy_calls_total"
MODEL = ("gen_ai_response_model", "model", "gen_ai.response.model")
STORY = ("tokenproxy_story_id", "story_id", "tokenproxy.story.id")

SUMS = (
    _sum("tokens by kind", TOKENS, ("tokenproxy_token_kind", _kinds, _span_kinds)),
    _sum("tokens by model", TOKENS, _by(*MODEL, _tokens, _span_tokens)),
    _sum("tokens by story", TOKENS, _by(*STORY, _tokens, _span_tokens)),
    _sum("cost by model, 1e-9 USD", COST, _by(*MODEL, _nanos, _span_nanos)),
    _sum("cost by story, 1e-9 USD", COST, _by(*STORY, _nanos, _span_nanos)),
    _sum("calls by story", CALLS, _by(*STORY, _one, _one)),
    _sum(
        "calls by provider",
        CALLS,
        (
            "gen_ai_provider_name",
            lambda row: {PROVIDERS.get(str(row["provider"]), str(row["provider"])): 1},
            lambda tags: {tags["gen_ai.provider.name"]: 1},
        ),
    ),
    _sum(
        "calls by outcome",
        CALLS,
        _by("tokenproxy_outcome", "outcome", "tokenproxy.outcome", _one, _one),
    ),
)


def over_rows(asked: Sum, rows: Iterable[Row]) -> Sums:
    """The sum over the ledger."""
    return _added(asked.of_row(row) for row in rows)


def over_spans(asked: Sum, spans: Iterable[Span]) -> Sums:
    """The sum over the spans of calls."""
    return _added(asked.of_span(span.tags) for span in spans if span.role == "call")


def in_prometheus(asked: Sum, prometheus: Prometheus, within: str = "1h") -> Sums:
    """The sum as a dashboard asks for it."""
    found = prometheus.by(asked.label, asked.promql.format(range=within))
    assert all(value == int(value) for value in found.values())
    return {name: int(value) for name, value in found.items() if value}


def _added(pieces: Iterable[dict[str, int]]) -> Sums:
    total: Counter[str] = Counter()
    for piece in pieces:
        total.update(piece)
    return {name: count for name, count in total.items() if count}
