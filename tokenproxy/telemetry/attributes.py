"""What spans say of a group of calls and of a tool, and all spans alike.

What they say of a call is in :mod:`tokenproxy.telemetry.call_attributes`. Imports no
opentelemetry.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from tokenproxy.config import IterationEnd, RunContext
from tokenproxy.record.call import Call
from tokenproxy.record.row import Row, RowPart
from tokenproxy.telemetry import semconv as names
from tokenproxy.telemetry.semconv import Semconv
from tokenproxy.telemetry.span import Attributes, Value
from tokenproxy.telemetry.tree import Group, Tool
from tokenproxy.wire.usage import Attribution, ResponseFacts

_NANO = 1e9
_MAX_LIMITS: Final = 32
"""Rate-limit headers told; the SDK keeps 128 attributes of a span."""


def group_name(group: Group) -> str:
    """``invoke_agent {agent}``, or the operation alone."""
    return joined(names.INVOKE_AGENT, group.name)


def tool_name(tool: Tool) -> str:
    """``execute_tool {tool}``."""
    return joined(names.EXECUTE_TOOL, tool.name)


def error_type(call: Call, row: Row | None) -> str | None:
    """``error.type`` of a call that failed, else None. Low cardinality by the ledger's contract."""
    if row is not None:
        return None if row.success else row.error or names.OTHER_ERROR
    return None if call.end.outcome == "complete" else call.end.error or call.end.outcome


def streamed(call: Call, row: Row) -> bool:
    """Whether the answer came as a stream: as one is framed, or as one that was asked for."""
    return bool(row.stream or call.request.stream)


def part_attributes(semconv: Semconv, part: RowPart) -> Attributes:
    """Attributes of the event that tells of one billed part of a call."""
    return known(
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
        **belonging(run, group.who),
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
        found.update(labels(run))
    return known(found)


def tool_attributes(semconv: Semconv, run: RunContext, tool: Tool) -> Attributes:
    """All attributes of an ``execute_tool`` span. Never arguments or results."""
    return known(
        {
            semconv.operation: names.EXECUTE_TOOL,
            semconv.tool_name: tool.name,
            semconv.tool_call_id: tool.tool_use_id,
            semconv.tool_type: names.FUNCTION_TOOL,
            names.ERROR_TYPE: names.TOOL_ERROR if tool.failed else None,
            names.NODE: "tool",
            **belonging(run, tool.who),
        }
    )


def text(value: str) -> str:
    """Valid UTF-8: one lone surrogate (an undecodable argument) would lose a whole batch."""
    return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")


def belonging(run: RunContext, who: Attribution) -> dict[str, Value | None]:
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


def labels(run: RunContext) -> dict[str, Value | None]:
    """The user's labels: on calls too, so that each says by itself whose it is."""
    return {text(f"{names.LABEL_PREFIX}{key}"): value for key, value in run.labels.items()}


def limits(response: ResponseFacts) -> Attributes:
    """What is left of the account's limits, as the response's headers say."""
    told = sorted(response.rate_limits.items())[:_MAX_LIMITS]
    found: Attributes = {_header(name): (value,) for name, value in told}
    if response.retry_after_s is not None:
        found[names.RETRY_AFTER] = response.retry_after_s
    return found


@lru_cache(maxsize=256)
def _header(name: str) -> str:
    return text(f"{names.HTTP_RESPONSE_HEADER_PREFIX}{name}")


def joined(operation: str, noun: str | None) -> str:
    """A span's name."""
    return text(f"{operation} {noun}" if noun else operation)


def known(found: Mapping[str, Value | None]) -> Attributes:
    """Without what is unknown; unknown is absent, never empty."""
    return {name: value for name, value in found.items() if value is not None}
