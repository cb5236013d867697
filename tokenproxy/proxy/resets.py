"""A connection or a stream that is broken off, on mitmproxy's way: the other side is told as much.

Left to itself mitmproxy takes a connection that was reset for one that ended, and so half a body
without a length for a whole one; and it replaces the code of HTTP/2's resets, by which a client
knows whether it may ask again (``REFUSED_STREAM``).

* A provider's connection that is reset is remembered. What it breaks off is an error then, never
  an end, and an HTTP/1 client's connection is reset in turn, as the lane does it.
* The code of an HTTP/2 stream's reset goes along with the event that tells of it, either way.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Generator, Iterator
from typing import Any

import h2.events
from mitmproxy import connection
from mitmproxy.proxy import commands, context, events, tunnel
from mitmproxy.proxy.layers.http import _events, _http1, _http2
from mitmproxy.proxy.layers.http._base import ReceiveHttp

from tokenproxy.proxy.lane.breaking import break_off

broken: weakref.WeakSet[connection.Connection] = weakref.WeakSet()
"""Connections that a provider has reset, and those to clients that are to be."""

_CODE = "tokenproxy_reset"
_INTERNAL_ERROR = 2
"""RFC 9113, 7: what a stream is reset with whose other end had another reason than HTTP/2's."""

type Commands = Generator[commands.Command, Any, None]


def code_of(event: events.Event) -> int | None:
    """The HTTP/2 code of a reset that this tells; None if it tells none."""
    code = getattr(event, _CODE, None)
    return code if isinstance(code, int) else None


def pass_on(event: _events.HttpEvent, client: connection.Connection) -> None:
    """What a client is told by HTTP/1: its connection is to be reset, if this tells of a reset."""
    if isinstance(event, _events.ResponseProtocolError) and code_of(event) is not None:
        broken.add(client)


def pass_on_reset(ways: context.Context) -> None:
    """The same of a connection that carries something else by now."""
    if _is_broken(ways.server, ways):
        broken.add(ways.client)


def _is_broken(server: connection.Connection, ways: context.Context) -> bool:
    """Whether a provider's connection was reset, or the one that it is inside of."""
    tunnels = (each for each in ways.layers if isinstance(each, tunnel.TunnelLayer))
    return server in broken or any(each.tunnel_connection in broken for each in tunnels)


class Client(_http1.Http1Client):
    """The provider's side by HTTP/1."""

    def _handle_event(self, event: events.Event) -> Commands:
        waits = self.state in (self.read_headers, self.read_body) and not self.response_done
        closed = isinstance(event, events.ConnectionClosed)
        if self.stream_id is None or not (closed and waits and _is_broken(self.conn, self.context)):
            yield from super()._handle_event(event)
            return
        self.state = self.done
        yield commands.CloseConnection(self.conn)
        code = _events.ErrorCode.GENERIC_SERVER_ERROR
        told = _events.ResponseProtocolError(self.stream_id, "connection reset", code)
        setattr(told, _CODE, _INTERNAL_ERROR)
        yield ReceiveHttp(told)


class Client2(_http2.Http2Client):
    """The provider's side by HTTP/2."""

    def handle_h2_event(self, event: h2.events.Event) -> Generator[commands.Command, Any, bool]:
        """As mitmproxy's; a reset's code is kept."""
        return (yield from _with_code(event, super().handle_h2_event(event)))

    def _handle_event2(self, event: events.Event) -> Commands:
        if (reset := _reset(self, event)) is not None:
            yield from reset
        else:
            yield from super()._handle_event2(event)


class Server2(_http2.Http2Server):
    """The client's side by HTTP/2."""

    def handle_h2_event(self, event: h2.events.Event) -> Generator[commands.Command, Any, bool]:
        """As mitmproxy's; a reset's code is kept."""
        return (yield from _with_code(event, super().handle_h2_event(event)))

    def _handle_event(self, event: events.Event) -> Commands:
        if (reset := _reset(self, event)) is not None:
            yield from reset
        else:
            yield from super()._handle_event(event)


def _with_code(
    event: h2.events.Event, handled: Generator[commands.Command, Any, bool]
) -> Generator[commands.Command, Any, bool]:
    """What becomes of an event of HTTP/2's, its code noted if it is a reset."""
    if not isinstance(event, h2.events.StreamReset):
        return (yield from handled)
    for command in handled:
        if isinstance(command, ReceiveHttp) and event.error_code is not None:
            setattr(command.event, _CODE, int(event.error_code))
        yield command
    return False


def _reset(side: _http2.Http2Connection, event: events.Event) -> Iterator[commands.Command] | None:
    """How a side is told of a reset; None if that is none, or comes too late for one."""
    code = code_of(event)
    if code is None or not isinstance(event, _events.HttpEvent) or side.is_closed(event.stream_id):
        return None
    side.h2_conn.reset_stream(event.stream_id, code)
    return iter([commands.SendData(side.conn, side.h2_conn.data_to_send())])


class Resetting:
    """A client's connection that is to be closed by a reset; nothing more is written to it."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._transport = writer.transport

    def is_closing(self) -> bool:
        """Yes."""
        return True

    async def drain(self) -> None:
        """Who breaks off does not wait for a reader."""

    def close(self) -> None:
        """Reset it, once what was written before has arrived."""
        break_off(self._transport)  # type: ignore[arg-type] # it reads, too
