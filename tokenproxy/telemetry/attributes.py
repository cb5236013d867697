"""What spans say of a call, a group of calls and a tool. Imports no opentelemetry.

A count that is not final has no standard name: of a response that was cut, the input
counts stand (the provider stated them at its start), the output count and the stop
reason do not (they were placeholders); the Anthropic SDK's own tracing keeps the same
rule. What was seen of the output is told as ``tokenproxy.usage.output_tokens_at_least``.
"""

from __future__ import annotations

from collections.abc import Mapping

from tokenproxy.config import IterationEnd, RunContext
from tokenproxy.record.call import Call
from tokenproxy.record.row import Row, RowPart
from tokenproxy.telemetry import semconv as names
from tokenproxy.telemetry import values
from tokenproxy.telemetry.money import nanodollars
from tokenproxy.telemetry.semconv import Semconv
from tokenproxy.telemetry.span import Attributes, Value
from tokenproxy.telemetry.tree import Group, Tool
from tokenproxy.wire.usage import Attribution, ResponseFacts

_NANO = 1e9

_MAX_LIMITS = 32
"""Rate-limit headers told; the SDK keeps 128 attributes of a span."""


def call_name(call: Call, row: Row | None) -> str:
    """``{operation} {requested model}``, or the operation alone."""
    return _joined(values.operation_name(call.start, row), call.request.model)


def group_name(group: Group) -> str:
    """``invoke_agent {agent}``, or the operation alone."""
    return _joined(names.INVOKE_AGENT, group.name)


def tool_name(tool: Tool) -> str:
    """``execute_tool {tool}``."""
    return _joined(names.EXECUTE_TOOL, tool.name)


def error_type(call: Call, row: Row | None) -> str | None:
    """``error.type`` of a call that failed, else None. Low cardinality by the ledger's contract."""
    if row is not None:
        return None if row.success else row.error or names.OTHER_ERROR
    return None if call.end.outcome == "complete" else call.end.error or call.end.outcome


def streamed(call: Call, row: Row) -> bool:
    """Whether the answer came as a stream: as one is framed, or as one that was asked for."""
    return bool(row.stream or call.request.stream)


def call_attributes(semconv: Semconv, run: RunContext, call: Call, row: Row | None) -> Attributes:
    """All attributes of a call's span; ``row`` is None for calls that leave none."""
    start, end, request = call.start, call.end, call.request
    who = start.attribution
    found: dict[str, Value | None] = {
        # First: of more attributes than the SDK keeps, the first are dropped.
        **_labels(run),
        semconv.operation: values.operation_name(start, row),
        semconv.provider: names.provider_name(start.provider),
        semconv.request_model: request.model,
        names.SERVER_ADDRESS: start.server_address or None,
        names.SERVER_PORT: start.server_port or None,
        names.ERROR_TYPE: error_type(call, row),
        semconv.conversation_id: who.session_id or request.session_id,
        semconv.request_stream: True if request.stream else None,
        semconv.request_max_tokens: request.max_tokens,
        semconv.request_temperature: request.temperature,
        semconv.request_top_p: request.top_p,
        semconv.request_top_k: None if request.top_k is None else semconv.top_k_type(request.top_k),
        semconv.request_stop_sequences: request.stop_sequences or None,
        names.HTTP_STATUS: end.status_code,
        names.HTTP_RESEND_COUNT: call.attempt or None,
        names.HTTP_REQUEST_SIZE: end.request_bytes or None,
        names.HTTP_RESPONSE_SIZE: end.response_bytes or None,
        names.NODE: "call",
        names.CALL_ID: start.call_id,
        names.OPERATION: start.operation,
        names.OUTCOME: end.outcome,
        names.ATTEMPT: call.attempt,
        names.RETRY_OF: call.retry_of,
        names.REQUEST_ID: end.response.request_id,
        names.CLIENT_REQUEST_ID: who.client_request_id,
        names.COMPACTION: who.compaction,
        names.CONTEXT_COMPACTED: who.context_compacted,
        **_settings(semconv, call, row),
        **_account(end.response),
        **_belonging(run, who),
        **(_answer(semconv, call, row) if row is not None else {}),
    }
    return _known(found)


