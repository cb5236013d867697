"""A ledger's calls, asked in DuckDB's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokenproxy.insight.query import Ledger
from tokenproxy.insight.sums import INCOMPLETE, KEPT, TOKENS, USED, WHOLE

_BILLED = "list_filter(parts, lambda part: part.billable IS DISTINCT FROM false)"
_SHARE = """
    CASE WHEN provider_cost_usd IS NULL THEN part.cost_usd
      WHEN computed > 0 THEN provider_cost_usd * part.cost_usd / computed
      WHEN number = 1 THEN provider_cost_usd ELSE 0 END
"""
"""SQL: a part's share of the call's money. What the provider states for all of it is divided as
our own costs are, and is the first part's where those are not known."""


class LedgerEngine:
    """The table ``calls`` of a ledger that is open."""

    def __init__(self, ledger: Ledger) -> None:
        self._connection = ledger.connection

    def prepare(self, zone: str) -> None:
        """Let times be written in this zone."""
        self._connection.execute("SET TimeZone = ?", [zone])

    def calls(self, *, by_model: bool) -> str:
        """The calls; by model, a call's parts are first added up for each of its models."""
        if not by_model:
            return f"{WHOLE} FROM calls"
        costs = f"list_transform({_BILLED}, lambda part: part.cost_usd)"
        computed = f"if(list_count({costs}) = len({costs}), list_sum({costs}), NULL)"
        parts = f"""
            SELECT *, {computed} AS computed, {USED} AS used, {INCOMPLETE} AS incomplete,
              unnest({_BILLED}) AS part, generate_subscripts({_BILLED}, 1) AS number
            FROM calls
        """  # noqa: S608 - our own words
        shares = f"""
            SELECT {KEPT}, incomplete, id, coalesce(part.model, model) AS model,
              {", ".join(f"part.{name} AS {name}" for name in TOKENS)},
              {_SHARE} AS spent, used AND spent IS NULL AS unpriced
            FROM ({parts})
        """  # noqa: S608 - our own words
        kept = ", ".join(f"any_value({name}) AS {name}" for name in KEPT.split(", "))
        return f"""
            {WHOLE} FROM calls WHERE coalesce(len({_BILLED}), 0) = 0
            UNION ALL
            SELECT {kept}, any_value(incomplete) AS incomplete, model,
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
        return self._connection.execute(sql, dict(parameters)).fetchall()
