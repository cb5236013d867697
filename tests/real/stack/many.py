"""Ten million calls that ClickHouse makes up by itself, with sums that follow from their number.

Call ``n`` starts ``n`` quarter seconds after the first: a month has ten million. One in twenty
is told a second time, by another span, when less of it is known; one in a hundred billed two
models.
"""

from __future__ import annotations

from decimal import Decimal

from tests.real.stack.clickhouse import ClickHouse

CALLS = 10_000_000
COPIES = CALLS // 20
FIRST_MS = 1_793_491_200_000
"""2026-11-01T00:00:00Z."""
STEP_MS = 250

_CALL_ID = f"""
    lower(concat(
        substring(hex({FIRST_MS} + number * {STEP_MS} AS unix_ms), 5, 8), '-',
        substring(hex(unix_ms), 13, 4), '-7', substring(hex(sipHash64(number)), 1, 3), '-8',
        substring(hex(sipHash64(number, 1)), 1, 3), '-', substring(hex(sipHash64(number, 2)), 1, 12)
    ))
"""
_CALL = f"""
    {_CALL_ID} AS call_id,
    toDateTime64(({FIRST_MS} + number * {STEP_MS}) / 1000, 3, 'UTC') AS started,
    1000 + number % 1000 AS latency_ms,
    lower(hex(sipHash128(intDiv(number, 40)))) AS trace_id,
    lower(hex(sipHash64(number, 3))) AS span_id,
    lower(hex(sipHash128(intDiv(number, 40), 1))) AS run_id,
    concat('US-', toString(intDiv(number, 2000) % 500)) AS story_id,
    ['search', 'shop', 'core', ''][1 + intDiv(number, 40) % 4] AS team,
    'anthropic' AS provider,
    ['claude-opus-5-5', 'claude-haiku-4-5'][1 + number % 2] AS model,
    'chat' AS operation
"""
_MADE = f"""
    INSERT INTO calls (call_id, started, latency_ms, trace_id, span_id, run_id, story_id, team,
        provider, model, operation, fullness, completeness, outcome, success, input_tokens,
        cache_read_input_tokens, output_tokens, cost_usd, spent_nanos, shares.model,
        shares.input_tokens, shares.uncached_input_tokens, shares.cache_read_input_tokens,
        shares.cache_creation_input_tokens, shares.output_tokens, shares.reasoning_output_tokens,
        shares.spent_usd, shares.unpriced)
    SELECT {_CALL}, 7, 'final', 'complete', 1, 20000 + number % 1000, 15000, 50 + number % 100,
        toDecimal128('0.0145', 18), 14500000,
        if(number % 100 = 0 AS two, ['claude-opus-5-5', 'claude-haiku-4-5'], []),
        if(two, [20000 + number % 1000, 0], []), if(two, [NULL, NULL], []),
        if(two, [15000, 0], []), if(two, [NULL, NULL], []), if(two, [50 + number % 100, 0], []),
        if(two, [NULL, NULL], []),
        if(two, [toDecimal128('0.0140', 18), toDecimal128('0.0005', 18)], []),
        if(two, [false, false], [])
    FROM numbers({{first:UInt64}}, {{count:UInt64}})
"""  # noqa: S608 - our own words
_COPIES = f"""
    INSERT INTO calls (call_id, started, latency_ms, trace_id, span_id, run_id, story_id, team,
        provider, model, operation, fullness, completeness, outcome, success, input_tokens,
        cost_usd)
    SELECT {_CALL}, 5, 'partial', 'aborted', 0, 7, toDecimal128('99', 18)
    FROM (SELECT number * 20 AS number FROM numbers({COPIES}))
"""  # noqa: S608 - our own words

INPUT = CALLS * 20_000 + CALLS // 1000 * sum(range(1000))
OUTPUT = CALLS * 50 + CALLS // 100 * sum(range(100))
COST = CALLS * Decimal("0.0145")
HAIKU = CALLS // 2 * Decimal("0.0145") + CALLS // 100 * Decimal("0.0005")
"""Odd calls are Haiku's, and a share of every hundredth."""


def fill(clickhouse: ClickHouse) -> None:
    """Make them, a million an INSERT."""
    for first in range(0, CALLS, 1_000_000):
        clickhouse.ask(_MADE, first=first, count=1_000_000)
    clickhouse.ask(_COPIES)