def part_attributes(semconv: Semconv, part: RowPart) -> Attributes:
    """Attributes of the event that tells of one billed part of a call."""
    return _known(
        {
            semconv.response_model: part.model,
            names.PART_ROLE: part.role,
            names.PART_BILLABLE: part.billable,
            semconv.usage_input: part.input_tokens,
            semconv.usage_output: part.output_tokens,
            semconv.usage_cache_read: part.cache_read_input_tokens,
            semconv.usage_cache_write: part.cache_creation_input_tokens,
            semconv.usage_reasoning: part.reasoning_output_tokens,
            names.TOKENS_UNCACHED: part.uncached_input_tokens,
            names.TOKENS_CACHE_5M: part.cache_creation_5m_input_tokens,
            names.TOKENS_CACHE_1H: part.cache_creation_1h_input_tokens,
            names.TOKENS_CACHE_30M: part.cache_creation_30m_input_tokens,
            names.TOKENS_CACHE_12H: part.cache_creation_12h_input_tokens,
            names.COST_USD: part.cost_usd,
        }
    )


def group_attributes(
    semconv: Semconv, run: RunContext, group: Group, end: IterationEnd | None = None
) -> Attributes:
    """All attributes of an ``invoke_agent`` span.

    Args:
        semconv: The dialect.
        run: The run.
        group: An iteration, turn or agent.
        end: How the iteration ended, if it is one and that is known.
    """
    found: dict[str, Value | None] = {
        semconv.operation: names.INVOKE_AGENT,
        semconv.agent_name: group.name,
        semconv.conversation_id: group.session_id,
        names.NODE: group.role,
        names.SUM_CALLS: group.calls,
        names.SUM_TOOLS: group.tool_calls,
        names.SUM_INPUT: group.input_tokens,
        names.SUM_OUTPUT: group.output_tokens,
        names.SUM_COST_USD: group.cost_nanos / _NANO,
        **_belonging(run, group.who),
    }
    if group.role == "turn":
        # A turn is everybody's who works on it.
        for name in (names.AGENT_ID, names.PARENT_AGENT_ID, names.AGENT_TYPE, names.REQUEST_CLASS):
            found[name] = None
    if semconv.agent_provider and group.provider:
        found[semconv.agent_provider] = names.provider_name(group.provider)
    if semconv.agent_id and group.role == "agent":
        found[semconv.agent_id] = group.who.agent_id
    if group.role == "iteration":
        found[names.COMPLEXITY] = run.complexity
        found[names.EXIT_STATUS] = None if end is None else end.exit_status
        found[names.ERROR_TYPE] = str(end.exit_status) if end and end.exit_status else None
    if group.role == "iteration" or run.gateway:
        found.update(_labels(run))
    return _known(found)


def tool_attributes(semconv: Semconv, run: RunContext, tool: Tool) -> Attributes:
    """All attributes of an ``execute_tool`` span. Never arguments or results."""
    return _known(
        {
            semconv.operation: names.EXECUTE_TOOL,
            semconv.tool_name: tool.name,
            semconv.tool_call_id: tool.tool_use_id,
            semconv.tool_type: names.FUNCTION_TOOL,
            names.ERROR_TYPE: names.TOOL_ERROR if tool.failed else None,
            names.NODE: "tool",
            **_belonging(run, tool.who),
        }
    )


def text(value: str) -> str:
    """Valid UTF-8: one lone surrogate (an undecodable argument) would lose a whole batch."""
    return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")


def _belonging(run: RunContext, who: Attribution) -> dict[str, Value | None]:
    """Whose work it is."""
    return {
        names.RUN_ID: run.run_id,
        names.STORY_ID: run.story_id or None,
        names.ITERATION: None if run.gateway else run.iteration,
        names.PROJECT: run.project,
        names.TURN_ID: who.turn_id,
        names.AGENT_ID: who.agent_id,
        names.PARENT_AGENT_ID: who.parent_agent_id,
        names.AGENT_TYPE: who.agent_type,
        names.REQUEST_CLASS: who.request_class,
        names.CLIENT: who.client,
    }


def _labels(run: RunContext) -> dict[str, Value | None]:
    """The user's labels: on calls too, so that each says by itself whose it is."""
    return {text(f"{names.LABEL_PREFIX}{key}"): value for key, value in run.labels.items()}


