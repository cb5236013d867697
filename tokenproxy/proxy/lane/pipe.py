"""A tunnel that is not opened: bytes both ways, until both ends have had enough."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from tokenproxy.proxy.lane.breaking import break_off
from tokenproxy.proxy.lane.upstream import CONNECT_TIMEOUT_S

logger = logging.getLogger(__name__)

CONNECTED = b"HTTP/1.1 200 Connection established\r\n\r\n"
NO_WAY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Tunnel(asyncio.Protocol):
    """The client's end: it has the connection from then on."""

    def __init__(
        self,
        transport: asyncio.Transport,
        place: tuple[str, int],
        received: bytes,
        *,
        full: bool,
        gone: Callable[[Tunnel], None],
    ) -> None:
        """Take the client's connection over, and lay the tunnel.

        Args:
            transport: The client's.
            place: Host and port of the far end.
            received: What has come behind the CONNECT.
            full: The client takes no more for now.
            gone: Called when either end is.
        """
        self._transport = transport
        self._received = received
        self._full = full
        self._told_gone = gone
        self._gone = False
        self._laid = False
        self._far = Far(transport, self._is_laid, self._leave)
        transport.pause_reading()
        transport.set_protocol(self)
        self._laying = asyncio.get_running_loop().create_task(self._lay(*place))
        """Kept, because the event loop itself holds tasks weakly."""

    async def _lay(self, host: str, port: int) -> None:
        """Connect, then answer, then carry whatever comes."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await loop.create_connection(lambda: self._far, host, port)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client must not wait for ever
            if not self._gone and not self._laid:
                logger.debug("no tunnel to %s:%d: %s", host, port, error)
                self._transport.write(NO_WAY)
                self._leave()
                self._transport.close()

    def _is_laid(self) -> None:
        if self._gone:
            self._far.close()
            return
        self._laid = True
        received, self._received = self._received, b""
        self._transport.write(CONNECTED)
        if received:
            self._far.write(received)
        if self._full:
            self._far.pause_reading()
        self._transport.resume_reading()

    # -- asyncio --------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        self._far.write(data)

    def eof_received(self) -> bool:
        """The client sends no more; it may still listen."""
        self._far.client_sends_no_more()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        del exc
        self._leave()

    def pause_writing(self) -> None:
        """The client takes no more for now."""
        self._full = True
        self._far.pause_reading()

    def resume_writing(self) -> None:
        """It does again."""
        self._full = False
        self._far.resume_reading()

    # -- what the lane asks for -----------------------------------------------

    def close_if_idle(self) -> None:
        """Never: what is said in it, and whether that is all, is known to its ends alone."""

    def close_if_overdue(self, now: float) -> None:
        """Never, as little."""

    def _leave(self) -> None:
        if not self._gone:
            self._gone = True
            self._told_gone(self)
            self._far.close()


class Far(asyncio.Protocol):
    """The far end of a tunnel; what comes from it goes to the client as it is."""

    def __init__(
        self, near: asyncio.Transport, laid: Callable[[], None], gone: Callable[[], None]
    ) -> None:
        """Prepare.

        Args:
            near: The client's connection.
            laid: Called when the far end is there, before anything comes from it.
            gone: Called when the far end is.
        """
        self._near = near
        self._laid = laid
        self._gone = gone
        self._ended: set[str] = set()
        """Which ends have closed their half."""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The tunnel is laid."""
        self._transport = transport  # type: ignore[assignment] # uvloop's has the same methods
        # Not by who waits for the connection: on uvloop a server's greeting may be read first.
        self._laid()

    def data_received(self, data: bytes) -> None:
        """Bytes for the client."""
        self._near.write(data)

    def eof_received(self) -> bool:
        """The far end sends no more; it may still listen."""
        if self._near.can_write_eof() and not self._near.is_closing():
            self._near.write_eof()
        self._half("far")
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The far end is gone."""
        self._gone()
        if exc is None:
            self._near.close()
        else:
            break_off(self._near)

    def pause_writing(self) -> None:
        """The far end takes no more for now."""
        if not self._near.is_closing():
            self._near.pause_reading()

    def resume_writing(self) -> None:
        """It does again."""
        if not self._near.is_closing():
            self._near.resume_reading()

    # -- what the client's side asks for --------------------------------------

    def write(self, data: bytes) -> None:
        """Bytes from the client."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def client_sends_no_more(self) -> None:
        """The client has closed its half."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write_eof()
        self._half("near")

    def pause_reading(self) -> None:
        """The client takes no more for now."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """It does again."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self) -> None:
        """The client is gone."""
        if self._transport is not None:
            self._transport.close()

    def _half(self, end: str) -> None:
        """One end sends no more; when neither does, nobody would ever close."""
        self._ended.add(end)
        if self._ended == {"near", "far"}:
            self._near.close()
            self.close()
