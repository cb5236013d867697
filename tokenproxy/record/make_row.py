"""From a finished call to its ledger row.

Two rules decide the sums over the parts of a call:

* Parts that the provider does not charge (``billable`` false: declined before
  any output) are listed in ``parts`` and are in no sum, neither tokens nor cost.
* A sum is absent unless what it must contain is known. Input and output must be
  stated by every billed part. The finer kinds (cache reads, reasoning, ...) are
  summed over the parts that state them, since a provider leaves out what does
  not apply.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import lru_cache

from tokenproxy.config import RunContext
from tokenproxy.record.call import Call
from tokenproxy.record.price import Cost, Prices, Seller, model_to_price
from tokenproxy.record.row import SCHEMA, Row, RowPart, ToolDuration
from tokenproxy.wire.usage import WITHOUT_OUTPUT, Completeness, Reading, UsagePart

DEFAULT_ERRORS = {
    "error": "unknown_error",
    "aborted": "client_disconnected",
    "truncated": "upstream_disconnected",
    "lost": "proxy_killed",
    "blocked": "blocked",
}
"""Outcome -> error, where nobody said anything better."""

logger = logging.getLogger(__name__)

_MS = 1_000_000
_FIRST_ERROR_STATUS = 400


def make_row(call: Call, run: RunContext, prices: Prices | None) -> Row:
    """The row of a finished inference call.

    Args:
        call: The call, its retry links already made.
        run: The iteration it belongs to.
        prices: None leaves the cost out.
    """
    start, end, reading = call.start, call.end, call.end.reading
    who = start.attribution
    model = reading.model or call.request.model or ""
    completeness = settled_completeness(reading, start.operation)
    billed = [part for part in reading.parts if part.billable is not False]
    sums = billed[0] if len(billed) == 1 else _sum(billed, reading.parts)
    known = completeness != "none"
    inputs, outputs = _in_and_out(billed) if known else (None, None)
    costs = _costs(call, model, prices) if known and prices else []
    cost = _total(costs) if known and costs else None
    success = end.outcome == "complete" and (end.status_code or 0) < _FIRST_ERROR_STATUS
    error = None if success else end.error or reading.error or DEFAULT_ERRORS.get(end.outcome)
    lost = end.outcome == "lost"
    return Row(
        timestamp=timestamp(start.started_ns),
        story_id=run.story_id,
        iteration=run.iteration,
        provider=start.provider,
        model=model,
        complexity=run.complexity,
        input_tokens=inputs,
        output_tokens=outputs,
        cost_usd=None if cost is None else float(cost),
        latency_ms=_milliseconds(start.started_ns, end.ended_ns),
        success=success,
        fallback_used=call.fallback_used or reading.fallback,
        error=error,
        schema=SCHEMA,
        run_id=run.run_id,
        call_id=start.call_id,
        outcome=end.outcome,
        completeness=completeness,
        operation=start.operation,
        requested_model=call.request.model,
        response_id=reading.response_id,
        request_id=end.response.request_id,
        client_request_id=who.client_request_id,
        session_id=who.session_id or call.request.session_id,
        turn_id=who.turn_id,
        agent_id=who.agent_id,
        parent_agent_id=who.parent_agent_id,
        agent_type=who.agent_type,
        request_class=who.request_class,
        tool_durations=_durations(who.tool_durations_ms) if who.tool_durations_ms else None,
        attempt=call.attempt,
        retry_of=call.retry_of,
        uncached_input_tokens=sums.uncached_input_tokens,
        cache_read_input_tokens=sums.cache_read_input_tokens,
        cache_creation_input_tokens=sums.cache_creation_input_tokens,
        cache_creation_5m_input_tokens=sums.cache_creation_5m_input_tokens,
        cache_creation_1h_input_tokens=sums.cache_creation_1h_input_tokens,
        cache_creation_30m_input_tokens=sums.cache_creation_30m_input_tokens,
        cache_creation_12h_input_tokens=sums.cache_creation_12h_input_tokens,
        reasoning_output_tokens=sums.reasoning_output_tokens,
        server_tool_use=sums.server_tool_use or None,
        service_tier=sums.service_tier,
        speed=sums.speed,
        inference_geo=sums.inference_geo,
        stop_reason=reading.stop_reason,
        parts=_parts(reading.parts, model, costs),
        status_code=end.status_code,
        stream=call.request.stream if end.stream is None else end.stream,
        ttft_ms=(
            None
            if end.first_content_ns is None
            else _milliseconds(start.started_ns, end.first_content_ns)
        ),
        # Of a killed proxy nobody was left to count; one that was stopped knows them.
        request_bytes=(end.request_bytes or None) if lost else end.request_bytes,
        response_bytes=(end.response_bytes or None) if lost else end.response_bytes,
        provider_cost_usd=reading.provider_cost_usd,
        price_version=None if cost is None else _sources(costs),
        notes=reading.notes or None,
        trace_id=start.trace_id,
        span_id=start.span_id,
        project=run.project,
        labels=run.labels or None,
        client=who.client,
        usage=reading.usage or None,
    )


def surely_row(call: Call, run: RunContext, prices: Prices) -> Row:
    """The row; if pricing fails by a fault of ours, the row without its cost."""
    try:
        return make_row(call, run, prices)
    except Exception:
        logger.exception("call %s cannot be priced", call.start.call_id)
        return make_row(call, run, None)


def timestamp(unix_ns: int) -> str:
    """UTC to the millisecond: ``2026-11-22T00:54:55.830Z``."""
    seconds, nanoseconds = divmod(unix_ns, 1_000_000_000)
    return f"{_second(seconds)}.{nanoseconds // _MS:03d}Z"


@lru_cache(maxsize=16)
def _second(unix_s: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(unix_s))


def _durations(told: Sequence[tuple[str, float]]) -> tuple[ToolDuration, ...]:
    return tuple(ToolDuration(name=name, duration_ms=spent) for name, spent in told)


def _milliseconds(since_ns: int, until_ns: int) -> float:
    """To the microsecond, in whole numbers, so that whoever has the span gets the same.

    Never negative: a clock that was set back tells nothing.
    """
    return (max(until_ns - since_ns, 0) + 500) // 1000 / 1000


def settled_completeness(reading: Reading, operation: str) -> Completeness:
    """How much is known of the usage.

    Parts that nobody vouched for, and parts that lack what must be billed, are a lower bound.
    """
    if not reading.parts:
        return "none"
    if reading.completeness != "final":
        return "partial"
    if operation in WITHOUT_OUTPUT:
        return "final"
    for part in reading.parts:
        stated = part.uncached_input_tokens is not None and part.output_tokens is not None
        if part.billable is not False and not stated:
            return "partial"
    return "final"


def input_total(part: UsagePart | RowPart) -> int | None:
    """All input tokens of a part; None if the uncached ones are not stated."""
    if part.uncached_input_tokens is None:
        return None
    writes = part.cache_creation_input_tokens
    if writes is None:
        writes = (
            (part.cache_creation_5m_input_tokens or 0)
            + (part.cache_creation_1h_input_tokens or 0)
            + (part.cache_creation_30m_input_tokens or 0)
            + (part.cache_creation_12h_input_tokens or 0)
        )
    return part.uncached_input_tokens + (part.cache_read_input_tokens or 0) + writes


def _in_and_out(billed: Sequence[UsagePart]) -> tuple[int | None, int | None]:
    """All input and all output tokens."""
    if len(billed) == 1:
        return input_total(billed[0]), billed[0].output_tokens
    return _all(billed, input_total), _all(billed, lambda part: part.output_tokens)


def _costs(call: Call, model: str, prices: Prices) -> list[Cost | None]:
    start = call.start
    seller = Seller(provider=start.provider, family=start.family, host=start.server_address)
    priced = model_to_price(start.provider, model, call.request.model)
    # Only the reading's own word makes a lower bound: a final usage with a hole has no price.
    partial = call.end.reading.completeness != "final"
    lower_bound = partial or start.operation in WITHOUT_OUTPUT
    return [
        prices.cost(seller, part.model or priced, part, start.started_ns, lower_bound=lower_bound)
        for part in call.end.reading.parts
    ]


def _total(costs: Sequence[Cost | None]) -> Decimal | None:
    if len(costs) == 1:
        return None if costs[0] is None else costs[0].usd
    total = Decimal(0)
    for cost in costs:
        if cost is None:
            return None
        total += cost.usd
    return total


def _sources(costs: Sequence[Cost | None]) -> str | None:
    """The price lists that were used, each once."""
    if len(costs) == 1:
        return (costs[0].source or None) if costs[0] is not None else None
    used = dict.fromkeys(cost.source for cost in costs if cost is not None and cost.source)
    return " ".join(used) or None


def _all(parts: Sequence[UsagePart], count: Callable[[UsagePart], int | None]) -> int | None:
    """The sum, if every part states its count. Nothing billed is 0, and known."""
    total = 0
    for part in parts:
        value = count(part)
        if value is None:
            return None
        total += value
    return total


def _sum(billed: Sequence[UsagePart], parts: Sequence[UsagePart]) -> UsagePart:
    """The finer kinds, each summed over the billed parts that state it; conditions of the first."""
    tools: dict[str, int] = {}
    for part in billed:
        for tool, requests in part.server_tool_use.items():
            tools[tool] = tools.get(tool, 0) + requests
    return UsagePart(
        uncached_input_tokens=_some(part.uncached_input_tokens for part in billed),
        cache_read_input_tokens=_some(part.cache_read_input_tokens for part in billed),
        cache_creation_input_tokens=_some(part.cache_creation_input_tokens for part in billed),
        cache_creation_5m_input_tokens=_some(
            part.cache_creation_5m_input_tokens for part in billed
        ),
        cache_creation_1h_input_tokens=_some(
            part.cache_creation_1h_input_tokens for part in billed
        ),
        cache_creation_30m_input_tokens=_some(
            part.cache_creation_30m_input_tokens for part in billed
        ),
        cache_creation_12h_input_tokens=_some(
            part.cache_creation_12h_input_tokens for part in billed
        ),
        reasoning_output_tokens=_some(part.reasoning_output_tokens for part in billed),
        server_tool_use=tools,
        service_tier=_first(part.service_tier for part in (*billed, *parts)),
        speed=_first(part.speed for part in (*billed, *parts)),
        inference_geo=_first(part.inference_geo for part in (*billed, *parts)),
    )


def _some(counts: Iterable[int | None]) -> int | None:
    """The sum of what is stated; None if nothing is."""
    stated = [count for count in counts if count is not None]
    return sum(stated) if stated else None


def _first(values: Iterable[str | None]) -> str | None:
    return next((value for value in values if value is not None), None)


def _parts(
    parts: Sequence[UsagePart], model: str, costs: Sequence[Cost | None]
) -> tuple[RowPart, ...] | None:
    """The parts, if more than one model or role is among them or one is not billed."""
    if len(parts) == 1 and parts[0].billable is not False:
        return None
    kinds = {(part.model or model, part.role) for part in parts}
    if len(kinds) < 2 and all(part.billable is not False for part in parts):  # noqa: PLR2004 - several
        return None
    priced = costs or [None] * len(parts)
    return tuple(
        RowPart(
            model=part.model or model or None,
            role=part.role,
            input_tokens=input_total(part),
            output_tokens=part.output_tokens,
            uncached_input_tokens=part.uncached_input_tokens,
            cache_read_input_tokens=part.cache_read_input_tokens,
            cache_creation_input_tokens=part.cache_creation_input_tokens,
            cache_creation_5m_input_tokens=part.cache_creation_5m_input_tokens,
            cache_creation_1h_input_tokens=part.cache_creation_1h_input_tokens,
            cache_creation_30m_input_tokens=part.cache_creation_30m_input_tokens,
            cache_creation_12h_input_tokens=part.cache_creation_12h_input_tokens,
            reasoning_output_tokens=part.reasoning_output_tokens,
            server_tool_use=part.server_tool_use or None,
            service_tier=part.service_tier,
            speed=part.speed,
            inference_geo=part.inference_geo,
            billable=part.billable,
            cost_usd=None if cost is None else float(cost.usd),
        )
        for part, cost in zip(parts, priced, strict=True)
    )
