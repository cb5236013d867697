"""The ancestor's own view of the ledger: its twelve fields, in its order and layout.

Our rows are calls; its rows were iterations. Summed up by iteration:

* ``timestamp`` is the first call's, ``latency_ms`` from there to the last call's end;
* ``provider`` and ``model`` are those that used the most (by cost, then by tokens);
* tokens and ``cost_usd`` are sums, absent where a call's share is not known; what a
  provider states that a call cost goes before what was computed;
* ``success`` is the last call's (with its ``error``): an iteration that got over a
  failed call has succeeded;
* ``fallback_used`` is true if it was in any call.
"""

from __future__ import annotations

from typing import Any

from tokenproxy.insight.query import SPENT, Ledger
from tokenproxy.insight.sums import UNPRICED

FIELDS = (
    "timestamp",
    "story_id",
    "iteration",
    "provider",
    "model",
    "complexity",
    "input_tokens",
    "output_tokens",
    "cost_usd",
    "latency_ms",
    "success",
    "fallback_used",
    "error",
)
"""The twelve, and ``error``, which only some of its writers knew."""

_CALLS = f"""
    SELECT timestamp, story_id, iteration, provider, model, complexity, input_tokens,
      output_tokens, {SPENT}, latency_ms, success, fallback_used, error
    FROM calls ORDER BY started, id
"""  # noqa: S608 - our own words
_ITERATIONS = f"""
    SELECT arg_min(timestamp, (started, id)), story_id, iteration,
      arg_max(provider, weight), arg_max(model, weight), max(complexity),
      sum(input_tokens), sum(output_tokens),
      if(bool_or({UNPRICED}), NULL, fsum({SPENT})),
      coalesce(max(epoch_ms(started) + latency_ms) - min(epoch_ms(started)), sum(latency_ms)),
      coalesce(arg_max(success, (ended, id)), false), coalesce(bool_or(fallback_used), false),
      arg_max_null(if(success, NULL, error), (ended, id))
    FROM (
      SELECT *, (coalesce({SPENT}, 0), coalesce(input_tokens, 0), id) AS weight,
        epoch_ms(started) + coalesce(latency_ms, 0) AS ended
      FROM calls)
    GROUP BY story_id, iteration, coalesce(run_id, id)
    ORDER BY min(started), min(id)
"""  # noqa: S608 - our own words


def rows(ledger: Ledger, *, per_iteration: bool) -> list[dict[str, Any]]:
    """The ancestor's rows, oldest first: one a call, or one an iteration. Unknown is absent."""
    query = _ITERATIONS if per_iteration else _CALLS
    return [
        {
            name: _rounded(name, value)
            for name, value in zip(FIELDS, record, strict=True)
            if value is not None
        }
        for record in ledger.connection.execute(query).fetchall()
    ]


def _rounded(name: str, value: Any) -> Any:
    """Without the noise that adding floats leaves."""
    return round(value, 3 if name == "latency_ms" else 12) if isinstance(value, float) else value