def _settings(semconv: Semconv, call: Call, row: Row | None) -> dict[str, Value | None]:
    """What the request asked for that nothing else depends on, and its provider's own names."""
    operation, asked = call.start.operation, call.request.settings
    found: dict[str, Value | None] = {
        semconv.request_choice_count: asked.choice_count if asked.choice_count != 1 else None,
        semconv.request_seed: asked.seed,
        semconv.request_frequency_penalty: asked.frequency_penalty,
        semconv.request_presence_penalty: asked.presence_penalty,
        semconv.output_type: asked.output_type or values.OUTPUT_TYPES.get(operation),
        semconv.embeddings_dimensions: asked.dimensions,
        semconv.request_encoding_formats: asked.encoding_formats or None,
    }
    later: dict[str | None, Value | None] = {
        semconv.request_reasoning_level: asked.reasoning_level,
        semconv.request_previous_response: asked.previous_response_id,
        semconv.compacted: _is_set(call.start.attribution.context_compacted),
    }
    found.update((name, value) for name, value in later.items() if name is not None)
    if row is None or call.start.kind == "batch_results":
        return found
    match names.provider_name(call.start.provider):
        case values.OPENAI:
            tier = asked.service_tier
            found[names.OPENAI_API_TYPE] = values.OPENAI_API_TYPES.get(operation)
            found[names.OPENAI_REQUEST_TIER] = None if tier == values.OPENAI_AUTO_TIER else tier
        case values.AZURE_INFERENCE:
            found[names.AZURE_NAMESPACE] = values.AZURE_COGNITIVE_SERVICES
    return found


def _is_set(flag: str | None) -> bool | None:
    """True, or unknown: the conventions want no false."""
    return True if flag and flag.lower() not in ("0", "false") else None


def _account(response: ResponseFacts) -> dict[str, Value | None]:
    """Whose account was used and what is left of its limits, as the response's headers say."""
    limits = sorted(response.rate_limits.items())[:_MAX_LIMITS]
    return {
        names.ORGANIZATION_ID: response.organization_id,
        names.WORKSPACE_ID: response.workspace_id,
        names.RETRY_AFTER: response.retry_after_s,
        **{text(f"{names.HTTP_RESPONSE_HEADER_PREFIX}{name}"): (value,) for name, value in limits},
    }


def _answer(semconv: Semconv, call: Call, row: Row) -> dict[str, Value | None]:
    """What the response said and what it cost."""
    final = row.completeness == "final"
    reason = row.stop_reason if final else None
    if reason is None and row.response_id and call.end.outcome != "complete":
        reason = semconv.cut_finish_reason
    found: dict[str, Value | None] = {
        semconv.response_id: row.response_id,
        semconv.response_model: call.end.reading.model,
        semconv.response_finish_reasons: None if reason is None else (reason,),
        semconv.response_first_chunk: (
            row.ttft_ms / 1000 if streamed(call, row) and row.ttft_ms is not None else None
        ),
        semconv.usage_input: row.input_tokens,
        semconv.usage_output: row.output_tokens if final else None,
        semconv.usage_cache_read: row.cache_read_input_tokens,
        semconv.usage_cache_write: row.cache_creation_input_tokens,
        semconv.usage_reasoning: row.reasoning_output_tokens if final else None,
        names.OUTPUT_AT_LEAST: None if final else row.output_tokens,
        names.REASONING_AT_LEAST: None if final else row.reasoning_output_tokens,
        names.COMPLETENESS: row.completeness,
        names.FALLBACK_USED: row.fallback_used or None,
        names.TOKENS_UNCACHED: row.uncached_input_tokens,
        names.TOKENS_CACHE_5M: row.cache_creation_5m_input_tokens,
        names.TOKENS_CACHE_1H: row.cache_creation_1h_input_tokens,
        names.TOKENS_CACHE_30M: row.cache_creation_30m_input_tokens,
        names.TOKENS_CACHE_12H: row.cache_creation_12h_input_tokens,
        names.COST_USD: row.cost_usd,
        names.COST_NANOS: None if row.spent_usd is None else nanodollars(row.spent_usd),
        names.COST_PROVIDER_USD: row.provider_cost_usd,
        names.PRICE_VERSION: row.price_version,
        names.SERVICE_TIER: row.service_tier,
        names.OPENAI_RESPONSE_TIER: (
            row.service_tier
            if row.provider == values.OPENAI and call.start.kind != "batch_results"
            else None
        ),
        names.SPEED: row.speed,
        names.INFERENCE_GEO: row.inference_geo,
        names.NOTES: row.notes or None,
    }
    for tool, requests in (row.server_tool_use or {}).items():
        found[text(f"{names.SERVER_TOOL_PREFIX}{tool}")] = requests
    return found


def _joined(operation: str, noun: str | None) -> str:
    return text(f"{operation} {noun}" if noun else operation)


def _known(found: Mapping[str, Value | None]) -> Attributes:
    """Without what is unknown; unknown is absent, never empty."""
    return {name: value for name, value in found.items() if value is not None}
