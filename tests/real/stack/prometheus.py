"""Prometheus' HTTP API, as far as the tests ask it."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from tests.real.stack.service import get

Labels = frozenset[tuple[str, str]]


class Prometheus:
    """A running Prometheus."""

    def __init__(self, url: str) -> None:
        """Of the server at ``url``, without a slash at its end."""
        self.url = url

    def query(self, promql: str) -> dict[Labels, Decimal]:
        """An instant query, now: labels -> value, exactly as printed. A scalar has no labels."""
        result = self.api("query", query=promql, time=f"{time.time():.3f}")
        if result["resultType"] == "scalar":
            return {frozenset(): Decimal(result["result"][1])}
        return {
            frozenset(series["metric"].items()): Decimal(series["value"][1])
            for series in result["result"]
        }

    def value(self, promql: str) -> Decimal:
        """The one value of an instant query; 0 if there is no series at all."""
        values = list(self.query(promql).values())
        assert len(values) <= 1, promql
        return values[0] if values else Decimal(0)

    def by(self, label: str, promql: str) -> dict[str, Decimal]:
        """An instant query that leaves one label: its values -> the query's."""
        return {dict(labels).get(label, ""): value for labels, value in self.query(promql).items()}

    def series(
        self, promql: str, *, start: float, end: float, step_s: float
    ) -> dict[Labels, list[tuple[float, Decimal]]]:
        """A range query: labels -> (Unix time, value) pairs."""
        result = self.api("query_range", query=promql, start=start, end=end, step=step_s)
        return {
            frozenset(series["metric"].items()): [
                (when, Decimal(value)) for when, value in series["values"]
            ]
            for series in result["result"]
        }

    def exemplars(self, promql: str) -> list[dict[str, Any]]:
        """Exemplars of the last hour: ``labels``, ``value``, ``timestamp``."""
        now = time.time()
        found = self.api("query_exemplars", query=promql, start=now - 3600, end=now + 60)
        return [exemplar for series in found for exemplar in series["exemplars"]]

    def api(self, path: str, **parameters: object) -> Any:
        """``data`` of an answer of ``/api/v1/PATH``."""
        asked = f"?{urlencode(parameters)}" if parameters else ""
        answer = json.loads(get(f"{self.url}/api/v1/{path}{asked}"))
        assert answer["status"] == "success", answer
        return answer["data"]
