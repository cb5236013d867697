"""mitmproxy's HTTP, mended where it would change what passes.

* Interim responses (100, 102, 103) are handed to the client and awaited further;
  mitmproxy takes them for the final answer and drops the real one.
* A chunked body may end in trailers; mitmproxy gives up the connection there. They
  are left out (its HTTP/1 server cannot send any), the body passes whole.
* Where the provider cannot be reached or breaks off before it answers, the connection
  is closed, as it would be without us; mitmproxy makes up a 502 of its own.
* A tunnel to a host that is not opened anyway is laid at once; mitmproxy waits for the
  client's first bytes, and so for ever where the server speaks first.
* A request in absolute form (``POST http://host/path``, to a proxy) is marked:
  mitmproxy makes it look like one that was sent to us as to a server.
* A request that its client gave up is marked too: by the time that mitmproxy tells of it
  the connection to the provider is closed as well.
* What one side breaks off is broken off for the other (:mod:`tokenproxy.proxy.resets`).
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import time
from collections.abc import Generator, Iterable
from typing import Any

import h11
from h11._readers import ChunkedReader
from h11._receivebuffer import ReceiveBuffer
from mitmproxy import ctx, http
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.layers import http as http_layer
from mitmproxy.proxy.layers.http import _events, _http1
from mitmproxy.proxy.layers.http._base import ReceiveHttp

from tokenproxy.proxy import resets
from tokenproxy.proxy.lane.head import LONGEST

_ABSOLUTE = "tokenproxy_absolute_form"
_GIVEN_UP = "tokenproxy.given_up"
_BROKEN_OFF = "tokenproxy.broken_off"
_NO_ANSWER = (
    _events.ErrorCode.CONNECT_FAILED,
    _events.ErrorCode.GENERIC_SERVER_ERROR,
    _events.ErrorCode.RESPONSE_VALIDATION_FAILED,
)
_HEAD_END = re.compile(rb"\r?\n\r?\n")
HTTPS_PORT = 443


def is_absolute_form(request: http.Request) -> bool:
    """Whether the request line named a whole URL: the client takes us for its proxy."""
    return getattr(request, _ABSOLUTE, False)


def is_given_up(flow: http.HTTPFlow) -> bool:
    """Whether the client ended the exchange: it left, or reset the request's stream."""
    return bool(flow.metadata.get(_GIVEN_UP))


def break_off(flow: http.HTTPFlow) -> None:
    """Take no more of a request whose body is coming; both its connections are closed."""
    flow.metadata[_BROKEN_OFF] = True


def install() -> None:
    """Put these in the place of mitmproxy's own, once for the process."""
    vars(http_layer).update(
        Http1Client=Client,
        Http1Server=Server,
        Http2Client=resets.Client2,
        Http2Server=Server2,
        HttpStream=Stream,
    )
    vars(_http1).update(ChunkedReader=WithoutTrailers)


class Server(_http1.Http1Server):
    """The client's side: marks requests in absolute form."""

    _head_began: float | None = None
    """When (monotonic) the first bytes of a head came that is not complete."""

    def read_headers(self, event: events.ConnectionEvent) -> Generator[commands.Command, Any, None]:
        """As mitmproxy's; the request line is not yet forgotten here."""
        if self._is_too_much():
            yield commands.CloseConnection(self.conn)
            return
        for command in super().read_headers(event):
            if isinstance(command, ReceiveHttp) and isinstance(
                command.event, _events.RequestHeaders
            ):
                request = command.event.request
                absolute = bool(request.authority) and request.method != "CONNECT"
                setattr(request, _ABSOLUTE, absolute)
            yield command

    def _is_too_much(self) -> bool:
        """Whether a head that is coming is too long, or comes too slowly."""
        limit_s = ctx.master.limits.head_s  # type: ignore[attr-defined] # the master is our engine
        if not limit_s or _HEAD_END.search(bytes(self.buf)):
            self._head_began = None
            return False
        now = time.monotonic()
        self._head_began = self._head_began or now
        return len(self.buf) > LONGEST or now - self._head_began > limit_s

    def send(self, event: _events.HttpEvent) -> Generator[commands.Command, Any, None]:
        """As mitmproxy's, but for the answer that the provider did not give."""
        resets.pass_on(event, self.conn)
        if isinstance(event, _events.ResponseProtocolError) and event.code in _NO_ANSWER:
            yield commands.CloseConnection(self.conn)
        else:
            yield from super().send(event)


