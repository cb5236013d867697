"""A connection to a provider, kept for the next exchange of the same client."""

from __future__ import annotations

import asyncio
import ssl
from typing import Protocol

import msgspec

from tokenproxy.proxy.lane.tls import Tls

CONNECT_TIMEOUT_S = 120.0


class Place(msgspec.Struct, frozen=True):
    """Where a connection leads."""

    host: str
    port: int
    secure: bool


class Receiver(Protocol):
    """An exchange, as its upstream sees it."""

    def received(self, data: bytes) -> None:
        """Bytes of the response."""
        ...

    def upstream_ended(self, *, broken: bool, reset: bool) -> None:
        """The provider closed, or the connection broke; ``reset``: by TCP's own word."""
        ...

    def pause_client(self) -> None:
        """The provider takes no more for now."""
        ...

    def resume_client(self) -> None:
        """It does again."""
        ...


class HalfCloser(Protocol):
    """Whoever can use a connection whose other end sends no more."""

    def upstream_sends_no_more(self) -> None:
        """The provider has closed its half."""
        ...


class Upstream(asyncio.Protocol):
    """One connection. Between exchanges it has no receiver."""

    def __init__(self, place: Place, tls: Tls | None) -> None:
        self.place = place
        self.receiver: Receiver | None = None
        self.half_closer: HalfCloser | None = None
        """To HTTP, for one, a half is as good as nothing."""
        self.alive = False
        self.alpn = False
        """Whether HTTP/1.1 was asked for by name."""
        self.remembered = False
        """Whether its session was kept: ssl copies it, certificates included, when asked for it."""
        self._tls = tls
        self._transport: asyncio.Transport | None = None
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @classmethod
    async def open(
        cls, place: Place, context: ssl.SSLContext | None, session: ssl.SSLSession | None
    ) -> Upstream:
        """A connection that is ready for a request.

        Raises:
            OSError: It cannot be had; ``ssl.SSLError`` is one.
        """
        tls = None
        if context is not None:
            tls = Tls(context, server_side=False, hostname=place.host, session=session)
        made = cls(place, tls)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await loop.create_connection(lambda: made, place.host, place.port)
                await made._ready
                made.check()
        except BaseException:
            made.abort()
            raise
        return made

    def check(self) -> None:
        """Raise ConnectionResetError if it is gone already."""
        if not self.alive:
            raise ConnectionResetError("closed at once")

    @property
    def session(self) -> ssl.SSLSession | None:
        """TLS's, to be taken up by a later connection."""
        return self._tls.session if self._tls else None

    def write(self, data: bytes) -> None:
        """Send."""
        if self._transport is not None and self.alive:
            self._transport.write(self._tls.seal(data) if self._tls else data)

    def can_write_eof(self) -> bool:
        """Whether it can be closed by half: TLS connections cannot."""
        return self._tls is None

    def write_eof(self) -> None:
        """Send no more, but listen."""
        if self._transport is not None and self.alive:
            self._transport.write_eof()

    def close(self) -> None:
        """Close, when what was written has gone."""
        self.alive, self.receiver, self.half_closer = False, None, None
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self.alive, self.receiver, self.half_closer = False, None, None
        if self._transport is not None:
            self._transport.abort()

    def pause_reading(self) -> None:
        """The client takes no more for now."""
        if self._transport is not None and self.alive:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """It does again."""
        if self._transport is not None and self.alive:
            self._transport.resume_reading()

    # -- asyncio ------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TCP is there."""
        self._transport = transport  # type: ignore[assignment] # uvloop's has the same methods
        if self._tls is None:
            self._is_ready()
        else:
            self._shake_hands(b"")

    def data_received(self, data: bytes) -> None:
        """Bytes from the provider."""
        if self._tls is not None:
            if not self._tls.established:
                data = self._shake_hands(data)
            else:
                try:
                    data = self._tls.open(data)
                except ssl.SSLError:
                    self._ended(broken=True)
                    return
                if outgoing := self._tls.outgoing():
                    self._transport.write(outgoing)  # type: ignore[union-attr] # data came by it
        if data and self.receiver is not None:
            self.receiver.received(data)
        elif data:
            self.abort()  # nobody asked: what it is cannot be told
        if self._tls is not None and self._tls.ended:
            self._ended(broken=False)

    def eof_received(self) -> bool:
        """The provider sends no more. By TLS it says so itself, or the end is not to be trusted."""
        if self.half_closer is not None and self._tls is None:
            self.half_closer.upstream_sends_no_more()
            return True
        self._ended(broken=self._tls is not None and not self._tls.ended)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        if not self._ready.done():
            self._ready.set_exception(exc or ConnectionResetError("connection closed"))
            self._ready.exception()
        self._ended(broken=exc is not None, reset=exc is not None)

    def pause_writing(self) -> None:
        """Much is waiting to be sent."""
        if self.receiver is not None:
            self.receiver.pause_client()

    def resume_writing(self) -> None:
        """Little is."""
        if self.receiver is not None:
            self.receiver.resume_client()

    def _shake_hands(self, data: bytes) -> bytes:
        assert self._tls is not None  # noqa: S101 - for the type checker
        try:
            plain = self._tls.open(data)
        except ssl.SSLError as error:
            if not self._ready.done():
                self._ready.set_exception(error)
            self.abort()
            return b""
        if (outgoing := self._tls.outgoing()) and self._transport is not None:
            self._transport.write(outgoing)
        if self._tls.established:
            self._is_ready()
        return plain

    def _is_ready(self) -> None:
        self.alive = True
        if not self._ready.done():
            self._ready.set_result(None)

    def _ended(self, *, broken: bool, reset: bool = False) -> None:
        receiver, self.receiver = self.receiver, None
        self.close()
        if receiver is not None:
            receiver.upstream_ended(broken=broken, reset=reset)
