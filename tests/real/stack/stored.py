"""Calls and what they cost, by story, model and outcome: in the ledger and in ClickHouse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tests.e2e.bench import Row
from tests.real.stack.clickhouse import ClickHouse

Account = dict[str, int]
"""``story/model/outcome number`` -> sum; zeros are left out."""

NUMBERS = ("calls", "input", "cache read", "output", "nanos")
STORED = """
SELECT
    story_id || '/' || model || '/' || outcome AS whose,
    count() AS calls,
    sum(ifNull(input_tokens, 0)) AS input,
    sum(ifNull(cache_read_input_tokens, 0)) AS `cache read`,
    sum(ifNull(output_tokens, 0)) AS output,
    sum(ifNull(spent_nanos, 0)) AS nanos
FROM calls FINAL
GROUP BY whose
"""


def in_ledger(rows: Iterable[Row]) -> Account:
    """The sums over rows; docs/ledger.md says what a row adds to them."""
    sums: Counter[str] = Counter()
    for row in rows:
        whose = f"{row['story_id']}/{row['model']}/{row['outcome']}"
        spent = row.get("provider_cost_usd", row.get("cost_usd")) or 0.0
        numbers = (
            1,
            row.get("input_tokens", 0),
            row.get("cache_read_input_tokens", 0),
            row.get("output_tokens", 0),
            round(spent * 1e9),
        )
        for name, number in zip(NUMBERS, numbers, strict=True):
            sums[f"{whose} {name}"] += number
    return _some(sums)


def stored(clickhouse: ClickHouse) -> Account:
    """The same sums over the table of calls, each call once."""
    sums: Counter[str] = Counter()
    for line in clickhouse.ask(STORED):
        sums.update({f"{line['whose']} {name}": int(line[name]) for name in NUMBERS})
    return _some(sums)


def _some(sums: Counter[str]) -> Account:
    return {name: number for name, number in sums.items() if number}
