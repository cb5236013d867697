"""The backends after real runs, asked as Grafana asks them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tests.e2e.bench import Row
from tests.real.stack import grafana, traffic
from tests.real.stack.grafana import ALL, Chosen, Period, Target
from tests.real.stack.stack import Stack

NOTHING_YET = " or vector(0)"
"""What shows a 0 where nothing has happened: without it the rest has to find something."""
TOTALS_FROM_ZERO = "live / Refused or lost / A"
"""A sum of running totals that begin to exist with their first loss: here one of six does."""


@dataclass(frozen=True)
class World:
    """All that happened, in the backends and in the ledger."""

    stack: Stack
    rows: list[Row]
    made: traffic.Traffic
    period: Period

    def ask(
        self, target: Target, *, strict: bool = False, chosen: Chosen = ALL
    ) -> list[dict[str, Any]]:
        """The series that a panel's query finds."""
        expression = target.expression(self.period, chosen)
        if strict and target.panel != TOTALS_FROM_ZERO:
            expression = expression.replace(NOTHING_YET, "")
        ask = self.stack.prometheus.api
        if target.query.get("instant"):
            found = ask("query", query=expression, time=self.period.end)
        else:
            step = target.step_s(self.period)
            cut = self.period.aligned(step)
            found = ask("query_range", query=expression, start=cut.start, end=cut.end, step=step)
        result: list[dict[str, Any]] = found["result"]
        return result

    def number(self, name: str, title: str, letter: str = "A", **chosen: str) -> Decimal:
        """The number that a panel shows."""
        values = {variable: (value,) for variable, value in chosen.items()}
        (series,) = self.ask(grafana.target(name, title, letter), chosen=values)
        return Decimal(series["value"][1])

    def by(self, label: str, name: str, title: str, letter: str = "A") -> dict[str, float]:
        """A panel's numbers by a label; a chart's bars are added up. Zeros are left out."""
        summed: dict[str, float] = {}
        for series in self.ask(grafana.target(name, title, letter)):
            values = series["values"] if "values" in series else [series["value"]]
            key = series["metric"].get(label, "")
            summed[key] = summed.get(key, 0.0) + sum(float(value) for _, value in values)
        return {key: value for key, value in summed.items() if value}
