"""One call: a request-response attempt at a model API, from opening to end."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from tokenproxy.wire.usage import Attribution, Reading, RequestFacts, ResponseFacts

Outcome = Literal["complete", "error", "aborted", "truncated", "lost", "blocked"]
Kind = Literal["inference", "count", "batch_results", "replay"]
"""As of a route (:mod:`tokenproxy.wire.endpoints`)."""


RESULTS: Final = ("batch_results", "replay")
"""Kinds that fetch earlier answers: each of those is a row of its own."""


class CallStart(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known when the request's headers arrive. Journaled before they go upstream."""

    call_id: str
    trace_id: str
    span_id: str
    started_ns: int
    """Unix time, nanoseconds."""
    provider: str
    """The ledger's name: anthropic, openai, google, ..."""
    dialect: str
    """Name of the dialect that reads this call (``anthropic.messages``)."""
    operation: str
    """``chat``, ``count_tokens``: OpenTelemetry's ``gen_ai.operation.name`` where it has one."""
    kind: Kind = "inference"
    family: str | None = None
    """The provider whose API is spoken, where a gateway's rows bear its host's name; else None."""
    path_model: str | None = None
    """The model that the path names, for APIs whose bodies do not."""
    path_stream: bool | None = None
    """Likewise, whether a stream is asked for."""
    replayable: bool = False
    """The answer can be fetched again under its id."""
    server_address: str
    """The real provider's host, never our own listener; "" where nobody knows it any more."""
    server_port: int
    """0 where nobody knows it any more."""
    attribution: Attribution = msgspec.field(default_factory=Attribution)


def identified(start: CallStart, request: RequestFacts) -> CallStart:
    """The call with the session and turn that its body names, where no header did.

    What kind of request it is, the body knows better.
    """
    who = start.attribution
    if request.session_id is request.turn_id is request.request_class is None:
        return start
    named = msgspec.structs.replace(
        who,
        session_id=who.session_id or request.session_id,
        turn_id=who.turn_id or request.turn_id,
        request_class=request.request_class or who.request_class,
    )
    return start if named == who else msgspec.structs.replace(start, attribution=named)


class CallEnd(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the call ended. Built on the event loop, completed in the recorder's thread."""

    ended_ns: int
    outcome: Outcome
    error: str | None = None
    """Error type, the provider's or ours (``upstream_unreachable``); None on success."""
    status_code: int | None = None
    stream: bool | None = None
    first_content_ns: int | None = None
    request_bytes: int = 0
    response_bytes: int = 0
    reading: Reading = msgspec.field(default_factory=Reading)
    items: list[Reading] = msgspec.field(default_factory=list)
    """Results of a batch download, one row each."""
    response: ResponseFacts = msgspec.field(default_factory=ResponseFacts)


class Call(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A finished call with everything the row and the span are made of."""

    start: CallStart
    end: CallEnd
    request: RequestFacts = msgspec.field(default_factory=RequestFacts)
    attempt: int | None = None
    retry_of: str | None = None
    """call_id of the failed call that this one repeats."""
    fallback_used: bool = False
