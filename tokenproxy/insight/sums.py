"""The one query of a report, in the words of the engine that is asked.

Most of it is SQL that every engine understands. What each says in its own way (a day in a
zone, a label, an exact percentile) it says as an :class:`Engine`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from tokenproxy.insight.query import SPENT
from tokenproxy.insight.question import Choice, Dimension

TOKENS = (
    "input_tokens",
    "uncached_input_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "output_tokens",
    "reasoning_output_tokens",
)
USED = "coalesce(completeness <> 'none', input_tokens IS NOT NULL OR output_tokens IS NOT NULL)"
UNPRICED = f"({USED} AND {SPENT} IS NULL)"
"""SQL over calls: the call used tokens at no known price."""
INCOMPLETE = (
    "coalesce(completeness = 'partial' OR (completeness = 'none' AND"
    " (status_code < 400 OR outcome IN ('aborted', 'truncated', 'lost'))), false)"
)
KEPT = (
    "started, story_id, iteration, run_id, project, provider, session_id, agent_id, agent_type,"
    " request_class, outcome, client, labels, success, latency_ms, ttft_ms"
)
"""Columns that dimensions and measures need, beside those that differ by model."""
WHOLE = (
    f"SELECT {KEPT}, {INCOMPLETE} AS incomplete, model, {', '.join(TOKENS)},"
    f" {SPENT} AS spent, {UNPRICED} AS unpriced"
)
"""What :meth:`Engine.calls` selects where a call is one record."""


class Engine(Protocol):
    """Whoever holds calls and can be asked in SQL."""

    at_once: bool
    """Ask for groups and their total in one query: calls that come meanwhile are then in both or
    in neither. Where none can come, two queries may be had in less time."""

    def prepare(self, zone: str) -> None:
        """Take note of the zone (its IANA name) of the next questions."""

    def calls(self, *, by_model: bool) -> str:
        """SELECT of the calls, each once, with the columns of :data:`WHOLE`.

        Args:
            by_model: A record for each model that a call billed, instead of one a call.
        """

    def placeholder(self, name: str) -> str:
        """How a text parameter stands in SQL."""

    def clock(self, form: str) -> str:
        """The start of a call as text, in the zone."""

    def moment(self, parameter: str) -> str:
        """A moment in ISO 8601."""

    def label(self, parameter: str) -> str:
        """The label of that key; NULL if there is none."""

    def text(self, expression: str) -> str:
        """Any value as text; NULL stays NULL."""

    def money(self, column: str) -> str:
        """An exact sum."""

    def quantile(self, column: str, level: float) -> str:
        """An exact quantile, between two values where it falls between them."""

    def ask(self, sql: str, parameters: Mapping[str, str]) -> list[tuple[Any, ...]]:
        """The answer's records."""


class _Query(msgspec.Struct):
    """A query while it is made."""

    engine: Engine
    parameters: dict[str, str] = msgspec.field(default_factory=dict)

    def bind(self, value: str) -> str:
        """Make ``value`` a parameter; how it stands in SQL."""
        name = f"p{len(self.parameters)}"
        self.parameters[name] = value
        return self.engine.placeholder(name)

    def value_of(self, which: Dimension) -> str:
        """SQL of a dimension."""
        if which.clock:
            return self.engine.clock(which.clock)
        if which.label is not None:
            return self.engine.label(self.bind(which.label))
        return which.expression

    def conditions(self, choice: Choice) -> list[str]:
        """SQL of what must hold."""
        found = [
            f"started {comparison} {self.engine.moment(self.bind(moment.isoformat()))}"
            for moment, comparison in ((choice.since, ">="), (choice.until, "<"))
            if moment is not None
        ]
        for which, value in choice.where:
            # What is no UTF-8 was recorded with U+FFFD in its place.
            said = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            found.append(f"{self.engine.text(self.value_of(which))} = {self.bind(said)}")
        return found


class Sums(msgspec.Struct, frozen=True):
    """An answer. A record is a group's keys, then the totals in their order."""

    groups: list[tuple[Any, ...]]
    """In any order."""
    total: tuple[Any, ...] | None
    """The totals over all groups; None if nothing was chosen, or it was not asked for."""


def sums(engine: Engine, by: Sequence[Dimension], choice: Choice, *, by_model: bool) -> Sums:
    """Ask for the groups, and for their total if the engine is asked for both at once.

    Args:
        engine: Whom to ask.
        by: What to group by; none gives the total alone.
        choice: Which calls.
        by_model: Divide calls among the models that they billed. The total is then of their
            shares, not of calls.
    """
    query = _Query(engine)
    names = [f"key{number}" for number in range(len(by))]
    keys = "".join(
        f"{query.value_of(one)} AS {name}, " for one, name in zip(by, names, strict=True)
    )
    where = " AND ".join(query.conditions(choice)) or "true"
    is_total, grouped = "1", ""
    if by and engine.at_once:
        is_total = f"grouping({names[0]})"
        grouped = f"GROUP BY GROUPING SETS (({', '.join(names)}), ())"
    elif by:
        is_total, grouped = "0", f"GROUP BY {', '.join(names)}"
    sql = f"""
        SELECT {is_total} AS is_total, {keys} count(*) AS calls,
          count(*) FILTER (WHERE NOT coalesce(success, false)) AS failed,
          count(*) FILTER (WHERE unpriced) AS without_price,
          count(*) FILTER (WHERE incomplete) AS lower_bounds,
          {", ".join(f"sum({name}) AS sum_of_{name}" for name in TOKENS)},
          {engine.money("spent")} AS cost,
          avg(latency_ms) FILTER (WHERE success) AS mean,
          {engine.quantile("latency_ms", 0.5)} FILTER (WHERE success) AS p50,
          {engine.quantile("latency_ms", 0.95)} FILTER (WHERE success) AS p95,
          {engine.quantile("ttft_ms", 0.5)} FILTER (WHERE success) AS ttft
        FROM ({engine.calls(by_model=by_model)}) AS chosen
        WHERE {where} {grouped}
    """  # noqa: S608 - our own words; values are parameters
    groups, totals = [], []
    for of_all, *record in engine.ask(sql, query.parameters):
        if of_all:
            totals.append(tuple(record[len(by) :]))
        else:
            groups.append(tuple(record))
    return Sums(groups, totals[0] if totals else None)
