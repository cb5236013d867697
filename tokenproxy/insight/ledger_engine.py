"""A ledger's calls, asked in DuckDB's words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tokenproxy.insight.columns import COLUMNS
from tokenproxy.insight.query import SPENT, STARTED, Ledger
from tokenproxy.insight.question import Choice, Dimension, tells_models
from tokenproxy.insight.sums import INCOMPLETE, KEPT, TOKENS, UNPRICED, USED

_BILLED = "list_filter(parts, lambda part: part.billable IS DISTINCT FROM false)"
_SHARE = """
    CASE WHEN provider_cost_usd IS NULL THEN part.cost_usd
      WHEN computed > 0 THEN provider_cost_usd * part.cost_usd / computed
      WHEN number = 1 THEN provider_cost_usd ELSE 0 END
"""
"""SQL: a part's share of the call's money. What the provider states for all of it is divided as
our own costs are, and is the first part's where those are not known."""


_MEASURES = {
    "spent": SPENT,
    "unpriced": UNPRICED,
    "incomplete": INCOMPLETE,
    **{name: name for name in (*TOKENS, "success", "latency_ms", "ttft_ms")},
}
_OF_PARTS = {"parts": "parts", "provider_cost_usd": "provider_cost_usd", "used": USED}
_DIGEST = "md5_number(call_id)"
"""16 bytes instead of some forty."""


def needed(by: Sequence[Dimension], choice: Choice) -> dict[str, str]:
    """What a report needs of a call, as ``keep`` of :func:`open_ledger`.

    Args:
        by: What it groups by.
        choice: Which calls it counts.
    """
    asked = (*by, *(which for which, _ in choice.where))
    keep = {"call_id": _DIGEST, **_MEASURES}
    if choice.since or choice.until or any(one.clock for one in asked):
        keep["started"] = STARTED
    if any(one.label is not None for one in asked):
        keep["labels"] = "labels"
    for one in asked:
        words = re.findall(r"\w+", re.sub("'.*?'", "", one.expression))
        keep |= {name: name for name in words if name in COLUMNS}
    return keep | _OF_PARTS if tells_models(asked) else keep


class LedgerEngine:
    """The table ``calls`` of a ledger that is open."""

    at_once = False
    """Of grouping sets, the exact quantiles of the total take longer than all else together."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._kept = [name for name in KEPT.split(", ") if name in ledger.kept]

    def prepare(self, zone: str) -> None:
        """Let times be written in this zone."""
        self._ledger.connection.execute("SET TimeZone = ?", [zone])

    def calls(self, *, by_model: bool) -> str:
        """The calls; by model, a call's parts are first added up for each of its models."""
        kept = ", ".join(self._kept)
        spent, unpriced, incomplete, used = (
            name if name in self._ledger.kept else f"{sql} AS {name}"
            for name, sql in (*_MEASURES.items(), *_OF_PARTS.items())
            if sql in {SPENT, UNPRICED, INCOMPLETE, USED}
        )
        model = "model" if "model" in self._ledger.kept else "NULL AS model"
        tokens = ", ".join(TOKENS)
        whole = f"SELECT {kept}, {incomplete}, {model}, {tokens}, {spent}, {unpriced} FROM calls"  # noqa: S608 - our own words
        if not by_model:
            return whole
        costs = f"list_transform({_BILLED}, lambda part: part.cost_usd)"
        computed = f"if(list_count({costs}) = len({costs}), list_sum({costs}), NULL)"
        parts = f"""
            SELECT {kept}, id, model, provider_cost_usd, {computed} AS computed,
              {used}, {incomplete},
              unnest({_BILLED}) AS part, generate_subscripts({_BILLED}, 1) AS number
            FROM calls
        """  # noqa: S608 - our own words
        shares = f"""
            SELECT {kept}, incomplete, id, coalesce(part.model, model) AS model,
              {", ".join(f"part.{name} AS {name}" for name in TOKENS)},
              {_SHARE} AS spent, used AND spent IS NULL AS unpriced
            FROM ({parts})
        """  # noqa: S608 - our own words
        any_kept = ", ".join(f"any_value({name}) AS {name}" for name in self._kept)
        return f"""
            {whole} WHERE coalesce(len({_BILLED}), 0) = 0
            UNION ALL
            SELECT {any_kept}, any_value(incomplete) AS incomplete, model,
              {", ".join(f"sum({name}) AS {name}" for name in TOKENS)},
              sum(spent) AS spent, bool_or(unpriced) AS unpriced
            FROM ({shares}) GROUP BY id, model
        """  # noqa: S608 - our own words

    def placeholder(self, name: str) -> str:
        """A named parameter."""
        return f"${name}"

    def clock(self, form: str) -> str:
        """In the zone of the connection."""
        return f"strftime(started, '{form}')"

    def moment(self, parameter: str) -> str:
        """Any moment of any zone."""
        return f"CAST({parameter} AS TIMESTAMPTZ)"

    def label(self, parameter: str) -> str:
        """NULL by itself where there is none."""
        return f"labels[{parameter}]"

    def text(self, expression: str) -> str:
        """As DuckDB writes it."""
        return f"CAST({expression} AS VARCHAR)"

    def money(self, column: str) -> str:
        """Kahan's sum: the ledger's costs are floats."""
        return f"fsum({column})"

    def quantile(self, column: str, level: float) -> str:
        """Interpolated."""
        return f"quantile_cont({column}, {level})"

    def ask(self, sql: str, parameters: Mapping[str, str]) -> list[tuple[Any, ...]]:
        """Run the query."""
        return self._ledger.ask(sql, parameters)
