"""A client's connection: plain, or inside a tunnel that is opened."""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import TYPE_CHECKING

from tokenproxy.proxy.director import Target
from tokenproxy.proxy.lane.breaking import break_off
from tokenproxy.proxy.lane.exchange import Exchange
from tokenproxy.proxy.lane.farewell import (
    TOO_LONG,
    TOO_LONG_A_HEAD,
    TOO_MANY,
    TOO_SLOW,
    Farewell,
    healthy,
    is_health,
    unshown,
)
from tokenproxy.proxy.lane.head import (
    HEAD_END,
    LONGEST,
    ProtocolError,
    RequestHead,
    read_connect,
)
from tokenproxy.proxy.lane.hello import NoHelloError, read_hello
from tokenproxy.proxy.lane.pipe import CONNECTED
from tokenproxy.proxy.lane.relay import Relay
from tokenproxy.proxy.lane.tls import Inside, Tls
from tokenproxy.proxy.lane.upgrade import Upgrade
from tokenproxy.proxy.lane.upstream import Place, Upstream
from tokenproxy.proxy.lane.way import head_sent, target_of

if TYPE_CHECKING:
    from tokenproxy.proxy.lane.lane import Lane

logger = logging.getLogger(__name__)

PIPELINED = 64 * 1024
"""Bytes of requests to come that are taken from a client that does not wait for its answer."""


