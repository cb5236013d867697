"""Every name that telemetry emits, in one table. Imports no opentelemetry.

Two dialects of the GenAI semantic conventions are in use:

* **1.41** (the default): the last release that holds them,
  open-telemetry/semantic-conventions v1.41.1, ``docs/gen-ai/``. Today's dashboards and
  constants know these names.
* **genai-main**: where they moved, open-telemetry/semantic-conventions-genai, unreleased;
  ``docs/gen-ai/client-inference.md`` @024a4f94, ``gen-ai-token-metrics.md`` @066d4a7f,
  ``non-normative/migration.md`` @32c328e8. Chosen by
  ``OTEL_SEMCONV_STABILITY_OPT_IN=gen_ai_latest_experimental``.

What neither names has a name under ``tokenproxy.`` (below, and equal in both dialects):
money, outcome, completeness, the split of cache writes by time to live, and how calls
hang together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

SCOPE: Final = "tokenproxy"
"""Name of the instrumentation scope of all spans and metrics."""

# -- attributes of other conventions, equal in both dialects -------------------------

ERROR_TYPE: Final = "error.type"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
HTTP_STATUS: Final = "http.response.status_code"
HTTP_RESEND_COUNT: Final = "http.request.resend_count"
HTTP_REQUEST_SIZE: Final = "http.request.body.size"
HTTP_RESPONSE_HEADER_PREFIX: Final = "http.response.header."
HTTP_RESPONSE_SIZE: Final = "http.response.body.size"
OPENAI_API_TYPE: Final = "openai.api.type"
OPENAI_REQUEST_TIER: Final = "openai.request.service_tier"
OPENAI_RESPONSE_TIER: Final = "openai.response.service_tier"
AZURE_NAMESPACE: Final = "azure.resource_provider.namespace"
SERVICE_NAME: Final = "service.name"
SERVICE_VERSION: Final = "service.version"
SERVICE_INSTANCE_ID: Final = "service.instance.id"
SDK_LANGUAGE: Final = "telemetry.sdk.language"
SDK_NAME: Final = "telemetry.sdk.name"
SDK_VERSION: Final = "telemetry.sdk.version"

# -- attributes of ours: where a call belongs ----------------------------------------

RUN_ID: Final = "tokenproxy.run.id"
STORY_ID: Final = "tokenproxy.story.id"
ITERATION: Final = "tokenproxy.iteration"
COMPLEXITY: Final = "tokenproxy.complexity"
PROJECT: Final = "tokenproxy.project"
LABEL_PREFIX: Final = "tokenproxy.label."
EXIT_STATUS: Final = "tokenproxy.exit_status"
NODE: Final = "tokenproxy.span.role"
"""What a span stands for: one of :data:`NODES`."""
TURN_ID: Final = "tokenproxy.turn.id"
AGENT_ID: Final = "tokenproxy.agent.id"
PARENT_AGENT_ID: Final = "tokenproxy.agent.parent_id"
AGENT_TYPE: Final = "tokenproxy.agent.type"
REQUEST_CLASS: Final = "tokenproxy.request_class"
CLIENT: Final = "tokenproxy.client"
LINK: Final = "tokenproxy.link"
"""On a link: one of :data:`LINKS`."""

Node = Literal["iteration", "turn", "agent", "call", "tool"]
NODES: Final[tuple[Node, ...]] = ("iteration", "turn", "agent", "call", "tool")
LINKS: Final = ("client", "retry_of")

# -- attributes of ours: one call ----------------------------------------------------

CALL_ID: Final = "tokenproxy.call.id"
OPERATION: Final = "tokenproxy.operation"
"""The ledger's word, where ``gen_ai.operation.name`` is the conventions'."""
OUTCOME: Final = "tokenproxy.outcome"
COMPLETENESS: Final = "tokenproxy.completeness"
NOTE: Final = "tokenproxy.note"
"""A note's word, without its detail."""
RETRY_OF: Final = "tokenproxy.retry_of"
ATTEMPT: Final = "tokenproxy.attempt"
FALLBACK_USED: Final = "tokenproxy.fallback_used"
RETRY: Final = "tokenproxy.retry"
"""On our count of calls: whether the call repeats one that failed."""
REQUEST_ID: Final = "tokenproxy.request.id"
CLIENT_REQUEST_ID: Final = "tokenproxy.client_request.id"
ORGANIZATION_ID: Final = "tokenproxy.organization.id"
WORKSPACE_ID: Final = "tokenproxy.workspace.id"
RETRY_AFTER: Final = "tokenproxy.retry_after"
COMPACTION: Final = "tokenproxy.compaction"
CONTEXT_COMPACTED: Final = "tokenproxy.context_compacted"
SERVICE_TIER: Final = "tokenproxy.service_tier"
SPEED: Final = "tokenproxy.speed"
INFERENCE_GEO: Final = "tokenproxy.inference_geo"
NOTES: Final = "tokenproxy.notes"
TOKENS_UNCACHED: Final = "tokenproxy.usage.uncached_input_tokens"
TOKENS_CACHE_5M: Final = "tokenproxy.usage.cache_creation_5m_input_tokens"
TOKENS_CACHE_1H: Final = "tokenproxy.usage.cache_creation_1h_input_tokens"
TOKENS_CACHE_30M: Final = "tokenproxy.usage.cache_creation_30m_input_tokens"
TOKENS_CACHE_12H: Final = "tokenproxy.usage.cache_creation_12h_input_tokens"
OUTPUT_AT_LEAST: Final = "tokenproxy.usage.output_tokens_at_least"
"""Output seen of a response that was cut: a lower bound, so it has no standard name."""
REASONING_AT_LEAST: Final = "tokenproxy.usage.reasoning_output_tokens_at_least"
"""The part of it that is reasoning."""
SERVER_TOOL_PREFIX: Final = "tokenproxy.usage.server_tool."
COST_USD: Final = "tokenproxy.cost.usd"
COST_NANOS: Final = "tokenproxy.cost.usd_nanos"
COST_PROVIDER_USD: Final = "tokenproxy.cost.provider_usd"
PRICE_VERSION: Final = "tokenproxy.price_version"

