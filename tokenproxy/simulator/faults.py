"""Scenarios of calls that go wrong, each in one way."""

from __future__ import annotations

import msgspec

from tokenproxy.simulator import calls
from tokenproxy.simulator.eventstream import broken
from tokenproxy.simulator.reply import Ending, Headers, Piece, Reply, Request, cut
from tokenproxy.simulator.scenarios import Scenario, answers, calls_only, in_order, scenario
from tokenproxy.simulator.wires import (
    RATE_LIMITED,
    SERVER_ERROR,
    UNAUTHORIZED,
    UNAVAILABLE,
    UPGRADE_REQUIRED,
    Failure,
    wire_of,
)

EVENTS_BEFORE_FAULT = 5
"""Whole events of a stream that arrive before its fault: message_start and some content."""


OVERLOADED = Failure(status=529, kind="overloaded_error", text="Overloaded")


def fail(request: Request, failure: Failure) -> Reply:
    """``failure`` in the words of the wire of ``request``."""
    return wire_of(request).failure(request, failure)


def overloaded_reply(request: Request, headers: Headers | None = None) -> Reply:
    """529, or what the wire has in its place."""
    return fail(request, msgspec.structs.replace(OVERLOADED, headers=tuple(headers or ())))


def _agent(request: Request) -> Reply:
    return calls.agent(request)


@scenario("overloaded")
def overloaded() -> Scenario:
    """529 once, then the scripted model."""
    return in_order(calls_only(overloaded_reply), calls_only(_agent))


@scenario("overloaded-retry-after")
def overloaded_retry_after() -> Scenario:
    """529 once with ``retry-after: 1``, then the scripted model."""
    headers = [("retry-after", "1"), ("x-should-retry", "true")]
    return in_order(
        calls_only(lambda request: overloaded_reply(request, headers)), calls_only(_agent)
    )


@scenario("overloaded-model")
def overloaded_model() -> Scenario:
    """529 for the first model asked for, always; any other is served."""
    first: list[str] = []

    def reply(request: Request) -> Reply:
        first.append(request.model)
        return overloaded_reply(request) if request.model == first[0] else _agent(request)

    return calls_only(reply)


@answers("rate-limited")
def rate_limited(request: Request) -> Reply:
    """429, always."""
    at_home = request.target.flavour == "anthropic"
    headers = (("retry-after", "30"), ("anthropic-ratelimit-requests-remaining", "0"))
    return fail(
        request,
        Failure(
            status=429,
            kind="rate_limit_error",
            text="This request would exceed your organization's rate limit.",
            headers=headers if at_home else headers[:1],
            code="ramp_limit_exceeded" if at_home else None,
        ),
    )


@answers("server-error")
def server_error(request: Request) -> Reply:
    """500, always."""
    return fail(request, SERVER_ERROR)


@answers("unavailable")
def unavailable(request: Request) -> Reply:
    """503 (Anthropic: 529), always."""
    return fail(request, UNAVAILABLE)


@scenario("rate-limited-once")
def rate_limited_once() -> Scenario:
    """429 once with ``retry-after: 1``, then the scripted model."""
    return in_order(calls_only(lambda request: fail(request, RATE_LIMITED)), calls_only(_agent))


@scenario("websocket-refused")
def websocket_refused() -> Scenario:
    """No WebSocket here (426); what is posted gets the scripted model."""
    return _upgrades(UPGRADE_REQUIRED)


@scenario("unauthorized")
def unauthorized() -> Scenario:
    """401, always, to a WebSocket too."""

    def reply(request: Request) -> Reply | None:
        asked = request.is_call or request.target.socket
        return fail(request, UNAUTHORIZED) if asked else None

    return reply


@answers("error-mid-stream")
def error_mid_stream(request: Request) -> Reply:
    """HTTP 200, some content, then an error event and an orderly end of the body.

    A request for no stream succeeds: it is how Claude Code repeats a failed one.
    """
    whole = calls.stream(request)
    if len(whole.pieces) == 1:
        return calls.plain(request)
    kept = whole.pieces[: min(EVENTS_BEFORE_FAULT, len(whole.pieces) - 1)]
    known = next((piece.known for piece in reversed(kept) if piece.known), None)
    return msgspec.structs.replace(
        whole,
        pieces=(*kept, *wire_of(request).breakdown(request, OVERLOADED)),
        billed=known.parts if known else (),
        stored=None,
    )


