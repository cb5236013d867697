"""The queries' common parts. docs/dashboards.md says what they mean.

tokenproxy sends deltas and Prometheus keeps them as they are, so whatever is shown is a sum
over time; ``rate`` and ``increase`` are for the collector's own running totals only.

Windows are open on the left: ``[1m]`` at 12:01 is what came after 12:00, up to 12:01.
"""

from __future__ import annotations

RANGE = "[$__range]"
"""The dashboard's whole time range, for an instant query at its end."""
BAR = "[$__interval] offset -$__interval"
"""One bar, drawn at its beginning: from a step's time to the next step's. The bars of a chart
do not overlap and leave nothing out, the one that is still growing included."""
RECENT = "[$__rate_interval]"
"""What percentiles are taken of: at least four minutes, else a single call makes them."""

CALLS = "tokenproxy_calls_total"
COST = "tokenproxy_cost_usd_nanos_total"
TOKENS = "tokenproxy_usage_tokens_total"
REASONING = "tokenproxy_usage_reasoning_tokens_total"
PASSED = "tokenproxy_passed_requests_total"
DISCREPANCIES = "tokenproxy_discrepancies_total"
ITERATIONS = "tokenproxy_iterations_total"
ITERATION_BUCKET = "tokenproxy_iteration_duration_seconds_bucket"

PROVIDER = "gen_ai_provider_name"
REQUESTED = "gen_ai_request_model"
BILLED = "gen_ai_response_model"
STORY = "tokenproxy_story_id"
KIND = "tokenproxy_token_kind"
OUTCOME = "tokenproxy_outcome"

BY_PROVIDER = f'{PROVIDER}=~"$provider"'
BY_MODEL = f'{REQUESTED}=~"$model"'
BY_STORY = f'{STORY}=~"$story"'

FAILED = f'{OUTCOME}!="complete"'
_PARTIAL = 'tokenproxy_completeness="partial"'
_UNTOLD = f'tokenproxy_completeness="none", {OUTCOME}!~"error|blocked"'
"""Answered, or cut before any usage was told; a call that was refused used nothing."""
UNPRICED = 'tokenproxy_cost_known="false"'
INPUT = f'{KIND}!="output"'
OUTPUT = f'{KIND}="output"'
CACHED = f'{KIND}="cache_read"'

_LATENCY = ("gen_ai_client_operation_duration", "gen_ai_client_inference_duration")
_FIRST_CHUNK = (
    "gen_ai_client_operation_time_to_first_chunk",
    "gen_ai_client_inference_time_to_first_chunk",
)
_OURS = ('otel_scope_name="tokenproxy"', 'gen_ai_operation_name!="count_tokens"')
"""The conventions' metrics are everybody's: an SDK may send its own of the same calls."""


class Select:
    """A selector of our counters, by the variables of a dashboard."""

    def __init__(self, *matchers: str) -> None:
        """With ``matchers`` on every metric."""
        self._matchers = matchers

    def __call__(self, metric: str, *matchers: str) -> str:
        """``metric{…}``."""
        return f"{metric}{{{', '.join((*self._matchers, *matchers))}}}"


CALL = Select(BY_PROVIDER, BY_MODEL, BY_STORY)
"""Of the metrics of calls."""
LOOP = Select(BY_STORY)
"""Of the metrics of iterations, which are of no one model; and of calls beside them."""
NOTED = Select(BY_PROVIDER, BY_MODEL)
"""Of the discrepancies: they have no story."""


def total(selector: str, window: str = RANGE, *, by: str = "") -> str:
    """The sum over ``window``, of everything or by a label."""
    aggregate = f"sum by ({by})" if by else "sum"
    return f"{aggregate} (sum_over_time({selector}{window}))"


def incomplete(window: str = RANGE, *, by: str = "") -> str:
    """Calls that may have been billed for more than is known of them."""
    either = " or ".join(
        f"sum_over_time({CALL(CALLS, matchers)}{window})" for matchers in (_PARTIAL, _UNTOLD)
    )
    return f"sum by ({by}) ({either})" if by else f"sum ({either})"


def dollars(selector: str, window: str = RANGE, *, by: str = "") -> str:
    """The same of nano-dollars, in dollars."""
    return f"{total(selector, window, by=by)} / 1e9"


def none_is_zero(expression: str) -> str:
    """For a number that is 0, not absent, where nothing has happened yet."""
    return f"{expression} or vector(0)"


def latency(quantile: float, window: str, *, by: str = "") -> str:
    """Seconds from request to the end of the response; calls of every outcome."""
    return _quantile(quantile, _LATENCY, window, by)


def first_chunk(quantile: float, window: str, *, by: str = "") -> str:
    """Seconds from request to the first content of a stream."""
    return _quantile(quantile, _FIRST_CHUNK, window, by)


def _quantile(quantile: float, metrics: tuple[str, ...], window: str, by: str) -> str:
    """Of deltas of buckets: their sum over time is the distribution of the window.

    A call is in one of the two dialects' metrics, whichever its sender speaks.
    """
    select = Select(*_OURS, BY_PROVIDER, BY_MODEL)
    either = " or ".join(
        f"sum_over_time({select(f'{metric}_seconds_bucket')}{window})" for metric in metrics
    )
    return (
        f"histogram_quantile({quantile}, sum by ({', '.join(filter(None, ('le', by)))}) ({either}))"
    )


def iteration_quantile(quantile: float, window: str) -> str:
    """Seconds from a command's start to its exit."""
    return f"histogram_quantile({quantile}, {total(ITERATION_BUCKET, window, by='le')})"