PART_EVENT: Final = "tokenproxy.usage.part"
"""Span event, one a billed part, when a call was billed to several."""
PART_ROLE: Final = "tokenproxy.part.role"
PART_BILLABLE: Final = "tokenproxy.part.billable"

# -- attributes of ours: sums on iterations, turns and agents ------------------------
# Not gen_ai.usage.*: whoever sums that over all spans must get each token once.

SUM_CALLS: Final = "tokenproxy.sum.calls"
SUM_TOOLS: Final = "tokenproxy.sum.tool_calls"
SUM_INPUT: Final = "tokenproxy.sum.input_tokens"
SUM_OUTPUT: Final = "tokenproxy.sum.output_tokens"
SUM_COST_USD: Final = "tokenproxy.sum.cost_usd"

# -- attributes of our metrics -------------------------------------------------------

TOKEN_KIND: Final = "tokenproxy.token.kind"  # noqa: S105 - a metric's attribute
COST_KNOWN: Final = "tokenproxy.cost.known"

TokenKind = Literal[
    "uncached_input",
    "cache_read",
    "cache_creation_5m",
    "cache_creation_1h",
    "cache_creation_30m",
    "cache_creation_12h",
    "cache_creation_other",
    "input_other",
    "output",
]
TOKEN_KINDS: Final[tuple[TokenKind, ...]] = (
    "uncached_input",
    "cache_read",
    "cache_creation_5m",
    "cache_creation_1h",
    "cache_creation_30m",
    "cache_creation_12h",
    "cache_creation_other",
    "input_other",
    "output",
)
"""Disjoint: all but ``output`` add up to all input. ``input_other`` is input whose kind
the provider does not tell."""

# -- metrics -------------------------------------------------------------------------

Instrument = Literal["counter", "histogram"]

