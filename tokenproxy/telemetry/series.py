"""How many series a process may make of one metric, and what becomes of more.

A client may ask for a new model name with every call, and a server may answer with a new
error: each would be one more series in the backend, for ever. The SDK's own limit does
not help: it is of one export interval, since deltas start afresh after each, and what is
beyond it loses all attributes, the tokens' kind and the story too.

So what is new beyond the limit keeps the attributes whose values are few and ours, and
says ``_OTHER`` in those that others choose. Sums by kind, story, operation and outcome
stay exact; what was seen before keeps its own series. Imports no opentelemetry.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tokenproxy.telemetry import semconv as names
from tokenproxy.telemetry.semconv import Semconv

type Labels = dict[str, str | bool | int]

LIMIT: Final = 1000
"""Attribute sets of one metric that are told in full: a busy gateway has some hundreds."""
PROVIDERS: Final = 500
"""Sets after these that still name their provider. With the few values that remain then, all
are fewer than the SDK's limit of 2,000."""

OTHER: Final = "_OTHER"
"""Stands for what is not told, as in ``error.type``."""


class Series:
    """The attribute sets that were used, by metric. Used by one thread at a time."""

    def __init__(self, semconv: Semconv, *, limit: int = LIMIT, providers: int = PROVIDERS) -> None:
        chosen = (
            semconv.request_model,
            semconv.response_model,
            semconv.agent_name,
            semconv.tool_name,
            names.ERROR_TYPE,
            names.SERVER_ADDRESS,
        )
        self._steps = (
            (limit, frozenset[str]()),
            (limit + providers, frozenset(chosen)),
            (None, frozenset((*chosen, semconv.provider))),
        )
        self._seen: dict[str, set[frozenset[tuple[str, str | bool | int]]]] = {}

    def bounded(self, metric: str, labels: Mapping[str, str | bool | int]) -> Labels:
        """The attributes to measure under: these, or fewer words of others."""
        seen = self._seen.setdefault(metric, set())
        told: Labels = {}
        for limit, hidden in self._steps:
            told = {name: OTHER if name in hidden else value for name, value in labels.items()}
            if hidden and names.SERVER_PORT in told:
                told[names.SERVER_PORT] = 0
            key = frozenset(told.items())
            if key in seen:
                break
            if limit is None or len(seen) < limit:
                seen.add(key)
                break
        return told
