"""One sentence to a client that is not served, and the end of its connection."""

from __future__ import annotations

import asyncio
import json

from tokenproxy import __version__

LINGER_S = 5.0
"""How long one that was turned away may take to leave by itself."""
MOST = 64
"""Such connections at once; more are closed at once."""

HEALTHY = json.dumps({"status": "ok", "version": __version__}).encode() + b"\n"
_HEALTH_ASKED = (b"GET /healthz ", b"HEAD /healthz ", b"GET /healthz?")


def answer(status: str, kind: str, sentence: str, *fields: str) -> bytes:
    """A whole response that says why, in the shape that clients of model APIs know.

    Args:
        status: ``403 Forbidden``.
        kind: Anthropic's or OpenAI's word for such an error.
        sentence: For whoever reads it.
        fields: Further header fields.
    """
    error = {"type": kind, "message": f"tokenproxy: {sentence}"}
    return _response(
        status, json.dumps({"type": "error", "error": error}).encode() + b"\n", *fields
    )


def healthy(asked: bytes) -> bytes:
    """The answer to a request that :func:`is_health`."""
    return _response("200 OK", HEALTHY, head_only=asked.startswith(b"HEAD"))


def _response(status: str, body: bytes, *fields: str, head_only: bool = False) -> bytes:
    lines = (
        f"HTTP/1.1 {status}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *fields,
    )
    head = "".join(f"{line}\r\n" for line in lines) + "\r\n"
    return head.encode() + (b"" if head_only else body)


def is_health(head: bytes) -> bool:
    """Whether a request asks for our health; no provider has such a path."""
    return head.startswith(_HEALTH_ASKED)


def unshown(asked: bytes) -> bytes:
    """The answer to a request that does not show the secret that it must."""
    if asked.startswith(b"CONNECT ") or b" http" in asked.partition(b"\r\n")[0]:
        return answer(
            "407 Proxy Authentication Required",
            "authentication_error",
            "put the token into the proxy's URL: http://tokenproxy:TOKEN@HOST:PORT",
            'Proxy-Authenticate: Basic realm="tokenproxy"',
        )
    return answer("401 Unauthorized", "authentication_error", UNSHOWN)


UNSHOWN = "put the token into the base URL: http://HOST:PORT/~TOKEN/anthropic, …/~TOKEN/openai/v1"
TOO_MANY = answer(
    "503 Service Unavailable", "overloaded_error", "too many connections (--max-connections)"
)
TOO_LONG = answer(
    "413 Content Too Large", "request_too_large", "the request's body is too long (--max-body)"
)
TOO_LONG_A_HEAD = answer(
    "431 Request Header Fields Too Large", "request_too_large", "the request's head is too long"
)
TOO_SLOW = answer("408 Request Timeout", "timeout_error", "no request came in time")
NOT_YOURS = answer(
    "403 Forbidden",
    "permission_error",
    "this port serves another user of this machine; a gateway for several is `tokenproxy serve`"
    " with --token-file",
)


class Farewell(asyncio.Protocol):
    """Has the connection from then on: what still comes is left unread."""

    def __init__(
        self, transport: asyncio.Transport, said: bytes | None, leaving: set[Farewell]
    ) -> None:
        """Take it over.

        Args:
            transport: The client's.
            leaving: All that are about to leave; this one is among them until it has.
            said: A whole response; None: as soon as something has come, that the port is not
                for this user, unless it asks for our health.
        """
        self._transport = transport
        self._said = said
        self._leaving = leaving
        transport.set_protocol(self)
        full = len(leaving) >= MOST
        leaving.add(self)
        self._end = asyncio.get_running_loop().call_later(LINGER_S, self.abort)
        if said is not None:
            self._say(said)
        if full:
            transport.close()

    def data_received(self, data: bytes) -> None:
        """What it asked for, or the rest of it."""
        if self._said is None:
            self._say(healthy(data) if is_health(data) else NOT_YOURS)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        del exc
        self._leaving.discard(self)
        self._end.cancel()

    def abort(self) -> None:
        """It has had time enough."""
        self._transport.abort()

    def _say(self, said: bytes) -> None:
        self._said = said
        if not self._transport.is_closing():
            self._transport.write(said)
            # Closed only by the other end or by time: a close with bytes unread is a reset,
            # and a reset takes the sentence away from who has not read it yet.
            self._transport.write_eof()