_TOKEN_BOUNDS: Final = tuple(float(4**power) for power in range(14))
"""1, 4, 16 ... 67108864 (gen-ai-metrics.md, both dialects)."""
_DURATION_BOUNDS: Final = tuple(0.01 * 2**power for power in range(14))
"""0.01, 0.02 ... 81.92 s (gen-ai-metrics.md, both dialects)."""
_LONG_BOUNDS: Final = (*_DURATION_BOUNDS, 163.84, 327.68, 655.36)
"""The conventions' (a SHOULD), carried on: a long stream takes minutes, and the percentile
of what lies above the last bound is not a number."""
_AGENT_BOUNDS: Final = tuple(0.1 * 2**power for power in range(13))
"""0.1, 0.2 ... 409.6 s, as opentelemetry-util-genai 1.3b0 has them."""
_ITERATION_BOUNDS: Final = tuple(float(2**power) for power in range(15))
"""1, 2 ... 16384 s: an iteration may work for hours."""


class Metric(msgspec.Struct, frozen=True):
    """One instrument."""

    name: str
    instrument: Instrument
    unit: str
    description: str
    bounds: tuple[float, ...] | None = None


TOKENS: Final = Metric(
    "tokenproxy.usage.tokens",
    "counter",
    "{token}",
    "Billed tokens by disjoint kinds; their sum is the ledger's sum of input and output.",
)
REASONING: Final = Metric(
    "tokenproxy.usage.reasoning_tokens",
    "counter",
    "{token}",
    "Reasoning tokens: a part of the output tokens, never to be added to them.",
)
COST: Final = Metric(
    "tokenproxy.cost.usd_nanos",
    "counter",
    "{nanodollar}",
    "Cost in 1e-9 US dollars. Whole numbers add up the same in any order; floats do not.",
)
CALLS: Final = Metric("tokenproxy.calls", "counter", "{call}", "Calls, each one row of the ledger.")
PASSED: Final = Metric(
    "tokenproxy.passed_requests",
    "counter",
    "{request}",
    "Requests to a provider's host that are no model call and leave no row.",
)
DISCREPANCIES: Final = Metric(
    "tokenproxy.discrepancies",
    "counter",
    "{note}",
    "What a provider's own numbers left open, by the ledger's notes.",
)
ITERATIONS: Final = Metric(
    "tokenproxy.iterations", "counter", "{iteration}", "Commands that ran to their end."
)
ITERATION_DURATION: Final = Metric(
    "tokenproxy.iteration.duration",
    "histogram",
    "s",
    "From a command's start to its exit.",
    _ITERATION_BOUNDS,
)
OWN_METRICS: Final = (
    TOKENS,
    REASONING,
    COST,
    CALLS,
    PASSED,
    DISCREPANCIES,
    ITERATIONS,
    ITERATION_DURATION,
)


class UsageCounters(msgspec.Struct, frozen=True):
    """genai-main's counters; the last three are parts of the first two."""

    input: Metric
    output: Metric
    cache_read: Metric
    cache_write: Metric
    reasoning: Metric


