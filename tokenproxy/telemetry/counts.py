"""A row's tokens and money, cut by model and by kind so that the pieces add up to the row."""

from __future__ import annotations

from collections import Counter

import msgspec

from tokenproxy.record.row import Row, RowPart
from tokenproxy.telemetry.money import nanodollars
from tokenproxy.telemetry.semconv import TokenKind


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """What one model was billed for in one call. Counts are tokens."""

    model: str
    kinds: dict[TokenKind, int]
    """Disjoint; a kind that is not stated is absent."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None
    cost_nanos: int = 0


def shares(row: Row) -> list[Share]:
    """The row by billed model; one share unless the row has parts.

    Parts that do not add up to the row (one of them states less than the others) are
    not used: what the ledger says in its columns is what the metrics say.
    """
    whole = _share(row, row.model)
    billed = [part for part in row.parts or () if part.billable is not False]
    if not billed:
        return [whole]
    split = [_share(part, part.model or row.model) for part in billed]
    if _sum(split) != _sum([whole]):
        return [whole]
    costs = [share.cost_nanos for share in split]
    if row.provider_cost_usd is not None:
        known = all(part.cost_usd is not None for part in billed)
        costs = _divided(whole.cost_nanos, costs, known=known)
    costs = _fit(costs, whole.cost_nanos)
    return [
        msgspec.structs.replace(share, cost_nanos=cost)
        for share, cost in zip(split, costs, strict=True)
    ]


def kinds(counts: Row | RowPart) -> dict[TokenKind, int]:
    """The stated tokens by disjoint kinds."""
    found: dict[TokenKind, int] = {}
    written = counts.cache_creation_input_tokens or 0
    if counts.uncached_input_tokens is not None:
        found["uncached_input"] = counts.uncached_input_tokens
    if counts.cache_read_input_tokens is not None:
        found["cache_read"] = counts.cache_read_input_tokens
    if counts.cache_creation_5m_input_tokens is not None:
        found["cache_creation_5m"] = counts.cache_creation_5m_input_tokens
        written -= counts.cache_creation_5m_input_tokens
    if counts.cache_creation_1h_input_tokens is not None:
        found["cache_creation_1h"] = counts.cache_creation_1h_input_tokens
        written -= counts.cache_creation_1h_input_tokens
    if counts.cache_creation_30m_input_tokens is not None:
        found["cache_creation_30m"] = counts.cache_creation_30m_input_tokens
        written -= counts.cache_creation_30m_input_tokens
    if counts.cache_creation_12h_input_tokens is not None:
        found["cache_creation_12h"] = counts.cache_creation_12h_input_tokens
        written -= counts.cache_creation_12h_input_tokens
    if written > 0:
        found["cache_creation_other"] = written
    rest = (counts.input_tokens or 0) - sum(found.values())
    if rest > 0:
        found["input_other"] = rest
    if counts.output_tokens is not None:
        found["output"] = counts.output_tokens
    return found


def _share(counts: Row | RowPart, model: str) -> Share:
    return Share(
        model=model,
        kinds=kinds(counts),
        input_tokens=counts.input_tokens,
        output_tokens=counts.output_tokens,
        cache_read=counts.cache_read_input_tokens,
        cache_write=counts.cache_creation_input_tokens,
        reasoning=counts.reasoning_output_tokens,
        cost_nanos=nanodollars(counts.spent_usd if isinstance(counts, Row) else counts.cost_usd),
    )


def _divided(total: int, costs: list[int], *, known: bool) -> list[int]:
    """What the provider states for all parts, divided as our own costs are.

    Where those are not known the first part takes all. The report does the same
    (``_SHARE`` in :mod:`tokenproxy.insight.ledger_engine`).
    """
    computed = sum(costs)
    if not known or not computed:
        return [total, *(0 for _ in costs[1:])]
    return [round(total * cost / computed) for cost in costs]


def _fit(costs: list[int], total: int) -> list[int]:
    """The same costs, made to add up to ``total``.

    Each part was rounded by itself, so the dearest takes a difference of some 1e-9. If it
    cannot (the row's cost is unknown), the first part takes all.
    """
    fitted = list(costs)
    fitted[costs.index(max(costs))] += total - sum(costs)
    return fitted if min(fitted) >= 0 else [total, *(0 for _ in costs[1:])]


def _sum(split: list[Share]) -> Counter[str]:
    total: Counter[str] = Counter()
    for share in split:
        total.update(share.kinds)
        total["input"] += share.input_tokens or 0
        total["reasoning"] += share.reasoning or 0
    return total
