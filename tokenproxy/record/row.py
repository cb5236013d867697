"""The ledger row: one call, one line. The contract that other tools read.

The order of the fields is the order of the keys on the line. The first twelve
are the ancestor's, with its types; a reader of those finds them where it
expects them. Unknown is absent: ``omit_defaults`` drops every None. The text
under each field is published in the JSON Schema.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tokenproxy.wire import notes

SCHEMA = "tokenproxy.usage/1"


class RowPart(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Tokens billed to one model inside a call that billed several. Counts are tokens."""

    model: str | None = None
    """Model that this part is billed to."""
    role: str | None = None
    """``main``, ``compaction``, ``advisor``, ``fallback_declined`` or ``fallback_served``."""
    input_tokens: int | None = None
    """All input: uncached, cache reads and cache writes."""
    output_tokens: int | None = None
    """All output, reasoning included."""
    uncached_input_tokens: int | None = None
    """Input neither read from nor written to a cache."""
    cache_read_input_tokens: int | None = None
    """Input read from a cache."""
    cache_creation_input_tokens: int | None = None
    """Input written to a cache, whatever its time to live."""
    cache_creation_5m_input_tokens: int | None = None
    """The part of it that is kept for five minutes."""
    cache_creation_1h_input_tokens: int | None = None
    """The part of it that is kept for one hour."""
    cache_creation_30m_input_tokens: int | None = None
    """The part of it that is kept for thirty minutes."""
    cache_creation_12h_input_tokens: int | None = None
    """The part of it that is kept for twelve hours."""
    reasoning_output_tokens: int | None = None
    """The part of the output that is reasoning."""
    server_tool_use: dict[str, int] | None = None
    """Requests by server-side tool, the provider's own keys."""
    service_tier: str | None = None
    """Service tier that was used, the provider's word."""
    speed: str | None = None
    """Speed that was used, the provider's word."""
    inference_geo: str | None = None
    """Where inference ran, the provider's word."""
    billable: bool | None = None
    """False where the provider does not charge; such a part is in no sum of the row."""
    cost_usd: float | None = None
    """Cost of this part in US dollars; absent if its price is unknown."""