class Semconv(msgspec.Struct, frozen=True, kw_only=True):
    """One dialect of the GenAI conventions."""

    name: str
    schema_url: str

    operation: str = "gen_ai.operation.name"
    provider: str = "gen_ai.provider.name"
    conversation_id: str = "gen_ai.conversation.id"
    request_model: str = "gen_ai.request.model"
    request_stream: str = "gen_ai.request.stream"
    request_max_tokens: str = "gen_ai.request.max_tokens"
    request_temperature: str = "gen_ai.request.temperature"
    request_top_p: str = "gen_ai.request.top_p"
    request_top_k: str = "gen_ai.request.top_k"
    top_k_type: type[int | float]
    request_stop_sequences: str = "gen_ai.request.stop_sequences"
    request_choice_count: str = "gen_ai.request.choice.count"
    request_seed: str = "gen_ai.request.seed"
    request_frequency_penalty: str = "gen_ai.request.frequency_penalty"
    request_presence_penalty: str = "gen_ai.request.presence_penalty"
    request_encoding_formats: str = "gen_ai.request.encoding_formats"
    request_reasoning_level: str | None
    request_previous_response: str | None
    embeddings_dimensions: str = "gen_ai.embeddings.dimension.count"
    output_type: str = "gen_ai.output.type"
    compacted: str | None
    """Says that the conversation was compacted before."""
    response_id: str = "gen_ai.response.id"
    response_model: str = "gen_ai.response.model"
    response_finish_reasons: str = "gen_ai.response.finish_reasons"
    response_first_chunk: str = "gen_ai.response.time_to_first_chunk"
    cut_finish_reason: str | None
    """Stands for the reason that a cut response never told."""
    usage_input: str = "gen_ai.usage.input_tokens"
    usage_output: str = "gen_ai.usage.output_tokens"
    usage_cache_read: str = "gen_ai.usage.cache_read.input_tokens"
    usage_cache_write: str
    usage_reasoning: str = "gen_ai.usage.reasoning.output_tokens"

    agent_name: str = "gen_ai.agent.name"
    agent_id: str | None
    agent_provider: str | None
    """``gen_ai.provider.name`` where ``invoke_agent`` INTERNAL has it."""
    tool_name: str = "gen_ai.tool.name"
    tool_call_id: str = "gen_ai.tool.call.id"
    tool_type: str = "gen_ai.tool.type"

    token_type: str = "gen_ai.token.type"  # noqa: S105 - a metric's attribute
    token_modality: str = "gen_ai.token.modality"  # noqa: S105 - likewise

    inference_duration: Metric
    operation_duration: Metric
    """Of client operations that are neither inference nor embeddings (token counting)."""
    embeddings_duration: Metric
    embeddings_input: Metric | None
    """Tokens of embeddings, where those of inference have metrics of their own."""
    first_chunk: Metric
    token_usage: Metric | None
    usage_counters: UsageCounters | None
    input_histogram: Metric | None
    output_histogram: Metric | None
    agent_duration: Metric | None
    tool_duration: Metric | None

    def metrics(self) -> tuple[Metric, ...]:
        """Every metric of this dialect and ours, each once."""
        counters = msgspec.structs.astuple(self.usage_counters) if self.usage_counters else ()
        standard = (
            self.inference_duration,
            self.operation_duration,
            self.embeddings_duration,
            self.embeddings_input,
            self.first_chunk,
            self.token_usage,
            *counters,
            self.input_histogram,
            self.output_histogram,
            self.agent_duration,
            self.tool_duration,
        )
        return tuple(dict.fromkeys(m for m in (*standard, *OWN_METRICS) if m is not None))


_OPERATION_DURATION: Final = Metric(
    "gen_ai.client.operation.duration", "histogram", "s", "GenAI operation duration.", _LONG_BOUNDS
)
_FIRST_CHUNK_TEXT: Final = "Time from the request to the first content event of a stream."

V1_41: Final = Semconv(
    name="1.41",
    schema_url="https://opentelemetry.io/schemas/1.41.0",
    top_k_type=float,
    cut_finish_reason=None,
    request_reasoning_level=None,
    request_previous_response=None,
    compacted=None,
    usage_cache_write="gen_ai.usage.cache_creation.input_tokens",
    agent_id="gen_ai.agent.id",
    agent_provider="gen_ai.provider.name",
    inference_duration=_OPERATION_DURATION,
    operation_duration=_OPERATION_DURATION,
    embeddings_duration=_OPERATION_DURATION,
    embeddings_input=None,
    first_chunk=Metric(
        "gen_ai.client.operation.time_to_first_chunk",
        "histogram",
        "s",
        _FIRST_CHUNK_TEXT,
        _DURATION_BOUNDS,
    ),
    token_usage=Metric(
        "gen_ai.client.token.usage",
        "histogram",
        "{token}",
        "Number of input and output tokens used.",
        _TOKEN_BOUNDS,
    ),
    usage_counters=None,
    input_histogram=None,
    output_histogram=None,
    agent_duration=None,
    tool_duration=None,
)


