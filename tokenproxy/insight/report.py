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
from decimal import Decimal
from math import isnan
from typing import Any

import msgspec

from tokenproxy.insight.ledger_engine import LedgerEngine
from tokenproxy.insight.query import Ledger
from tokenproxy.insight.question import Choice, Dimension, tells_models
from tokenproxy.insight.sums import Engine, sums

REPORT_SCHEMA = "tokenproxy.report/1"


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


def make_report(
    ledger: Ledger, by: Sequence[Dimension], choice: Choice | None = None, zone: str = "UTC"
) -> Report:
    """Count the chosen calls of a ledger, grouped; arguments as of :func:`ask_report`."""
    return ask_report(LedgerEngine(ledger), by, choice, zone)


def ask_report(
    engine: Engine, by: Sequence[Dimension], choice: Choice | None = None, zone: str = "UTC"
) -> Report:
    """Count the chosen calls, grouped.

    Args:
        engine: Where they are.
        by: What to group by; none gives the total alone.
        choice: Which calls; default all.
        zone: IANA name of the zone whose days and weeks are meant.
    """
    choice = choice or Choice()
    engine.prepare(zone)
    of_models = tells_models(tuple(which for which, _ in choice.where))
    divided = of_models or tells_models(tuple(by))
    found = sums(engine, by, choice, by_model=divided)
    total = found.total
    if total is None or divided != of_models:  # the total has each call once, whole
        total = sums(engine, (), choice, by_model=of_models).total
    lines = [Line(tuple(one[: len(by)]), _totals(one[len(by) :])) for one in found.groups]
    return Report(
        by=tuple(one.name for one in by),
        lines=tuple(_in_order(lines, ordered=any(one.ordered for one in by))),
        total=_totals(total or ()),
    )


def _in_order(lines: list[Line], *, ordered: bool) -> list[Line]:
    """By time where that is asked for, else the dearest first; what is not stated comes first."""

    def keys(line: Line) -> tuple[Any, ...]:
        return tuple((key is not None, key) for key in line.keys)

    def worth(line: Line) -> tuple[Any, ...]:
        cost = line.totals.cost_usd
        return (cost is None, -(cost or 0), -line.totals.calls, keys(line))

    return sorted(lines, key=keys if ordered else worth)


def _totals(record: Sequence[Any]) -> Totals:
    names = Totals.__struct_fields__
    return Totals(**{name: _number(name, value) for name, value in zip(names, record, strict=True)})


def _number(name: str, value: Any) -> Any:
    """A field of a total; floats without the noise that adding them up leaves."""
    if isinstance(value, Decimal):
        value = float(value)
    if not isinstance(value, float):
        return value
    if isnan(value):
        return None
    if name == "cost_usd":
        return float(f"{round(value, 12):.15g}")  # a double holds no more of a large sum
    # Milliseconds to the microsecond. A value between two often ends in half a microsecond,
    # give or take an engine's noise; without the noise it is rounded the same for each.
    return round(round(value * 1000, 3)) / 1000
