"""Totals of the ledger by any of its dimensions.

What a total says:

* ``calls`` are attempts; a retry is another call. ``failed`` is not success.
* Tokens and money sum what is known; money is what the provider states, else what was
  computed. ``unpriced`` calls used tokens at no known
  price; ``incomplete`` calls were or may have been billed for more than their
  row knows. With neither, the sums are exact; with either, lower bounds.
* A call that billed several models (compaction, advisor, a declined attempt)
  is divided among them by its parts when models are told apart, and counts as
  a call of each. The total counts it once, whole: its cost is unknown if any
  part's is, however much the lines know of the others.
* Latencies are of successful calls, whole, in milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from tokenproxy.insight.query import SPENT, Ledger

REPORT_SCHEMA = "tokenproxy.report/1"


class Dimension(msgspec.Struct, frozen=True):
    """Something that calls can be grouped or chosen by."""

    name: str
    """As on the command line and as key in JSON."""
    expression: str
    """SQL over the table ``calls``."""
    arguments: tuple[str, ...] = ()
    ordered: bool = False
    """Lines follow its own order (time) rather than cost."""


_NAMED = {
    dimension.name: dimension
    for dimension in (
        Dimension("hour", "strftime(date_trunc('hour', started), '%Y-%m-%d %H:00')", ordered=True),
        Dimension("day", "strftime(started, '%Y-%m-%d')", ordered=True),
        Dimension("week", "strftime(started, '%G-W%V')", ordered=True),
        Dimension("month", "strftime(started, '%Y-%m')", ordered=True),
        Dimension("story", "story_id"),
        Dimension("iteration", "iteration", ordered=True),
        Dimension("run", "run_id", ordered=True),
        Dimension("project", "project"),
        Dimension("provider", "provider"),
        Dimension("model", "model"),
        Dimension("session", "session_id"),
        # Only subagents have an id; whoever has none is the main agent.
        Dimension("agent", "coalesce(agent_type, if(agent_id IS NULL, 'main', 'subagent'))"),
        Dimension("class", "request_class"),
        Dimension("outcome", "coalesce(outcome, if(success, 'complete', 'error'))"),
        Dimension("client", "client"),
    )
}
DIMENSIONS = (*_NAMED, "label:KEY")


def dimension(name: str) -> Dimension:
    """The dimension of that name.

    Raises:
        ValueError: With a sentence that lists them.
    """
    kind, colon, key = name.partition(":")
    if kind == "label" and colon and key:
        return Dimension(name, "labels[?]", (key,))
    if name not in _NAMED:
        raise ValueError(f"{name!r} is no dimension: use one of {', '.join(DIMENSIONS)}")
    return _NAMED[name]


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """Which calls to count."""

    since: datetime | None = None
    until: datetime | None = None
    """Not included."""
    where: tuple[tuple[Dimension, str], ...] = ()
    """All must hold."""


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """Sums of a group of calls; None is "not stated by any of them"."""

    calls: int
    failed: int
    unpriced: int
    incomplete: int
    input_tokens: int | None
    uncached_input_tokens: int | None
    cache_read_input_tokens: int | None
    cache_creation_input_tokens: int | None
    output_tokens: int | None
    reasoning_output_tokens: int | None
    cost_usd: float | None
    latency_ms_mean: float | None
    latency_ms_p50: float | None
    latency_ms_p95: float | None
    ttft_ms_p50: float | None


class Line(msgspec.Struct, frozen=True):
    """One group."""

    keys: tuple[str | int | None, ...]
    """Values of the report's dimensions; None where the call does not state one."""
    totals: Totals


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, whatever it is printed as."""

    by: tuple[str, ...]
    lines: tuple[Line, ...]
    total: Totals

    def as_json(self) -> dict[str, Any]:
        """The stable form of ``report --json``; unknown is null here, so that columns align."""
        return {
            "schema": REPORT_SCHEMA,
            "by": list(self.by),
            "rows": [
                {
                    **dict(zip(self.by, line.keys, strict=True)),
                    **msgspec.structs.asdict(line.totals),
                }
                for line in self.lines
            ],
            "total": msgspec.structs.asdict(self.total),
        }


_TOKENS = (
    "input_tokens",
    "uncached_input_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "output_tokens",
    "reasoning_output_tokens",
)
_USED = "coalesce(completeness <> 'none', input_tokens IS NOT NULL OR output_tokens IS NOT NULL)"
UNPRICED = f"({_USED} AND {SPENT} IS NULL)"
"""SQL over ``calls``: the call used tokens at no known price."""
_INCOMPLETE = (
    "coalesce(completeness = 'partial' OR (completeness = 'none' AND"
    " (status_code < 400 OR outcome IN ('aborted', 'truncated', 'lost'))), false)"
)
_BILLED = "list_filter(parts, lambda part: part.billable IS DISTINCT FROM false)"
_SHARE = """
    CASE WHEN provider_cost_usd IS NULL THEN part.cost_usd
      WHEN computed > 0 THEN provider_cost_usd * part.cost_usd / computed
      WHEN number = 1 THEN provider_cost_usd ELSE 0 END
"""
"""SQL: a part's share of the call's money. What the provider states for all of it is divided as
our own costs are, and is the first part's where those are not known."""


