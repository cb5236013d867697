"""What the calls used and cost, and what went wrong: for days and weeks."""

from __future__ import annotations

from boards.panels import (
    LINES,
    MODELS,
    PROVIDERS,
    STORIES,
    Json,
    board,
    chart,
    donut,
    heading,
    instant,
    ranged,
    stat,
    table,
)
from boards.promql import (
    BAR,
    BILLED,
    BY_PROVIDER,
    CACHED,
    CALL,
    CALLS,
    COST,
    DISCREPANCIES,
    FAILED,
    INPUT,
    KIND,
    NOTED,
    OUTCOME,
    OUTPUT,
    PASSED,
    PROVIDER,
    RANGE,
    REASONING,
    RECENT,
    STORY,
    TOKENS,
    UNPRICED,
    dollars,
    first_chunk,
    incomplete,
    latency,
    none_is_zero,
    total,
)

_RATIO: Json = {"min": 0, "max": 1}
_HIT_RATIO = f"{total(CALL(TOKENS, CACHED))} / {total(CALL(TOKENS, INPUT))}"

_STATS = [
    stat(
        "Spend",
        'Known cost of the calls in the time range. A lower bound while "Calls without a price" '
        'or "Incomplete calls" is not 0.',
        none_is_zero(dollars(CALL(COST))),
        unit="currencyUSD",
        decimals=4,
    ),
    stat(
        "Projected month",
        "The spend of the time range, carried on for 30 days. Choose a range that is like the "
        "month: a week, not an hour.",
        none_is_zero(f"{dollars(CALL(COST))} * 2592000 / $__range_s"),
        unit="currencyUSD",
        decimals=2,
    ),
    stat(
        "Day's budget used",
        "Spend of the 24 hours before the end of the range, of the budget in docker/alerts.yaml. "
        "Of everything: the variables do not choose here.",
        f"{dollars(COST, '[24h]')} / scalar(tokenproxy:budget_usd:daily)",
        unit="percentunit",
        decimals=1,
        bad_from=1,
    ),
    stat(
        "Tokens",
        "All billed input and output. The kinds are disjoint; reasoning is a part of the output "
        "and not added again.",
        none_is_zero(total(CALL(TOKENS))),
        unit="short",
    ),
    stat(
        "Cache hit ratio",
        "Input tokens that were read from a cache, of all input tokens.",
        _HIT_RATIO,
        unit="percentunit",
        decimals=1,
    ),
    stat(
        "Calls",
        "Rows of the ledger: attempts, each retry on its own.",
        none_is_zero(total(CALL(CALLS))),
        decimals=0,
    ),
    stat(
        "Failed calls",
        "Share of calls that did not end as they should: errors, aborted and cut streams, "
        "lost ones.",
        none_is_zero(f"{total(CALL(CALLS, FAILED))} / {total(CALL(CALLS))}"),
        unit="percentunit",
        decimals=1,
        bad_from=0.1,
    ),
    stat(
        "Incomplete calls",
        "Calls whose usage is known in part or not at all, since they were cut or their provider "
        "did not tell: their tokens and cost are lower bounds.",
        none_is_zero(incomplete()),
        decimals=0,
        bad_from=1,
    ),
    stat(
        "Calls without a price",
        "Calls whose usage is known and whose price is not: what they cost is not in Spend.",
        none_is_zero(total(CALL(CALLS, UNPRICED))),
        decimals=0,
        bad_from=1,
    ),
    stat(
        "Retries",
        "Calls that repeat one that failed. Each is billed by itself and counted in Calls.",
        none_is_zero(total(CALL(CALLS, 'tokenproxy_retry="true"'))),
        decimals=0,
    ),
    stat(
        "Fallbacks",
        "Calls that another model or provider answered than the one first asked for.",
        none_is_zero(total(CALL(CALLS, 'tokenproxy_fallback_used="true"'))),
        decimals=0,
    ),
    stat(
        "Passed requests",
        "Requests to a provider's host that are no model call: they leave no row and cost "
        "nothing that is known. They have no model and no story.",
        none_is_zero(total(f"{PASSED}{{{BY_PROVIDER}}}")),
        decimals=0,
    ),
]

