"""A tunnel that is not opened: bytes both ways, until both ends have had enough."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tokenproxy.proxy.lane.breaking import break_off


class Far(asyncio.Protocol):
    """The far end of a tunnel; what comes from it goes to the client as it is."""

    def __init__(
        self, near: asyncio.Transport, laid: Callable[[Far], None], gone: Callable[[], None]
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
        self._laid(self)

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