@answers("response-failed")
def response_failed(request: Request) -> Reply:
    """A Responses stream that ends as failed, without usage; elsewhere an error in mid-stream."""
    as_events = request.streamed or request.method == "WS"
    if request.target.wire != "openai.responses" or not as_events:
        return error_mid_stream(request)
    message = msgspec.structs.replace(calls.plain_message(request), stop_reason="failed")
    return msgspec.structs.replace(calls.answer(request, message), billed=())


@answers("bad-checksum")
def bad_checksum(request: Request) -> Reply:
    """An event stream with one broken checksum in the midst; elsewhere a sound stream."""
    whole = calls.stream(request)
    if not request.target.wire.startswith("bedrock.") or len(whole.pieces) <= EVENTS_BEFORE_FAULT:
        return whole
    pieces = list(whole.pieces)
    sound = pieces[EVENTS_BEFORE_FAULT]
    pieces[EVENTS_BEFORE_FAULT] = msgspec.structs.replace(sound, data=broken(sound.data))
    return msgspec.structs.replace(whole, pieces=tuple(pieces))


@answers("cut-fin")
def cut_fin(request: Request) -> Reply:
    """The connection is closed in the middle of an event."""
    return _cut(request, "fin")


@answers("cut-reset")
def cut_reset(request: Request) -> Reply:
    """The connection is reset in the middle of an event."""
    return _cut(request, "reset")


@answers("cut-after-delta")
def cut_after_delta(request: Request) -> Reply:
    """The connection is closed in the middle of message_stop: usage is known, the end is not."""
    whole = calls.stream(request)
    return cut(whole, keep=len(whole.pieces) - 1, ending="fin")


@answers("stall")
def stall(request: Request) -> Reply:
    """Some events, then silence until the client leaves."""
    whole = calls.stream(request)
    kept = whole.pieces[:EVENTS_BEFORE_FAULT]
    return msgspec.structs.replace(whole, pieces=kept, ending="stall", sized=False)


@answers("dropped")
def dropped(_request: Request) -> Reply:
    """The connection is reset before any byte of an answer."""
    return Reply(dropped=True, ending="reset")


@answers("malformed-json")
def malformed_json(_request: Request) -> Reply:
    """200 and a JSON body that breaks off."""
    return _body(b'{"id":"msg_01","type":"message","usage":{"input_tokens":12,', "application/json")


@answers("not-utf8")
def not_utf8(_request: Request) -> Reply:
    """200 and a JSON body in Latin-1."""
    body = '{"type":"message","content":[{"type":"text","text":"caf\xe9"}]}'.encode("latin-1")
    return _body(body, "application/json")


@answers("malformed-stream")
def malformed_stream(request: Request) -> Reply:
    """A stream in which one event's data is no JSON and one event has no name known to anyone."""
    whole = calls.plain(request)
    if len(whole.pieces) == 1:
        return whole
    pieces = (*whole.pieces[:2], *wire_of(request).garbage(), *whole.pieces[2:])
    return msgspec.structs.replace(whole, pieces=pieces)


@answers("wrong-content-type")
def wrong_content_type(request: Request) -> Reply:
    """A right answer announced as plain text."""
    right = calls.plain(request)
    return msgspec.structs.replace(right, headers=(("Content-Type", "text/plain"),))


@answers("html-413")
def html_413(_request: Request) -> Reply:
    """The edge's own page for a request that is too large."""
    page = b"<html>\r\n<head><title>413 Request Entity Too Large</title></head>\r\n</html>\r\n"
    return msgspec.structs.replace(_body(page, "text/html"), status=413, edge=True)


def _body(body: bytes, content_type: str) -> Reply:
    return Reply(headers=(("Content-Type", content_type),), pieces=(Piece(body),), sized=True)


def _upgrades(refusal: Failure) -> Scenario:
    def reply(request: Request) -> Reply | None:
        if request.target.socket:
            return fail(request, refusal)
        return _agent(request) if request.is_call else None

    return reply


def _cut(request: Request, ending: Ending) -> Reply:
    whole = calls.stream(request)
    return cut(whole, keep=min(EVENTS_BEFORE_FAULT, len(whole.pieces) - 1), ending=ending)