_MONEY = [
    chart(
        "Spend by model",
        "By the model that was billed, which need not be the one asked for. The bars add up to "
        "Spend.",
        ranged(dollars(CALL(COST), BAR, by=BILLED), f"{{{{{BILLED}}}}}"),
        unit="currencyUSD",
    ),
    chart(
        "Spend by story",
        "The bars add up to Spend. Calls of no story have no name.",
        ranged(dollars(CALL(COST), BAR, by=STORY), f"{{{{{STORY}}}}}"),
        unit="currencyUSD",
    ),
    chart(
        "Burn",
        "Dollars in the hour before each point: a rolling sum. Its points overlap, so they do "
        "not add up to Spend.",
        ranged(dollars(CALL(COST), "[1h]"), "dollars an hour"),
        unit="currencyUSD",
        custom=LINES,
    ),
    table(
        "Models",
        "What each billed model took. A failed call may have been answered by no model: it "
        "stands in a line without a name.",
        (BILLED,),
        [
            ("Spend", "currencyUSD", dollars(CALL(COST), by=BILLED)),
            ("Tokens", "short", total(CALL(TOKENS), by=BILLED)),
            ("Calls", "none", total(CALL(CALLS), by=BILLED)),
        ],
    ),
]

_TOKENS = [
    chart(
        "Tokens by kind",
        "Disjoint kinds: the bars stacked and added up are Tokens.",
        ranged(total(CALL(TOKENS), BAR, by=KIND), f"{{{{{KIND}}}}}"),
        unit="short",
    ),
    chart(
        "Cache hit ratio by model",
        "Input tokens read from a cache, of all input tokens of the step.",
        ranged(
            f"{total(CALL(TOKENS, CACHED), BAR, by=BILLED)} "
            f"/ {total(CALL(TOKENS, INPUT), BAR, by=BILLED)}",
            f"{{{{{BILLED}}}}}",
        ),
        unit="percentunit",
        custom=LINES,
        defaults=_RATIO,
    ),
    donut(
        "Model mix",
        "Tokens by the model that was billed.",
        instant(total(CALL(TOKENS), by=BILLED), f"{{{{{BILLED}}}}}"),
        unit="short",
    ),
    donut(
        "Provider mix",
        "Tokens by provider.",
        instant(total(CALL(TOKENS), by=PROVIDER), f"{{{{{PROVIDER}}}}}"),
        unit="short",
    ),
    stat(
        "Read from a cache",
        "Input tokens that were read from a cache. What that saved in dollars is a matter of "
        "each model's prices, which are not in the metrics.",
        none_is_zero(total(CALL(TOKENS, CACHED))),
        unit="short",
        width=6,
    ),
    stat(
        "Reasoning in the output",
        "Reasoning tokens, of the output tokens that they are a part of.",
        none_is_zero(f"{total(CALL(REASONING))} / {total(CALL(TOKENS, OUTPUT))}"),
        unit="percentunit",
        decimals=1,
        width=6,
    ),
]

