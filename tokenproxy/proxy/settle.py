"""What became of a call: its outcome and error, by how its exchange ended and what was read."""

from __future__ import annotations

import msgspec

from tokenproxy.record.call import Outcome
from tokenproxy.wire.usage import Reading

CLIENT_LEFT = "client_disconnected"
UPSTREAM_LEFT = "upstream_disconnected"
UNREACHABLE = "upstream_unreachable"
STOPPED = "proxy_stopped"
MALFORMED = "malformed_response"
TRUNCATED = "stream_truncated"


_ORDERLY = frozenset({1000, 1001, 1005, 1006})
"""RFC 6455: all went well, going away, no code given, no close frame at all."""


def refusal(close_code: int | None) -> str | None:
    """The error type that a provider's closing of a WebSocket tells; None if it tells none."""
    if close_code is None or close_code in _ORDERLY:
        return None
    return f"websocket_{close_code}"


def settle(
    *,
    status: int | None,
    broken: str | None,
    reading: Reading,
    readable: bool,
    stream: bool,
    undecodable: bool = False,
) -> tuple[Outcome, str | None]:
    """What became of a call, and its error type.

    Args:
        status: HTTP status, None if no response began.
        broken: Which side broke the exchange off, None if HTTP ended as it should.
        reading: What the response said.
        readable: The body should have been a model's answer (not a count, not a batch file).
        stream: The response was an event stream.
        undecodable: Its encoding kept us from reading it, so that only HTTP tells its end.
    """
    # A client may hang up as soon as it has the protocol's end; that call is whole.
    if broken is not None and not reading.ended:
        return _broken_off(status, broken, reading)
    if status is None:
        return "error", UNREACHABLE
    if status >= 400:  # noqa: PLR2004 - HTTP: client and server errors begin at 400
        return "error", reading.error or f"http_{status}"
    if reading.error is not None:
        return "error", reading.error
    if readable and not (reading.ended or reading.answered) and not undecodable:
        return ("truncated", TRUNCATED) if stream else ("error", MALFORMED)
    return "complete", None


def _broken_off(status: int | None, broken: str, reading: Reading) -> tuple[Outcome, str]:
    if broken == CLIENT_LEFT:
        return "aborted", broken
    if broken == STOPPED:
        return "lost", broken
    if status is None:
        return "error", broken
    return "truncated", reading.error or broken


def copy_of(reading: Reading) -> Reading:
    """A snapshot for another thread: the parser goes on writing to its own."""
    return msgspec.structs.replace(reading, usage=list(reading.usage))
