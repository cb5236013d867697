"""Scenarios of calls that go wrong, each in one way."""

from __future__ import annotations

import msgspec

from tokenproxy.simulator import calls, messages
from tokenproxy.simulator.messages import Event
from tokenproxy.simulator.reply import (
    Ending,
    Headers,
    Piece,
    Reply,
    Request,
    cut,
    error_reply,
    message_reply,
    stream_reply,
)
from tokenproxy.simulator.scenarios import Scenario, answers, calls_only, in_order, scenario

EVENTS_BEFORE_FAULT = 5
"""Whole events of a stream that arrive before its fault: message_start and some content."""


def overloaded_reply(headers: Headers | None = None) -> Reply:
    """529."""
    return error_reply(529, "overloaded_error", "Overloaded", headers=headers)


def _agent(request: Request) -> Reply:
    return calls.agent(request)


@scenario("overloaded")
def overloaded() -> Scenario:
    """529 once, then the scripted model."""
    return in_order(calls_only(lambda _: overloaded_reply()), calls_only(_agent))


@scenario("overloaded-retry-after")
def overloaded_retry_after() -> Scenario:
    """529 once with ``retry-after: 1``, then the scripted model."""
    headers = [("retry-after", "1"), ("x-should-retry", "true")]
    return in_order(calls_only(lambda _: overloaded_reply(headers)), calls_only(_agent))


@scenario("overloaded-model")
def overloaded_model() -> Scenario:
    """529 for the first model asked for, always; any other is served."""
    first: list[str] = []

    def reply(request: Request) -> Reply:
        first.append(request.model)
        return overloaded_reply() if request.model == first[0] else _agent(request)

    return calls_only(reply)


@answers("rate-limited")
def rate_limited(_request: Request) -> Reply:
    """429, always."""
    text = "This request would exceed your organization's rate limit."
    return error_reply(
        429,
        "rate_limit_error",
        text,
        headers=[("retry-after", "30"), ("anthropic-ratelimit-requests-remaining", "0")],
        code="ramp_limit_exceeded",
    )


@answers("error-mid-stream")
def error_mid_stream(request: Request) -> Reply:
    """HTTP 200, some content, then an error event and an orderly end of the body.

    A request for no stream succeeds: it is how Claude Code repeats a failed one.
    """
    if request.json.get("stream") is not True:
        return calls.plain(request)
    message = calls.rich_message(request)
    events: list[Event] = list(messages.stream(message))[:EVENTS_BEFORE_FAULT]
    events.append(messages.error_event("overloaded_error", "Overloaded"))
    known = events[EVENTS_BEFORE_FAULT - 1].known
    return stream_reply(events, billed=known.parts if known else ())


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
    whole = message_reply(calls.plain_message(request), streamed=True)
    odd = (
        Piece(b'event: content_block_delta\ndata: {"type": nonsense\xff}\n\n'),
        Piece(b"event: astonishment\ndata: {}\n\n"),
        Piece(b": a comment\n\n"),
    )
    pieces = (*whole.pieces[:2], *odd, *whole.pieces[2:])
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


def _cut(request: Request, ending: Ending) -> Reply:
    whole = calls.stream(request)
    return cut(whole, keep=min(EVENTS_BEFORE_FAULT, len(whole.pieces) - 1), ending=ending)
