"""What a model call used, in one vocabulary for every provider.

Rules that hold everywhere below:

* A count that the provider did not state is ``None``, never 0.
* ``uncached_input_tokens`` excludes cache reads and cache writes; providers
  whose own field includes them are converted by their dialect.
* ``output_tokens`` is all billed output, reasoning included.
* A response is billed in *parts*: most have one, but compaction, advisor and
  fallback attempts are billed to a model of their own
  (Anthropic ``usage.iterations``).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from tokenproxy.wire.settings import NOTHING, Settings

Completeness = Literal["final", "partial", "none"]

WITHOUT_OUTPUT = frozenset({"embeddings", "ocr", "rerank"})
"""Operations whose answers are no model's output: usage that states none has no hole."""

MODALITIES = (
    "input_audio",
    "input_image",
    "input_video",
    "cache_audio_read",
    "cache_image_read",
    "output_audio",
    "output_image",
    "output_video",
    "output_citation",
)
"""Kinds of tokens with prices of their own. ``input_*`` are subsets of the uncached input,
``cache_*_read`` of the cache reads, ``output_*`` of the output."""


class UsagePart(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Tokens billed to one model inside one call. All counts are tokens."""

    role: str = "main"
    """``main``, ``compaction``, ``advisor``, ``fallback_declined``, ``fallback_served``,
    ``tool_image`` (an image made by a tool of the provider's), ``transcription``."""
    model: str | None = None
    """The model this part is billed to; None means the call's own model."""
    uncached_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    """All cache writes, whatever their time to live."""
    cache_creation_5m_input_tokens: int | None = None
    cache_creation_1h_input_tokens: int | None = None
    cache_creation_30m_input_tokens: int | None = None
    cache_creation_12h_input_tokens: int | None = None
    """Times to live that OpenAI sells (``cache_write_tokens_details``)."""
    output_tokens: int | None = None
    reasoning_output_tokens: int | None = None
    """Subset of ``output_tokens``."""
    modality_tokens: dict[str, int] = msgspec.field(default_factory=dict)
    """Subsets that are priced apart, by the names of ``MODALITIES``. What is left over is text."""
    server_tool_use: dict[str, int] = msgspec.field(default_factory=dict)
    """Requests by server-side tool, ``{tool}_requests`` (``web_search_requests``, ...); other
    units by the provider's own keys (``pages_processed``)."""
    service_tier: str | None = None
    speed: str | None = None
    inference_geo: str | None = None
    billable: bool | None = None
    """False where the provider states that it does not charge (declined before any output)."""


class ToolUse(msgspec.Struct, frozen=True):
    """A tool call that the model asked the client to run."""

    id: str
    name: str


class ToolResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """A tool's result that a request carries back to the model."""

    tool_use_id: str
    is_error: bool = False


class RequestFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a request body says that accounting needs. Never any content."""

    model: str | None = None
    stream: bool | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: tuple[str, ...] = ()
    settings: Settings = NOTHING
    """What telemetry alone tells."""
    include_usage: bool | None = None
    """``stream_options.include_usage`` of OpenAI's chat; None: the client left it open."""
    background: bool = False
    """The answer is made in the background and may be looked at, and counted, elsewhere first."""
    session_id: str | None = None
    """From the body, for clients that send no session header."""
    turn_id: str | None = None
    """Likewise (Gemini Code Assist's ``user_prompt_id``)."""
    request_class: str | None = None
    """From the body, which on a WebSocket says it of this call; its headers say it of the first."""
    offers_tools: bool = False
    """The model may call tools: the mark of an agent's own request, unlike a title's."""
    tool_results: tuple[ToolResult, ...] = ()
    """Results behind the model's last answer: those that are new in this request."""
    prompt_digest: str | None = None
    """Hex digest of the conversation's raw bytes: equal for a retry of the same request."""
    malformed: bool = False
    """The body could not be read; the call itself is not our business to refuse."""


class Attribution(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who made the call, from the request's headers."""

    session_id: str | None = None
    turn_id: str | None = None
    agent_id: str | None = None
    parent_agent_id: str | None = None
    agent_type: str | None = None
    request_class: str | None = None
    compaction: str | None = None
    """What set off the compaction that this call does: ``auto``, ``manual``, ``reactive``."""
    context_compacted: str | None = None
    """As sent: the conversation carried here was compacted before."""
    client_request_id: str | None = None
    attempt: int | None = None
    """The client's own retry count, 0 for the first try."""
    tool_durations_ms: tuple[tuple[str, float], ...] = ()
    """(tool name, milliseconds) of the tools whose results this request carries."""
    client: str | None = None
    """Product and version, ``claude-cli/2.1.330``."""
    traceparent: str | None = None
    tracestate: str | None = None


class ResponseFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the response's headers say."""

    request_id: str | None = None
    organization_id: str | None = None
    workspace_id: str | None = None
    rate_limits: dict[str, str] = msgspec.field(default_factory=dict)
    """Rate-limit headers as sent, names lower-cased."""
    retry_after_s: float | None = None


class Reading(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is known of one response so far. A parser owns and updates it."""

    model: str | None = None
    """The model that served; None until the response names one."""
    response_id: str | None = None
    stop_reason: str | None = None
    error: str | None = None
    """The provider's error type, low cardinality (``overloaded_error``)."""
    parts: tuple[UsagePart, ...] = ()
    usage: list[dict[str, Any]] = msgspec.field(default_factory=list)
    """The provider's usage objects, verbatim and in order of arrival: the audit's evidence."""
    provider_cost_usd: float | None = None
    """What the provider itself says that the response costs, US dollars."""
    deferred: bool = False
    """The provider goes on in the background; usage comes with a later look at the response."""
    completeness: Completeness = "none"
    """``final``: the provider's last word. ``partial``: a lower bound. ``none``: no usage seen."""
    ended: bool = False
    """The response ended as its protocol ends (``message_stop``, a whole JSON object)."""
    answered: bool = False
    """The answer is whole, but its protocol's end did not follow (some gateways send none): the
    response ended in order if its body did."""
    content_started: bool = False
    """The first content event was seen: the moment of time to first token."""
    fallback: bool = False
    """Another model than the one asked answered, by the provider's own word."""
    tool_uses: tuple[ToolUse, ...] = ()
    notes: tuple[str, ...] = ()
    """Discrepancies, short machine words (``cache_split_remainder``)."""