def make_report(
    ledger: Ledger, by: Sequence[Dimension], choice: Choice | None = None, zone: str = "UTC"
) -> Report:
    """Count the chosen calls, grouped.

    Args:
        ledger: Where they are.
        by: What to group by; none gives the total alone.
        choice: Which calls; default all.
        zone: IANA name of the zone whose days and weeks are meant.
    """
    choice = choice or Choice()
    ledger.connection.execute("SET TimeZone = ?", [zone])
    of_models = _tells_models([which for which, _ in choice.where])
    grouped: list[Line] = []
    if _tells_models(by) and not of_models:
        _choose(ledger, choice, split=True)
        grouped = _sum(ledger, by)
    _choose(ledger, choice, split=of_models)
    if by and not grouped:
        grouped = _sum(ledger, by)
    return Report(
        by=tuple(one.name for one in by), lines=tuple(grouped), total=_sum(ledger, ())[0].totals
    )


def _tells_models(dimensions: Sequence[Dimension]) -> bool:
    return any(one.name == "model" for one in dimensions)


def _choose(ledger: Ledger, choice: Choice, *, split: bool) -> None:
    """Make the table ``chosen``: a record a call, or a record for each model that it billed."""
    own = ", ".join(("model", *_TOKENS, f"{SPENT} AS cost_usd"))
    kept = (
        "id, started, story_id, iteration, run_id, project, provider, session_id, agent_id,"
        " agent_type, request_class, outcome, client, labels, success, latency_ms, ttft_ms"
    )
    source = f"SELECT {kept}, {_USED} AS used, {_INCOMPLETE} AS incomplete, {own} FROM calls"  # noqa: S608 - our own words
    if split:
        of_part = ", ".join((*(f"part.{name}" for name in _TOKENS), f"{_SHARE} AS cost_usd"))
        costs = f"list_transform({_BILLED}, lambda part: part.cost_usd)"
        computed = f"if(list_count({costs}) = len({costs}), list_sum({costs}), NULL)"
        source = (
            f"{source} WHERE coalesce(len({_BILLED}), 0) = 0 UNION ALL "  # noqa: S608 - our own words
            f"SELECT {kept}, used, incomplete, coalesce(part.model, model), {of_part} FROM "
            f"(SELECT *, {_USED} AS used, {_INCOMPLETE} AS incomplete, {computed} AS computed, "
            f"unnest({_BILLED}) AS part, generate_subscripts({_BILLED}, 1) AS number FROM calls)"
        )
    conditions, arguments = ["true"], []
    for moment, comparison in ((choice.since, ">="), (choice.until, "<")):
        if moment is not None:
            conditions.append(f"started {comparison} ?")
            arguments.append(moment.isoformat())
    for which, value in choice.where:
        conditions.append(f"CAST({which.expression} AS VARCHAR) = ?")
        # What is no UTF-8 was recorded with U+FFFD in its place.
        said = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        arguments += [*which.arguments, said]
    ledger.connection.execute(
        f"CREATE OR REPLACE TEMP TABLE chosen AS SELECT * FROM ({source}) "  # noqa: S608 - our own words
        f"WHERE {' AND '.join(conditions)}",
        arguments,
    )


def _sum(ledger: Ledger, by: Sequence[Dimension]) -> list[Line]:
    keys = [f"key{number}" for number in range(len(by))]
    named = "".join(f"{one.expression} AS {key}, " for one, key in zip(by, keys, strict=True))
    listed = "".join(f"{key}, " for key in keys)
    # First one record for each call of a group, then the group.
    query = f"""
        WITH keyed AS (SELECT {named} * FROM chosen),
        each AS (
          SELECT {listed} id, any_value(success) AS success, any_value(incomplete) AS incomplete,
            bool_or(used AND cost_usd IS NULL) AS unpriced,
            {", ".join(f"sum({name}) AS {name}" for name in _TOKENS)}, sum(cost_usd) AS cost_usd,
            any_value(latency_ms) AS latency_ms, any_value(ttft_ms) AS ttft_ms
          FROM keyed GROUP BY ALL)
        SELECT {listed} count(*), count(*) FILTER (NOT coalesce(success, false)),
          count(*) FILTER (unpriced), count(*) FILTER (incomplete),
          {", ".join(f"sum({name})" for name in _TOKENS)}, fsum(cost_usd) AS cost,
          avg(latency_ms) FILTER (success), quantile_cont(latency_ms, 0.5) FILTER (success),
          quantile_cont(latency_ms, 0.95) FILTER (success),
          quantile_cont(ttft_ms, 0.5) FILTER (success)
        FROM each {"GROUP BY ALL ORDER BY" if by else ""} {_order(by, keys)}
    """  # noqa: S608 - our own words
    arguments = [argument for one in by for argument in one.arguments]
    found = ledger.connection.execute(query, arguments).fetchall()
    return [
        Line(tuple(record[: len(by)]), Totals(**_numbers(record[len(by) :]))) for record in found
    ]


def _order(by: Sequence[Dimension], keys: Sequence[str]) -> str:
    if not by:
        return ""
    in_turn = ", ".join(f"{key} NULLS FIRST" for key in keys)
    if any(one.ordered for one in by):
        return in_turn
    return f"cost DESC NULLS LAST, count(*) DESC, {in_turn}"


def _numbers(record: Sequence[Any]) -> dict[str, Any]:
    """Fields of a total; floats without the noise that adding them up leaves."""
    return {
        name: round(value, 12 if name == "cost_usd" else 3) if isinstance(value, float) else value
        for name, value in zip(Totals.__struct_fields__, record, strict=True)
    }
