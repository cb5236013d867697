"""What a call's span says. Imports no opentelemetry.

A count that is not final has no standard name: of a response that was cut, the input
counts stand (the provider stated them at its start), the output count and the stop
reason do not (they were placeholders); the Anthropic SDK's own tracing keeps the same
rule. What was seen of the output is told as ``tokenproxy.usage.output_tokens_at_least``.

Most of it is the same from call to call: what *kind* of call it is, and *whose*. Either is
put together once for all calls that have the same (:class:`~tokenproxy.telemetry.span.Shared`),
from the facts that it is looked up by and from nothing else. The rest is the call's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tokenproxy.config import RunContext
from tokenproxy.record.call import Call, CallStart, Outcome
from tokenproxy.record.row import Row
from tokenproxy.telemetry import semconv as names
from tokenproxy.telemetry import values
from tokenproxy.telemetry.attributes import (
    belonging,
    error_type,
    joined,
    known,
    labels,
    limits,
    streamed,
    text,
)
from tokenproxy.telemetry.money import nanodollars
from tokenproxy.telemetry.semconv import Semconv
from tokenproxy.telemetry.span import Attributes, Shared, Value
from tokenproxy.wire.settings import NOTHING
from tokenproxy.wire.usage import Attribution, RequestFacts

REMEMBERED: Final = 512
"""Kinds, and whose calls they are, that are kept in mind. All are forgotten when there are more."""

type _Start = tuple[str, str, str, str, int, bool]
"""Ledger's and conventions' operation, provider, server's name and port, whether results are
fetched."""
type _Asked = tuple[str | None, bool | None, int | None, tuple[str, ...]]
"""Model, stream, most tokens, stop sequences."""
type _Ended = tuple[Outcome, int | None, str | None, int | None]
"""Outcome, status, error, attempt."""
type _Answered = tuple[
    str | None, str | None, str, bool, str | None, str | None, str | None, str | None
]
"""Model, reason to stop, completeness, fallback, price list; tier, speed and geography."""


class Kind(Shared):
    """What calls of a kind have alike."""

    __slots__ = ("failed", "name")

    def __init__(self, attributes: Attributes, name: str, *, failed: bool) -> None:
        super().__init__(attributes)
        self.name = name
        """Of the span: ``{operation} {requested model}``, or the operation alone."""
        self.failed = failed


class CallAttributes:
    """Of the calls of one run. Used by one thread at a time."""

    def __init__(self, semconv: Semconv, run: RunContext) -> None:
        self._semconv = semconv
        self._run = run
        self._kinds: dict[tuple[_Start, _Asked, _Ended, _Answered | None], Kind] = {}
        self._whose: dict[tuple[str | None, ...], Shared] = {}

    def all(self, call: Call, row: Row | None) -> Attributes:
        """All of them; ``row`` is None for calls that leave none."""
        found: Attributes = {}
        for shared in self.shared(call, row):
            found.update(shared.attributes)
        return {**found, **self.own(call, row)}

    def shared(self, call: Call, row: Row | None) -> tuple[Kind, Shared]:
        """What many calls say alike: of what kind they are, and whose."""
        start, request, end, who = call.start, call.request, call.end, call.start.attribution
        kind = (
            (
                start.operation,
                values.operation_name(start, row),
                start.provider,
                start.server_address,
                start.server_port,
                start.kind == "batch_results",
            ),
            (request.model, request.stream, request.max_tokens, request.stop_sequences),
            (end.outcome, end.status_code, error_type(call, row), call.attempt),
            None if row is None else self._answered(call, row),
        )
        whose = (
            who.session_id or request.session_id,
            who.turn_id,
            who.agent_id,
            who.parent_agent_id,
            who.agent_type,
            who.request_class,
            who.client,
            who.compaction,
            who.context_compacted,
            end.response.organization_id,
            end.response.workspace_id,
        )
        return (
            self._kinds.get(kind) or _keep(self._kinds, kind, self._of_kind),
            self._whose.get(whose) or _keep(self._whose, whose, self._of_whose),
        )

    def own(self, call: Call, row: Row | None) -> Attributes:
        """What this call says. No name is one of the shared."""
        start, end, request = call.start, call.end, call.request
        found: Attributes = {names.CALL_ID: start.call_id}
        if end.request_bytes:
            found[names.HTTP_REQUEST_SIZE] = end.request_bytes
        if end.response_bytes:
            found[names.HTTP_RESPONSE_SIZE] = end.response_bytes
        if call.retry_of is not None:
            found[names.RETRY_OF] = call.retry_of
        if end.response.request_id is not None:
            found[names.REQUEST_ID] = end.response.request_id
        if start.attribution.client_request_id is not None:
            found[names.CLIENT_REQUEST_ID] = start.attribution.client_request_id
        self._sampling(request, found)
        if request.settings != NOTHING or start.operation in values.OUTPUT_TYPES:
            found.update(self._settings(start, request, row))
        if end.response.rate_limits or end.response.retry_after_s is not None:
            found.update(limits(end.response))
        if row is not None:
            self._answer(call, row, found)
        return found

    # -- what is shared -----------------------------------------------------

    def _answered(self, call: Call, row: Row) -> _Answered:
        reason = row.stop_reason if row.completeness == "final" else None
        if reason is None and row.response_id and call.end.outcome != "complete":
            reason = self._semconv.cut_finish_reason
        return (
            call.end.reading.model, reason, row.completeness, row.fallback_used,
            row.price_version, row.service_tier, row.speed, row.inference_geo,
        )  # fmt: skip

    def _of_kind(self, kind: tuple[_Start, _Asked, _Ended, _Answered | None]) -> Kind:
        semconv, (start, asked, ended, answered) = self._semconv, kind
        operation, well_known, provider, address, port, fetched = start
        model, stream, max_tokens, stop_sequences = asked
        outcome, status, error, attempt = ended
        found: dict[str, Value | None] = {
            # First: of more attributes than the SDK keeps, the first are dropped.
            **labels(self._run),
            semconv.operation: well_known,
            semconv.provider: names.provider_name(provider),
            semconv.request_model: model,
            names.SERVER_ADDRESS: address or None,
            names.SERVER_PORT: port or None,
            names.ERROR_TYPE: error,
            semconv.request_stream: True if stream else None,
            semconv.request_max_tokens: max_tokens,
            semconv.request_stop_sequences: stop_sequences or None,
            names.HTTP_STATUS: status,
            names.HTTP_RESEND_COUNT: attempt or None,
            names.NODE: "call",
            names.OPERATION: operation,
            names.OUTCOME: outcome,
            names.ATTEMPT: attempt,
        }
        name, failed = joined(well_known, model), error is not None
        if answered is None:
            return Kind(known(found), name, failed=failed)
        served, reason, completeness, fallback, prices, tier, speed, geo = answered
        found |= {
            semconv.response_model: served,
            semconv.response_finish_reasons: None if reason is None else (reason,),
            names.COMPLETENESS: completeness,
            names.FALLBACK_USED: fallback or None,
            names.PRICE_VERSION: prices,
            names.SERVICE_TIER: tier,
            names.SPEED: speed,
            names.INFERENCE_GEO: geo,
        }
        if not fetched:
            found.update(_of_provider(provider, operation, tier))
        return Kind(known(found), name, failed=failed)

    def _of_whose(self, whose: tuple[str | None, ...]) -> Shared:
        (
            session, turn, agent, parent, agent_type, request_class, client,
            compaction, compacted, organization, workspace,
        ) = whose  # fmt: skip
        who = Attribution(
            turn_id=turn, agent_id=agent, parent_agent_id=parent, agent_type=agent_type,
            request_class=request_class, client=client,
        )  # fmt: skip
        found: dict[str, Value | None] = {
            self._semconv.conversation_id: session,
            names.COMPACTION: compaction,
            names.CONTEXT_COMPACTED: compacted,
            names.ORGANIZATION_ID: organization,
            names.WORKSPACE_ID: workspace,
            **belonging(self._run, who),
        }
        if self._semconv.compacted is not None:
            found[self._semconv.compacted] = _is_set(compacted)
        return Shared(known(found))

    # -- what is the call's own ---------------------------------------------

    def _sampling(self, request: RequestFacts, found: Attributes) -> None:
        semconv = self._semconv  # not shared: 1 and 1.0 are looked up alike, and told otherwise
        if request.temperature is not None:
            found[semconv.request_temperature] = request.temperature
        if request.top_p is not None:
            found[semconv.request_top_p] = request.top_p
        if request.top_k is not None:
            found[semconv.request_top_k] = semconv.top_k_type(request.top_k)

    def _settings(self, start: CallStart, request: RequestFacts, row: Row | None) -> Attributes:
        """What the request asked for that nothing else depends on."""
        semconv, asked = self._semconv, request.settings
        found: dict[str, Value | None] = {
            semconv.request_choice_count: asked.choice_count if asked.choice_count != 1 else None,
            semconv.request_seed: asked.seed,
            semconv.request_frequency_penalty: asked.frequency_penalty,
            semconv.request_presence_penalty: asked.presence_penalty,
            semconv.output_type: asked.output_type or values.OUTPUT_TYPES.get(start.operation),
            semconv.embeddings_dimensions: asked.dimensions,
            semconv.request_encoding_formats: asked.encoding_formats or None,
        }
        if semconv.request_reasoning_level is not None:
            found[semconv.request_reasoning_level] = asked.reasoning_level
        if semconv.request_previous_response is not None:
            found[semconv.request_previous_response] = asked.previous_response_id
        openai = names.provider_name(start.provider) == values.OPENAI
        if openai and row is not None and start.kind != "batch_results":
            tier = asked.service_tier
            found[names.OPENAI_REQUEST_TIER] = None if tier == values.OPENAI_AUTO_TIER else tier
        return known(found)

    def _answer(self, call: Call, row: Row, found: Attributes) -> None:
        """What the response said and what it cost."""
        semconv, final = self._semconv, row.completeness == "final"
        told: tuple[tuple[str, Value | None], ...] = (
            (semconv.response_id, row.response_id),
            (semconv.usage_input, row.input_tokens),
            (semconv.usage_output if final else names.OUTPUT_AT_LEAST, row.output_tokens),
            (semconv.usage_cache_read, row.cache_read_input_tokens),
            (semconv.usage_cache_write, row.cache_creation_input_tokens),
            (
                semconv.usage_reasoning if final else names.REASONING_AT_LEAST,
                row.reasoning_output_tokens,
            ),
            (names.TOKENS_UNCACHED, row.uncached_input_tokens),
            (names.TOKENS_CACHE_5M, row.cache_creation_5m_input_tokens),
            (names.TOKENS_CACHE_1H, row.cache_creation_1h_input_tokens),
            (names.TOKENS_CACHE_30M, row.cache_creation_30m_input_tokens),
            (names.TOKENS_CACHE_12H, row.cache_creation_12h_input_tokens),
            (names.COST_USD, row.cost_usd),
            (names.COST_PROVIDER_USD, row.provider_cost_usd),
            (names.NOTES, row.notes or None),
        )
        for name, value in told:
            if value is not None:
                found[name] = value
        if (spent := row.spent_usd) is not None:
            found[names.COST_NANOS] = nanodollars(spent)
        if row.ttft_ms is not None and streamed(call, row):
            found[semconv.response_first_chunk] = row.ttft_ms / 1000
        for tool, requests in (row.server_tool_use or {}).items():
            found[text(f"{names.SERVER_TOOL_PREFIX}{tool}")] = requests


def _of_provider(provider: str, operation: str, tier: str | None) -> dict[str, Value | None]:
    """What a provider's own conventions ask for."""
    match names.provider_name(provider):
        case values.OPENAI:
            return {
                names.OPENAI_API_TYPE: values.OPENAI_API_TYPES.get(operation),
                names.OPENAI_RESPONSE_TIER: tier,
            }
        case values.AZURE_INFERENCE:
            return {names.AZURE_NAMESPACE: values.AZURE_COGNITIVE_SERVICES}
        case _:
            return {}


def _keep[K, V](mind: dict[K, V], key: K, make: Callable[[K], V]) -> V:
    if len(mind) >= REMEMBERED:
        mind.clear()
    made = mind[key] = make(key)
    return made


def _is_set(flag: str | None) -> bool | None:
    """True, or unknown: the conventions want no false."""
    return True if flag and flag.lower() not in ("0", "false") else None