class Server2(resets.Server2):
    """An HTTP/2 client's side: the stream is reset where there is no answer."""

    def _handle_event(self, event: events.Event) -> Generator[commands.Command, Any, None]:
        made_up = isinstance(event, _events.ResponseProtocolError) and event.code in _NO_ANSWER
        if made_up and resets.code_of(event) is None:
            event = dataclasses.replace(event, code=_events.ErrorCode.KILL)  # type: ignore[type-var] # as was asked
        yield from super()._handle_event(event)


class Stream(http_layer.HttpStream):
    """One request."""

    def handle_protocol_error(
        self, event: _events.RequestProtocolError | _events.ResponseProtocolError
    ) -> Generator[commands.Command, Any, None]:
        """As mitmproxy's; which side it was is kept, and what has come of a request is read."""
        if isinstance(event, _events.RequestProtocolError):
            self.flow.metadata[_GIVEN_UP] = True
        elif event.code is _events.ErrorCode.CONNECT_FAILED:
            self._read_what_waits()
        yield from super().handle_protocol_error(event)

    def _read_what_waits(self) -> None:
        """A request's body that was to be sent once there is a connection: it never will be."""
        read = self.flow.request.stream
        for event in self._paused_event_queue:
            if isinstance(event, _events.RequestData) and callable(read):
                read(event.data)

    def state_stream_request_body(
        self, event: events.Event
    ) -> Generator[commands.Command, Any, None]:
        """As mitmproxy's, until it is broken off."""
        yield from super().state_stream_request_body(event)
        if self.flow.metadata.pop(_BROKEN_OFF, False):
            code = _events.ErrorCode.GENERIC_CLIENT_ERROR
            error = _events.RequestProtocolError(self.stream_id, "broken off", code)
            yield from self.handle_protocol_error(error)
            answer = _events.ResponseProtocolError(self.stream_id, "broken off", _NO_ANSWER[0])
            yield http_layer.SendHttp(answer, self.context.client)

    def handle_connect_regular(self) -> Generator[commands.Command, Any, None]:
        """As mitmproxy's for hosts that may be opened; for others the tunnel begins now."""
        address = self.context.server.address
        if address and not may_be_opened(address[0], address[1], ctx.options.allow_hosts):
            # Whoever decides on the next layer is asked at once: there is nothing to wait for.
            self.child_layer = layer.NextLayer(self.context, ask_on_start=True)
            yield from self.handle_connect_finish()  # type: ignore[no-untyped-call] # mitmproxy's
        else:
            yield from super().handle_connect_regular()  # type: ignore[no-untyped-call] # likewise


def may_be_opened(host: str, port: int, patterns: Iterable[str]) -> bool:
    """Whether a tunnel to ``host`` may turn out to lead to an opened host.

    A literal address may, on TLS's own port: only the client's greeting tells the name.
    """
    if any(re.search(pattern, f"{host}:{port}", re.IGNORECASE) for pattern in patterns):
        return True
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return port == HTTPS_PORT


class Client(resets.Client):
    """The provider's side: passes interim responses on."""

    def read_headers(self, event: events.ConnectionEvent) -> Generator[commands.Command, Any, None]:
        """As mitmproxy's, for the final response."""
        if isinstance(event, events.DataReceived) and self.request:
            while interim := self._take_interim():
                if self.context.client.alpn != b"h2":
                    yield commands.SendData(self.context.client, interim)
            if not self.buf:
                return
        yield from super().read_headers(event)

    def _take_interim(self) -> bytes:
        """A whole interim response taken off the head of what has come; b"" if there is none."""
        received = bytes(self.buf)
        end = _HEAD_END.search(received)
        words = received.split(None, 2)
        if end is None or len(words) < 2 or words[1][:1] != b"1" or words[1][:3] == b"101":  # noqa: PLR2004 - version and status
            return b""
        return bytes(self.buf.maybe_extract_at_most(end.end()) or b"")


class WithoutTrailers(ChunkedReader):
    """h11's reader of chunked bodies; trailers are read and left out."""

    def __call__(self, buf: ReceiveBuffer) -> h11.Data | h11.EndOfMessage | None:
        """The next piece of the body, or its end."""
        event = super().__call__(buf)
        return h11.EndOfMessage() if isinstance(event, h11.EndOfMessage) else event