_CALLS = [
    chart(
        "Calls by outcome",
        "complete; error: refused or failed by the provider; aborted: the client left; "
        "truncated: the provider left; lost: the proxy was killed. The bars add up to Calls.",
        ranged(total(CALL(CALLS), BAR, by=OUTCOME), f"{{{{{OUTCOME}}}}}"),
        unit="none",
    ),
    chart(
        "Errors by type",
        "Calls that failed, by the provider's type of error or ours. The dots are single calls: "
        "they lead to the trace.",
        ranged(total(CALL(CALLS, FAILED), BAR, by="error_type"), "{{error_type}}", exemplars=True),
        unit="none",
    ),
    chart(
        "Retries and fallbacks",
        "A call may be both: the bars lie side by side and are not to be added.",
        ranged(total(CALL(CALLS, 'tokenproxy_retry="true"'), BAR), "retries"),
        ranged(total(CALL(CALLS, 'tokenproxy_fallback_used="true"'), BAR), "fallbacks"),
        unit="none",
        custom={
            "drawStyle": "bars",
            "barAlignment": 1,
            "fillOpacity": 40,
            "lineWidth": 1,
            "stacking": {"mode": "none", "group": "A"},
        },
    ),
    table(
        "Errors",
        "Failed calls by provider and type of error.",
        (PROVIDER, "error_type"),
        [
            ("Calls", "none", total(CALL(CALLS, FAILED), by=f"{PROVIDER}, error_type")),
        ],
    ),
]

_SPEED = [
    chart(
        "Duration of calls",
        "From request to the end of the response, every attempt. A point is the calls of the "
        "four minutes before it (of a step, where that is longer). The dots are single calls: "
        "they lead to the trace. No story: it is not on histograms.",
        ranged(latency(0.5, RECENT), "median", exemplars=True),
        ranged(latency(0.9, RECENT), "90 %"),
        ranged(latency(0.99, RECENT), "99 %"),
        unit="s",
        custom=LINES,
    ),
    chart(
        "Time to first content",
        "Of streams, from request to the first content. Points, dots and stories as with "
        "durations.",
        ranged(first_chunk(0.5, RECENT), "median", exemplars=True),
        ranged(first_chunk(0.9, RECENT), "90 %"),
        ranged(first_chunk(0.99, RECENT), "99 %"),
        unit="s",
        custom=LINES,
    ),
    table(
        "Speed by model",
        "Of the whole time range, by the model asked for.",
        ("gen_ai_request_model",),
        [
            ("Median", "s", latency(0.5, RANGE, by="gen_ai_request_model")),
            ("90 %", "s", latency(0.9, RANGE, by="gen_ai_request_model")),
            ("First content, median", "s", first_chunk(0.5, RANGE, by="gen_ai_request_model")),
            ("First content, 90 %", "s", first_chunk(0.9, RANGE, by="gen_ai_request_model")),
        ],
        width=24,
    ),
]

_OPEN = [
    chart(
        "Incomplete calls by outcome",
        "Calls whose usage is known in part or not at all, by outcome: what cut them, or complete "
        "where the provider did not tell.",
        ranged(incomplete(BAR, by=OUTCOME), f"{{{{{OUTCOME}}}}}"),
        unit="none",
    ),
    chart(
        "Discrepancies",
        "What a provider's own numbers left open, by the note on the row. No story.",
        ranged(total(NOTED(DISCREPANCIES), BAR, by="tokenproxy_note"), "{{tokenproxy_note}}"),
        unit="none",
    ),
    table(
        "Models without a price",
        "Add their prices to the configuration (docs/prices.md).",
        (PROVIDER, BILLED),
        [("Calls", "none", total(CALL(CALLS, UNPRICED), by=f"{PROVIDER}, {BILLED}"))],
    ),
    table(
        "Passed requests by server",
        "What went to a provider's host and was no model call.",
        (PROVIDER, "server_address"),
        [
            (
                "Requests",
                "none",
                total(f"{PASSED}{{{BY_PROVIDER}}}", by=f"{PROVIDER}, server_address"),
            )
        ],
    ),
]

BOARD = board(
    "overview",
    "What the model calls of wrapped commands used and cost. Sums over time of deltas: exact over "
    "any number of runs.",
    [
        *_STATS,
        heading("Money"),
        *_MONEY,
        heading("Tokens"),
        *_TOKENS,
        heading("Calls"),
        *_CALLS,
        heading("Speed"),
        *_SPEED,
        heading("What is left open"),
        *_OPEN,
    ],
    variables=[PROVIDERS, MODELS, STORIES],
    since="24h",
    refresh="1m",
)
