"""Reads a WebSocket's bytes as they pass: frames into messages, messages to the tap."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from tokenproxy.proxy.lane.side import Side
from tokenproxy.proxy.settle import CLIENT_LEFT, UPSTREAM_LEFT, refusal
from tokenproxy.proxy.sockets import SocketTap
from tokenproxy.wire.framing.message import Message
from tokenproxy.wire.framing.permessage import UnknownExtensionError, agreed_deflate
from tokenproxy.wire.framing.websocket import FrameReader

logger = logging.getLogger(__name__)


class Listener:
    """Listens to one connection. All methods run on the event loop; none raises.

    A direction whose bytes make no sense is not read any further: they pass all the same,
    and the rows say what the other direction tells.
    """

    def __init__(
        self,
        tap: SocketTap,
        extensions: str,
        server_address: str,
        call_soon: Callable[..., object],
    ) -> None:
        """Prepare.

        Args:
            tap: Gets the messages.
            extensions: What the provider's answer agrees to, ``Sec-WebSocket-Extensions``.
            server_address: For the log.
            call_soon: The event loop's.
        """
        self._tap = tap
        self._server_address = server_address
        self._call_soon = call_soon
        self._over = False
        self._client_leaves = False
        """It says no more. What the provider still says counts, until that has ended, too."""
        try:
            deflate = agreed_deflate(extensions)
        except UnknownExtensionError as unknown:
            logger.warning(_UNREAD, server_address, f"it uses {unknown}")
            self._over = True
            deflate = None
        client_anew = deflate is not None and deflate.client_starts_anew
        server_anew = deflate is not None and deflate.server_starts_anew
        used = deflate is not None
        self._client = self._side(FrameReader(deflate=used, starts_anew=client_anew, outlines=True))
        self._server = self._side(FrameReader(deflate=used, starts_anew=server_anew))
        self._end: tuple[str, str | None, int] | None = None
        """How and when the connection ended, while not all that came of it is read."""

    def _side(self, reader: FrameReader) -> Side:
        return Side(reader, self._read, self._call_soon, self._caught_up, self._give_up)

    def from_client(self, data: bytes, go_on: Callable[[], None]) -> bool:
        """Bytes that are about to be sent to the provider.

        Returns:
            True if they complete what begins a call, or if that cannot be told at once: they
            may be sent when ``go_on`` is called, once that is in the journal. Else it is not
            called.
        """
        if self._over:
            return False
        waits = later = False

        def done(messages: list[Message]) -> None:
            nonlocal waits
            waits = bool(messages) and self._tap.from_client(messages, go_on)
            if self._client.reader.close_code is not None:
                self.client_leaves()
            if later and not waits:
                go_on()

        if self._client.read(data, done):
            return waits
        later = True
        return True

    def client_leaves(self) -> None:
        """The client says no more, and may still listen: an answer's end may be on its way."""
        self._client_leaves = True

    def from_server(self, data: bytes, arrived_ns: int) -> None:
        """Bytes that were just given to the client's socket; they are read after they left."""
        if not self._over:
            self._call_soon(self._from_server, data, arrived_ns)

    def _from_server(self, data: bytes, arrived_ns: int) -> None:
        if self._over:
            return

        def done(messages: list[Message]) -> None:
            if messages:
                self._tap.from_server(messages, arrived_ns)
            if (code := self._server.reader.close_code) is not None:
                error = None if self._client_leaves else refusal(code)
                self._finish(UPSTREAM_LEFT, error, arrived_ns)

        self._server.read(data, done)

    def over(self, broken: str) -> None:
        """The connection is over, by that side, as soon as all that came of it is read."""
        self._call_soon(self._finish, broken, None, time.time_ns())

    def _finish(self, broken: str, error: str | None, ended_ns: int) -> None:
        if self._over:
            return
        if self._client.behind or self._server.behind:
            self._end = self._end or (broken, error, ended_ns)
            return
        self._over = True
        self._tap.over(CLIENT_LEFT if self._client_leaves else broken, error, ended_ns)

    def _caught_up(self) -> None:
        """All that came of one side is read."""
        if self._end is not None:
            self._finish(*self._end)

    def _give_up(self, reader: FrameReader) -> None:
        logger.warning(_UNREAD, self._server_address, "it says more than can be read")
        reader.fail()

    def _read(self, reader: FrameReader, data: bytes) -> list[Message]:
        if reader.failed:
            return []
        try:
            messages = reader.feed_some(data)
        except Exception:
            # Invariant 1: a fault of ours never harms the connection. The rows will say less.
            logger.exception(_UNREAD, self._server_address, "it cannot be")
            reader.fail()
            return []
        self._warn_if_failed(reader)
        return messages

    def _warn_if_failed(self, reader: FrameReader) -> None:
        if reader.failed:
            logger.warning(_UNREAD, self._server_address, "what came is no frame")


_UNREAD = "a WebSocket to %s is not read further: %s"