class Client(asyncio.Protocol):
    """Reads requests and gives each to an exchange; what is not for the lane to mitmproxy."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._transport: asyncio.Transport = None  # type: ignore[assignment] # set at once
        self._tls: Tls | None = None
        self._tunnel: tuple[str, int] | None = None
        self._relayed = False
        """The tunnel is of a run that records what is in it."""
        self._alpn = False
        self._connect = b""
        """A CONNECT that was answered, while it is not known what the tunnel carries."""
        self._buffer = b""
        self._exchange: Exchange | Relay | None = None
        self._upstream: Upstream | None = None
        self._paused: set[str] = set()
        self._inside: asyncio.StreamReaderProtocol | None = None
        """mitmproxy's end, where it has taken over the inside of a tunnel."""
        self.full = False
        """Whether it takes no more for now."""
        self._gone = False
        self._loop = asyncio.get_running_loop()
        self._heard = self._loop.time()
        """When it was last heard of, as far as it is waited for."""
        self._new = True
        """It has not asked for anything yet."""
        self._body_bytes = 0
        """Of the request that is coming."""

    # -- asyncio --------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        self._transport = transport  # type: ignore[assignment] # uvloop's has the same methods
        if not self._lane.door.knows(transport):
            self._turn_away(None)
        elif self._lane.is_full():
            self._turn_away(TOO_MANY)
        else:
            self._lane.clients.add(self)

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        if self._connect:
            self._look_into_tunnel(data)
            return
        if self._tls is not None:
            data = self._opened(data)
        if data and self._inside is not None:
            self._inside.data_received(data)
        elif data:
            self._read(data)

    def eof_received(self) -> bool:
        """The client sends no more: HTTP clients do that when they leave."""
        if isinstance(self._exchange, Relay) and self._tls is None:
            return self._exchange.client_sends_no_more()
        if self._inside is not None:
            self._inside.eof_received()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        if self._inside is not None:
            self._inside.connection_lost(exc)
        self._leave()

    def pause_writing(self) -> None:
        """Much is waiting to be sent."""
        self.full = True
        if self._inside is not None:
            self._inside.pause_writing()
        elif self._exchange is not None:
            self._exchange.pause_upstream()

    def resume_writing(self) -> None:
        """Little is."""
        self.full = False
        if self._inside is not None:
            self._inside.resume_writing()
        elif self._exchange is not None:
            self._exchange.resume_upstream()

    # -- requests -------------------------------------------------------------

    def _read(self, data: bytes) -> None:
        if self._gone:
            return
        if isinstance(self._exchange, Relay):
            self._exchange.feed(data)  # no request, so no bound of one holds
            return
        if self._exchange is not None or not self._buffer:
            self._heard = self._loop.time()
        if self._exchange is not None and not self._exchange.request_over:
            try:
                used = self._exchange.feed(data)
            except ProtocolError as error:
                logger.warning("a request's body: %s", error)
                self._close()
                return
            data = data[used:]
            self._body_bytes += used
            if self._lane.is_too_long(self._body_bytes):
                self._close()  # it came in chunks, and is on its way
                return
            if not data or self._gone:
                return
        self._buffer = self._buffer + data if self._buffer else data
        if self._exchange is not None:
            if len(self._buffer) > PIPELINED:
                self._pause("pipelined")
            return
        self._read_head()

    def _read_head(self) -> None:
        if not self._lane.used:
            self._hand_over()
            return
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > LONGEST or not _may_become_head(self._buffer):
                self._read_no_head()
            return
        raw, rest = self._buffer[: end + 4], self._buffer[end + 4 :]
        if self._lane.reception.closed:
            self._close()
            return
        shown = self._let_in(raw)
        if shown is None:
            return
        if self._tunnel is None and raw.startswith(b"CONNECT "):
            self._read_connect(raw, rest)
            return
        head = RequestHead.read(shown)
        target = self._target(head)
        if head is None or target is None:
            self._hand_over()
        elif self._lane.is_too_long(head.body):
            self._turn_away(TOO_LONG)
        else:
            self._buffer = b""
            self._begin(head, target)
            if rest:
                self._read(rest)

    def _target(self, head: RequestHead | None) -> Target | None:
        if head is None:
            return None
        return target_of(head, self._tunnel, self._lane.reception, relayed=self._relayed)

    def _read_no_head(self) -> None:
        """What comes is none of the lane's heads: mitmproxy may know it."""
        if self._tunnel is None and self._lane.limits.head_s and len(self._buffer) > LONGEST:
            self._turn_away(TOO_LONG_A_HEAD)
        elif self._tunnel is None and self._lane.door.asks:
            self._turn_away(unshown(self._buffer))
        else:
            self._hand_over()

    def _let_in(self, raw: bytes) -> bytes | None:
        """The head without what it shows us; None if it was answered here."""
        if self._tunnel is not None:
            return self._lane.door.inside_tunnel(raw)
        if self._lane.limits.head_s and len(raw) > LONGEST:
            self._turn_away(TOO_LONG_A_HEAD)
            return None
        shown = self._lane.door.let_in(raw)
        if is_health(raw):
            self._turn_away(healthy(raw))
            return None
        if shown is None:
            self._turn_away(unshown(raw))
        return shown

    def _begin(self, head: RequestHead, target: Target) -> None:
        reception = self._lane.reception
        self._new, self._body_bytes = False, 0
        # A WebSocket's route is no call, but what is asked for on it. On any other route an
        # upgrade is an offer, which a server may leave: then its answer is the call's.
        is_call = target.route is not None and not target.route.socket
        tap = reception.tap(target, head.fields) if is_call else None
        if head.upgrade:
            exchange: Exchange = Upgrade(self, reception, head, target, tap)
        else:
            exchange = Exchange(self, reception, head, target, tap)
        self._exchange = exchange
        sent = head_sent(head, self._tunnel, target)
        if tap is None:
            if target.route is None or not head.upgrade:
                reception.passed(target)
            exchange.start(sent)
        else:
            self._lane.journal(tap, lambda: exchange.start(sent))

    # -- tunnels --------------------------------------------------------------

    def _read_connect(self, raw: bytes, rest: bytes) -> None:
        asked = read_connect(raw)
        if asked is not None and self._lane.passes(*asked):
            self._leave()
            self._lane.lay_tunnel(self._transport, asked, rest, full=self.full)
            return
        if asked is None or rest or not self._lane.opens(*asked):
            self._hand_over()
            return
        self._tunnel, self._connect, self._buffer = asked, raw, b""
        self._relayed = self._lane.door.is_of_run(raw)
        self._new = False
        self._transport.write(CONNECTED)

    def _look_into_tunnel(self, data: bytes) -> None:
        """The first bytes in a tunnel tell whether it is ours."""
        self._buffer += data
        try:
            hello = read_hello(self._buffer)
        except NoHelloError:
            self._hand_over()
            return
        if hello is None and len(self._buffer) < LONGEST:
            return  # more of it is to come
        host = self._tunnel[0] if self._tunnel else ""
        if hello is None or hello.server_name != host or b"h2" in hello.alpn:
            self._hand_over()
            return
        self._alpn = bool(hello.alpn)
        self._tls = Tls(self._lane.contexts.of(host), server_side=True)
        received, self._buffer, self._connect = self._buffer, b"", b""
        if data := self._opened(received):
            self._read(data)

    def _opened(self, data: bytes) -> bytes:
        assert self._tls is not None  # noqa: S101 - for the type checker
        try:
            plain = self._tls.open(data)
        except ssl.SSLError:
            if not self._tls.established and self._tunnel is not None:
                self._lane.reception.untrusted(self._tunnel[0])
            if outgoing := self._tls.outgoing():
                self._transport.write(outgoing)  # the alert
            self._close()
            return b""
        if outgoing := self._tls.outgoing():
            self._transport.write(outgoing)
        if self._tls.ended:
            if plain and isinstance(self._exchange, Relay):
                self._exchange.feed(plain)  # its last words, a close frame for one
            self._close()
        return plain

    # -- what an exchange asks for --------------------------------------------

    def write(self, data: bytes) -> None:
        """Send to the client."""
        self._transport.write(self._tls.seal(data) if self._tls is not None else data)

    def pause_reading(self) -> None:
        """Take no more from it for now."""
        self._pause("upstream")

    def resume_reading(self) -> None:
        """Take more."""
        self._resume("upstream")

    def say_no_more(self) -> None:
        """Tell it that nothing more is coming, and go on listening."""
        if not self.write_eof() and self._tls is not None and not self._gone:
            self._transport.write(self._tls.farewell())

    def exchange_over(self, *, whole: bool, keep_alive: bool, reset: bool = False) -> None:
        """The next request, if there is one; or the end."""
        self._exchange = None
        if self._gone:
            return
        self._heard = self._loop.time()
        if not keep_alive or (self._lane.retiring and not self._buffer):
            self.close(whole=whole, reset=reset)
            return
        self._resume("upstream")
        self._resume("pipelined")
        if self._buffer:
            # Not from within: a client could make us nest as deep as it pipelines.
            asyncio.get_running_loop().call_soon(self._read_buffered)

    def _read_buffered(self) -> None:
        if not self._gone and self._exchange is None and self._buffer:
            self._read_head()

    def kept(self, place: Place) -> Upstream | None:
        """The last exchange's connection, if it leads there and lives."""
        kept, self._upstream = self._upstream, None
        if kept is None or (kept.alive and kept.place == place):
            return kept
        kept.close()
        return None

    async def connect(self, place: Place) -> Upstream:
        """A new connection to a provider."""
        return await self._lane.connect(place, alpn=self._alpn)

    def release(self, upstream: Upstream, *, keep: bool) -> None:
        """Give a connection back."""
        self._lane.remember(upstream)
        upstream.resume_reading()  # its reader may have been too slow for the last of it
        if keep and upstream.alive and not self._gone:
            self._upstream = upstream
        else:
            upstream.close()

    # -- what a relay asks for ------------------------------------------------

    def switched(self, relay: Relay) -> None:
        """The exchange goes on as ``relay``."""
        self._exchange = relay
        received, self._buffer = self._buffer, b""
        self._resume("pipelined")
        if received:
            relay.feed(received)

    def write_eof(self) -> bool:
        """Send no more, but listen; False if that cannot be."""
        if self._tls is not None or self._gone:
            return False
        self._transport.write_eof()
        return True

    def close(self, *, whole: bool, reset: bool = False) -> None:
        """Close, when what was written has gone; ``whole``: that was all there is."""
        if self._gone:
            return
        if reset:
            self._leave()
            break_off(self._transport)
        else:
            if whole and self._tls is not None:
                self._transport.write(self._tls.farewell())
            self._close()

    # -- the end --------------------------------------------------------------

    def close_if_idle(self) -> None:
        """Close, unless something is under way, or its first request is."""
        busy = self._new or self._is_begun() or self._exchange is not None
        if not busy:
            self.close(whole=True)

    def close_if_overdue(self, now: float) -> None:
        """Close, if it owes us something for longer than it may."""
        limits = self._lane.limits
        if self._exchange is None:
            limit = limits.head_s if self._new or self._is_begun() else limits.idle_s
        else:
            # The two ends of a WebSocket know themselves how long they may say nothing.
            is_relay = isinstance(self._exchange, Relay)
            waits_for_us = is_relay or self._exchange.request_over or self._paused
            limit = 0.0 if waits_for_us else limits.idle_s
        if not limit or now - self._heard < limit:
            return
        if self._exchange is None and self._tunnel is None:
            self._turn_away(TOO_SLOW)
        else:
            self.close(whole=False)

    def _is_begun(self) -> bool:
        """Whether a request has begun to come, or what leads to one."""
        shaking_hands = self._tls is not None and not self._tls.established
        return bool(self._buffer or self._connect or shaking_hands)

    def _hand_over(self) -> None:
        """Give the connection to mitmproxy, with all that has come of this request."""
        self._leave()
        received, self._buffer = self._buffer, b""
        if self._tls is None or self._tunnel is None:
            answered = bool(self._connect)
            self._lane.handler.adopt(self._transport, self._connect + received, answered=answered)
            if self.full:
                self._transport.get_protocol().pause_writing()
            return
        # TLS stays with us; mitmproxy gets what is inside.
        inside = Inside(self._transport, self._tls)
        if self._relayed:
            self._lane.door.relayed.add(inside)
        self._inside = self._lane.handler.adopt_opened(inside, *self._tunnel)
        if self.full:
            self._inside.pause_writing()
        self._inside.data_received(received)

    def _turn_away(self, said: bytes | None) -> None:
        if self._tls is not None and said is not None:
            self.write(said)
            self.close(whole=True)
            return
        self._leave()
        Farewell(self._transport, said, self._lane.leaving)

    def _close(self) -> None:
        self._leave()
        self._transport.close()

    def _leave(self) -> None:
        if self._gone:
            return
        self._gone = True
        self._lane.clients.discard(self)
        if self._upstream is not None:
            self._upstream.close()
        if self._exchange is not None:
            self._exchange.client_left()

    def _pause(self, why: str) -> None:
        if not self._paused:
            self._transport.pause_reading()
        self._paused.add(why)

    def _resume(self, why: str) -> None:
        if why in self._paused:
            self._paused.remove(why)
            if not self._paused and not self._gone:
                self._transport.resume_reading()


def _may_become_head(data: bytes) -> bool:
    """Whether these bytes may be the beginning of a request that is for the lane."""
    # One whose lines end with LF alone is over, but not as the lane's are.
    return b"A" <= data[:1] <= b"Z" and HEAD_END.search(data) is None
