"""What an agent loop did: iterations and stories."""

from __future__ import annotations

from boards.panels import (
    LINES,
    SERVICE,
    STORIES,
    board,
    chart,
    folded,
    heading,
    ranged,
    stat,
    table,
    text,
    trace_list,
)
from boards.promql import (
    BAR,
    CALLS,
    COST,
    FAILED,
    ITERATIONS,
    KIND,
    LOOP,
    OUTCOME,
    RANGE,
    RECENT,
    STORY,
    TOKENS,
    dollars,
    iteration_quantile,
    none_is_zero,
    total,
)

_GOOD = f'{OUTCOME}="complete"'
_OF_ITERATION = "tokenproxy.span.role=iteration"
_OF_STORY = f'{_OF_ITERATION} tokenproxy.story.id="$story"'

_STATS = [
    stat(
        "Iterations",
        "Commands that were run to their end.",
        none_is_zero(total(LOOP(ITERATIONS))),
        decimals=0,
    ),
    stat(
        "Iterations an hour",
        "Over the whole time range, pauses included.",
        none_is_zero(f"{total(LOOP(ITERATIONS))} * 3600 / $__range_s"),
        unit="short",
        decimals=1,
    ),
    stat(
        "Succeeded",
        "Share of iterations whose command exited with 0.",
        f"({total(LOOP(ITERATIONS, _GOOD))} or vector(0)) / {total(LOOP(ITERATIONS))}",
        unit="percentunit",
        decimals=1,
    ),
    stat(
        "Spend an iteration",
        "Spend of the time range by its iterations. Right over many: a call is counted when it "
        "ends, an iteration when its command exits. `tokenproxy serve` spends without iterations.",
        f"{dollars(LOOP(COST))} / {total(LOOP(ITERATIONS))}",
        unit="currencyUSD",
        decimals=4,
    ),
    stat(
        "Calls an iteration",
        "Calls of the time range by its iterations.",
        f"{total(LOOP(CALLS))} / {total(LOOP(ITERATIONS))}",
        unit="short",
        decimals=1,
    ),
    stat(
        "Median duration",
        "From a command's start to its exit; of all stories.",
        iteration_quantile(0.5, RANGE),
        unit="s",
    ),
]

_STORIES = table(
    "Stories",
    "Iterations of no story stand in a line without a name.",
    (STORY,),
    [
        ("Spend", "currencyUSD", dollars(LOOP(COST), by=STORY)),
        ("Iterations", "none", total(LOOP(ITERATIONS), by=STORY)),
        ("Succeeded", "none", total(LOOP(ITERATIONS, _GOOD), by=STORY)),
        ("Calls", "none", total(LOOP(CALLS), by=STORY)),
        ("Failed calls", "none", total(LOOP(CALLS, FAILED), by=STORY)),
        ("Tokens", "short", total(LOOP(TOKENS), by=STORY)),
        (
            "Spend an iteration",
            "currencyUSD",
            f"{dollars(LOOP(COST), by=STORY)} / {total(LOOP(ITERATIONS), by=STORY)}",
        ),
    ],
    width=24,
)

_CHARTS = [
    chart(
        "Iterations by outcome",
        "complete: the command exited with 0; error: with another status; lost: nobody saw its "
        "end. The bars add up to Iterations.",
        ranged(total(LOOP(ITERATIONS), BAR, by=OUTCOME), f"{{{{{OUTCOME}}}}}"),
        unit="none",
    ),
    chart(
        "Duration of iterations",
        "Of those that ended in the four minutes before a point (in a step, where that is "
        "longer); of all stories. The dots are single iterations: they lead to the trace.",
        ranged(iteration_quantile(0.5, RECENT), "median", exemplars=True),
        ranged(iteration_quantile(0.9, RECENT), "90 %"),
        unit="s",
        custom=LINES,
    ),
    chart(
        "Spend by story",
        "The bars add up to the Spend of the stories.",
        ranged(dollars(LOOP(COST), BAR, by=STORY), f"{{{{{STORY}}}}}"),
        unit="currencyUSD",
    ),
    chart(
        "Tokens by story",
        "The bars add up to the Tokens of the stories.",
        ranged(total(LOOP(TOKENS), BAR, by=STORY), f"{{{{{STORY}}}}}"),
        unit="short",
    ),
    chart(
        "Calls by story",
        "The bars add up to the Calls of the stories.",
        ranged(total(LOOP(CALLS), BAR, by=STORY), f"{{{{{STORY}}}}}"),
        unit="none",
    ),
    chart(
        "Failed iterations",
        "By the command's exit status; 128 + n is signal n. The dots are single iterations: they "
        "lead to the trace.",
        ranged(
            total(LOOP(ITERATIONS, f'{OUTCOME}="error"'), BAR, by="error_type"),
            "exit status {{error_type}}",
            exemplars=True,
        ),
        unit="none",
    ),
]

_TRACES = [
    trace_list(
        "Latest iterations",
        "Each is a trace: its turns, agents, calls and tools. Of all stories: a search takes one "
        "value of a tag, not several.",
        _OF_ITERATION,
    ),
    trace_list(
        "Iterations that exited with $status",
        "Choose the status above; 128 + n is signal n. Jaeger finds a tag by its whole value only.",
        f"{_OF_ITERATION} tokenproxy.exit_status=$status",
    ),
]

_STORY = folded(
    "Story $story",
    "story",
    stat(
        "Spend",
        "Known cost of the story's calls.",
        none_is_zero(dollars(LOOP(COST))),
        unit="currencyUSD",
        decimals=4,
    ),
    stat(
        "Iterations",
        "The story's.",
        none_is_zero(total(LOOP(ITERATIONS))),
        decimals=0,
    ),
    stat(
        "Calls",
        "The story's.",
        none_is_zero(total(LOOP(CALLS))),
        decimals=0,
    ),
    chart(
        "Tokens by kind",
        "The story's; disjoint kinds.",
        ranged(total(LOOP(TOKENS), BAR, by=KIND), f"{{{{{KIND}}}}}"),
        unit="short",
    ),
    trace_list(
        "Iterations",
        "The story's, newest first; the number of each is on its first span.",
        _OF_STORY,
        width=24,
    ),
)

BOARD = board(
    "loop",
    "Iterations of an agent loop: how many, how they ended, how long they took and what they "
    "cost, by story.",
    [
        *_STATS,
        _STORIES,
        heading("Over time"),
        *_CHARTS,
        heading("Traces"),
        *_TRACES,
        _STORY,
    ],
    variables=[STORIES, SERVICE, text("status", "Exit status", "1")],
    since="24h",
    refresh="1m",
)