class ToolDuration(msgspec.Struct, frozen=True, kw_only=True):
    """How long one of the client's tools ran."""

    name: str
    """The tool's name."""
    duration_ms: float
    """As the client measured it, milliseconds."""


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One model call: one line of ``provider_usage.jsonl``. Unknown is absent, never null or 0."""

    # The ancestor's twelve. Required fields carry no default: they are always written.
    timestamp: str
    """UTC start of the call, ``2026-11-22T00:54:55.830Z``."""
    story_id: str
    """Story that the iteration works on; "" if none."""
    iteration: int
    """Number of the iteration in its story or loop; 0 if a gateway recorded the call."""
    provider: str
    """anthropic, openai, google, deepseek; for others OpenTelemetry's ``gen_ai.provider.name``."""
    model: str
    """Model that served; if unknown the requested one; "" if neither is known."""
    complexity: int
    """As given by the caller."""
    input_tokens: int | None = None
    """All billed input: uncached, cache reads and cache writes."""
    output_tokens: int | None = None
    """All billed output, reasoning included."""
    cost_usd: float | None = None
    """US dollars, computed; absent if the price of any part is unknown."""
    latency_ms: float
    """Start of the request to end of the response, milliseconds."""
    success: bool
    """HTTP success, and the response ended as its protocol ends."""
    fallback_used: bool
    """Another model or provider answered than was first asked, here or after a failed call."""
    # Ours.
    error: str | None = None
    """The provider's error type or ours; only when ``success`` is false."""
    schema: str
    """Name and version of this format."""
    run_id: str
    """The iteration, a UUIDv7."""
    call_id: str
    """The row's key, a UUIDv7; of a batch result a UUIDv8 made from ``response_id``."""
    outcome: str
    """How the call ended: aborted by the client, truncated by the provider, lost with the proxy."""
    completeness: str
    """``final``: the provider's last word. ``partial``: a lower bound. ``none``: no usage seen."""
    operation: str
    """chat, responses, generate_content, embeddings, ..."""
    requested_model: str | None = None
    """Model that the request named."""
    response_id: str | None = None
    """The response's id, from its body."""
    request_id: str | None = None
    """The provider's id of the request, from its headers."""
    client_request_id: str | None = None
    """The client's id of the request."""
    session_id: str | None = None
    """The client's session."""
    turn_id: str | None = None
    """One user prompt within a session."""
    agent_id: str | None = None
    """Subagent that made the call; absent for the main agent."""
    parent_agent_id: str | None = None
    """Agent that started the subagent."""
    agent_type: str | None = None
    """Kind of the subagent."""
    request_class: str | None = None
    """The client's word for the call's purpose: main, subagent, compaction, ..."""
    tool_durations: tuple[ToolDuration, ...] | None = None
    """Tools whose results the request carries, where the client tells their durations."""
    attempt: int | None = None
    """0 for the first try."""
    retry_of: str | None = None
    """call_id of the failed call that this one repeats."""
    uncached_input_tokens: int | None = None
    """Input neither read from nor written to a cache."""
    cache_read_input_tokens: int | None = None
    """Input read from a cache."""
    cache_creation_input_tokens: int | None = None
    """Input written to a cache, whatever its time to live."""
    cache_creation_5m_input_tokens: int | None = None
    """The part of it that is kept for five minutes."""
    cache_creation_1h_input_tokens: int | None = None
    """The part of it that is kept for one hour."""
    cache_creation_30m_input_tokens: int | None = None
    """The part of it that is kept for thirty minutes."""
    cache_creation_12h_input_tokens: int | None = None
    """The part of it that is kept for twelve hours."""
    reasoning_output_tokens: int | None = None
    """The part of the output that is reasoning."""
    server_tool_use: dict[str, int] | None = None
    """Requests by server-side tool, the provider's own keys."""
    service_tier: str | None = None
    """Service tier that was used, the provider's word."""
    speed: str | None = None
    """Speed that was used, the provider's word."""
    inference_geo: str | None = None
    """Where inference ran, the provider's word."""
    stop_reason: str | None = None
    """Why the model stopped, the provider's word."""
    parts: tuple[RowPart, ...] | None = None
    """Only when more than one model or role was billed, or one that is not charged for."""
    status_code: int | None = None
    """HTTP status of the response."""
    stream: bool | None = None
    """The response was streamed."""
    ttft_ms: float | None = None
    """Start of the request to the first content event, milliseconds."""
    request_bytes: int | None = None
    """Bytes of the request body as sent."""
    response_bytes: int | None = None
    """Bytes of the response body as sent."""
    provider_cost_usd: float | None = None
    """Cost as the provider itself states it, US dollars."""
    price_version: str | None = None
    """Price list that ``cost_usd`` was computed with; several, if its parts were."""
    notes: tuple[str, ...] | None = None
    """Discrepancies seen in the provider's own numbers, machine words."""
    trace_id: str | None = None
    """W3C trace id of the call's span."""
    span_id: str | None = None
    """W3C span id of the call's span."""
    project: str | None = None
    """Project of the working directory."""
    labels: dict[str, str] | None = None
    """Labels given by the user."""
    client: str | None = None
    """Client's name and version."""
    usage: list[dict[str, Any]] | None = None
    """The provider's usage objects, verbatim."""

    @property
    def spent_usd(self) -> float | None:
        """What the call adds to a sum of money: the provider's own figure where it states one.

        The same rule in SQL is ``SPENT`` of :mod:`tokenproxy.insight.query`.
        """
        return self.cost_usd if self.provider_cost_usd is None else self.provider_cost_usd


def of_gateway(iteration: int, story_id: str, project: str | None) -> bool:
    """Whether a row with these was written by ``serve``, which has no iterations.

    A ``run`` numbers them from 1, or as it is told, and names its project. The same rule in SQL is
    the dimension ``iteration`` of :mod:`tokenproxy.insight.question`.
    """
    return not iteration and not story_id and not project


UNENCODABLE = (ValueError, TypeError, OverflowError, RecursionError, msgspec.MsgspecError)
"""What the encoder raises for a value that is not to be had as JSON."""

_encoder = msgspec.json.Encoder()


def encode(row: Row) -> bytes:
    """The row as one line of strict JSON, its newline included. Any text is made to fit UTF-8.

    The provider's own objects are the one thing in it that we have not made. If they are
    what JSON cannot hold, the row goes without them, and says so.
    """
    try:
        return encode_lines(_encoder, [row])
    except UNENCODABLE:
        if row.usage is None:
            raise
        said = (*(row.notes or ()), notes.USAGE_NOT_KEPT)
        bare = msgspec.structs.replace(row, usage=None, notes=tuple(dict.fromkeys(said)))
        return encode_lines(_encoder, [bare])


def encode_lines(encoder: msgspec.json.Encoder, values: Sequence[object]) -> bytes:
    """Each value as one line of JSON.

    Text that is no Unicode (arguments and headers may carry any bytes) would
    make the encoder raise, and a row would be lost for one odd letter.
    """
    try:
        return encoder.encode_lines(values)
    except UnicodeEncodeError:
        return encoder.encode_lines([_unicode(msgspec.to_builtins(value)) for value in values])


def _unicode(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_unicode(key): _unicode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_unicode(item) for item in value]
    return value