def _usage(kind: str, description: str) -> Metric:
    return Metric(f"gen_ai.client.inference.usage.{kind}", "counter", "{token}", description)


GENAI_MAIN: Final = Semconv(
    name="genai-main",
    schema_url="https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev",
    top_k_type=int,
    cut_finish_reason="error",
    request_reasoning_level="gen_ai.request.reasoning.level",
    request_previous_response="gen_ai.request.previous_response.id",
    compacted="gen_ai.conversation.compacted",
    usage_cache_write="gen_ai.usage.cache_write.input_tokens",
    agent_id=None,
    agent_provider=None,
    inference_duration=Metric(
        "gen_ai.client.inference.duration",
        "histogram",
        "s",
        "GenAI inference duration.",
        _LONG_BOUNDS,
    ),
    operation_duration=_OPERATION_DURATION,
    embeddings_duration=Metric(
        "gen_ai.client.embeddings.duration",
        "histogram",
        "s",
        "GenAI client embeddings operation duration.",
        _LONG_BOUNDS,
    ),
    embeddings_input=Metric(
        "gen_ai.client.embeddings.operation.input_tokens",
        "histogram",
        "{token}",
        "Input tokens used per embeddings operation.",
        _TOKEN_BOUNDS,
    ),
    first_chunk=Metric(
        "gen_ai.client.inference.time_to_first_chunk",
        "histogram",
        "s",
        _FIRST_CHUNK_TEXT,
        _DURATION_BOUNDS,
    ),
    token_usage=None,
    usage_counters=UsageCounters(
        input=_usage("input_tokens", "Input tokens used, including cached tokens."),
        output=_usage("output_tokens", "Output tokens used, including reasoning tokens."),
        cache_read=_usage("cache_read.input_tokens", "Input tokens served from a cache."),
        cache_write=_usage("cache_write.input_tokens", "Input tokens written to a cache."),
        reasoning=_usage("reasoning.output_tokens", "Output tokens used for reasoning."),
    ),
    input_histogram=Metric(
        "gen_ai.client.inference.operation.input_tokens",
        "histogram",
        "{token}",
        "Input tokens used per inference operation.",
        _TOKEN_BOUNDS,
    ),
    output_histogram=Metric(
        "gen_ai.client.inference.operation.output_tokens",
        "histogram",
        "{token}",
        "Output tokens used per inference operation.",
        _TOKEN_BOUNDS,
    ),
    agent_duration=Metric(
        "gen_ai.invoke_agent.duration",
        "histogram",
        "s",
        "End-to-end duration of a single agent invocation.",
        _AGENT_BOUNDS,
    ),
    tool_duration=Metric(
        "gen_ai.execute_tool.duration",
        "histogram",
        "s",
        "Duration of a single tool execution.",
        _LONG_BOUNDS,
    ),
)

DIALECTS: Final = (V1_41, GENAI_MAIN)

INVOKE_AGENT: Final = "invoke_agent"
EXECUTE_TOOL: Final = "execute_tool"
UNKNOWN_MODALITY: Final = "unknown"
OTHER_ERROR: Final = "_OTHER"
TOOL_ERROR: Final = "tool_error"
FUNCTION_TOOL: Final = "function"

_OPT_IN: Final = "OTEL_SEMCONV_STABILITY_OPT_IN"
_LATEST: Final = "gen_ai_latest_experimental"

_PROVIDERS: Final = {"google": "gcp.gemini"}
"""The ledger's provider names where OpenTelemetry has another."""


def choose(env: Mapping[str, str]) -> Semconv:
    """The dialect that the environment asks for."""
    wanted = {value.strip() for value in env.get(_OPT_IN, "").split(",")}
    return GENAI_MAIN if _LATEST in wanted else V1_41


def provider_name(ledger_name: str) -> str:
    """``gen_ai.provider.name`` for a provider of the ledger."""
    return _PROVIDERS.get(ledger_name, ledger_name)
