"""One request and its response on their way through the lane."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from typing import Protocol

from tokenproxy.proxy.director import Target
from tokenproxy.proxy.lane.body import body_of
from tokenproxy.proxy.lane.head import HEAD_END, LONGEST, ProtocolError, RequestHead, ResponseHead
from tokenproxy.proxy.lane.upstream import Place, Upstream
from tokenproxy.proxy.reception import Reception
from tokenproxy.proxy.settle import CLIENT_LEFT, STOPPED, UNREACHABLE, UPSTREAM_LEFT
from tokenproxy.proxy.sockets import SWITCHED
from tokenproxy.proxy.tap import Tap

logger = logging.getLogger(__name__)

HELD = 256 * 1024
"""Bytes of a request that wait for the connection; then the client has to."""


class Asker(Protocol):
    """The client's connection, as its exchange sees it."""

    full: bool
    """Whether it takes no more for now."""

    def write(self, data: bytes) -> None:
        """Send to the client."""
        ...

    def pause_reading(self) -> None:
        """Take no more from it for now."""
        ...

    def resume_reading(self) -> None:
        """Take more."""
        ...

    def say_no_more(self) -> None:
        """The response is complete, and by this alone its end is known. The request goes on."""
        ...

    def exchange_over(self, *, whole: bool, keep_alive: bool, reset: bool = False) -> None:
        """The response is complete (``whole``), or never will be; ``reset``: by a reset."""
        ...

    def kept(self, place: Place) -> Upstream | None:
        """The last exchange's connection, if it leads to ``place`` and lives."""
        ...

    async def connect(self, place: Place) -> Upstream:
        """A new connection to ``place``. OSError if there is none to be had."""
        ...

    def release(self, upstream: Upstream, *, keep: bool) -> None:
        """Give a connection back."""
        ...


class Exchange:
    """Carries bytes both ways as they come, and shows the tap a copy."""

    def __init__(
        self,
        client: Asker,
        reception: Reception,
        head: RequestHead,
        target: Target,
        tap: Tap | None,
    ) -> None:
        self._client = client
        self._reception = reception
        self._head = head
        self._target = target
        self._tap = tap
        self._request = body_of(head.body, strict=True)
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._upstream: Upstream | None = None
        self._connecting: asyncio.Task[None] | None = None
        """Kept, because the event loop itself holds tasks weakly."""
        self._arrived_ns: int | None = None
        """When the bytes came that are being passed on; None: none are."""
        self._buffer = b""
        self._response: ResponseHead | None = None
        self._body = body_of("none")
        self._answered = False
        """The response is complete, the request is not."""
        self._over = False

    # -- the request ----------------------------------------------------------

    @property
    def request_over(self) -> bool:
        """Whether the request is complete."""
        return self._request.over

    def start(self, sent: bytes) -> None:
        """Connect, and send the request's head and what has come of its body.

        Args:
            sent: The head as the provider gets it.
        """
        self._held.insert(0, sent)
        if self._tap is not None and self._request.over:
            self._tap.request_over()
        if self._over:
            return
        if self._reception.closed:
            # It is accounted for as it stands, so it must not go on.
            self._end(STOPPED, keep_alive=False)
            return
        target = self._target
        place = Place(target.host, target.port, secure=target.scheme == "https")
        kept = self._client.kept(place)
        if kept is not None:
            self._connected(kept)
        else:
            self._connecting = asyncio.get_running_loop().create_task(self._connect(place))

    def feed(self, data: bytes) -> int:
        """Bytes from the client; how many of them belong to this request.

        Raises:
            ProtocolError: They are no body of the kind that was announced.
        """
        payload, used = self._request.feed(data)
        piece = data if used == len(data) else data[:used]
        if self._upstream is not None:
            self._upstream.write(piece)
        elif not self._answered:
            self._held.append(piece)
            self._held_bytes += used
            if self._held_bytes > HELD:
                self._client.pause_reading()
        if self._tap is not None:
            if payload:
                self._tap.request_chunk(payload)
            if self._request.over:
                self._tap.request_over()
        if self._answered and self._request.over:
            self._end(None, keep_alive=False)
        return used

    async def _connect(self, place: Place) -> None:
        try:
            upstream = await self._client.connect(place)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client must not wait for ever
            self._unreachable(error)
            return
        if self._over:
            upstream.abort()
            return
        self._connected(upstream)

    def _connected(self, upstream: Upstream) -> None:
        self._upstream = upstream
        upstream.receiver = self
        held, self._held = b"".join(self._held), []
        if self._held_bytes > HELD:
            self._client.resume_reading()
        if self._client.full:
            upstream.pause_reading()
        upstream.write(held)  # last: it may ask the client to wait

    def _unreachable(self, error: Exception) -> None:
        if self._over:
            return
        target = self._target
        host = target.server_address
        way = f" at {target.host}:{target.port}" if target.host != host else ""
        words = str(error) or type(error).__name__
        if isinstance(error, ssl.SSLCertVerificationError):
            words = f"Certificate verify failed: {error.verify_message}"
        words = " ".join(words.split())
        self._reception.warn(f"{host}{way} could not be reached: {words[:200]}")
        self._end(UNREACHABLE, keep_alive=False)

    # -- the response ---------------------------------------------------------

    def received(self, data: bytes) -> None:
        """Bytes from the provider."""
        # Before they are sent on: a busy machine lets the client go on at once, and us later.
        self._arrived_ns = time.time_ns()
        try:
            if self._response is None:
                self._read_head(data)
            else:
                self._pass_on(data)
        except ProtocolError as error:
            logger.warning("%s: %s", self._target.server_address, error)
            if self._response is None:
                self._client.write(self._buffer)  # what to make of it is the client's business
            self._end(UPSTREAM_LEFT, keep_alive=False)
        self._arrived_ns = None

    def _pass_on(self, data: bytes, raw: bytes = b"") -> None:
        """Take a piece of the body; ``raw`` is the head before it, if that has just come."""
        body = self._body
        try:
            payload, used = body.feed(data)
        except ProtocolError:
            self._give(raw, data)  # what to make of it is the client's business
            raise
        if used or raw:
            self._give(raw, data if used == len(data) else data[:used])
        if payload and self._tap is not None:
            self._tap.response_chunk(payload, self._arrived_ns)
        if body.over:
            # More than the response: its end is not where the provider takes it to be.
            self._complete(clean=used == len(data))

    def _give(self, raw: bytes, data: bytes) -> None:
        """Send to the client, and show the tap the head; ``raw`` as above."""
        self._client.write(raw + data)  # in one record, where there is TLS
        if raw and self._response is not None:
            self._tell(self._response)

    def _read_head(self, data: bytes) -> None:
        self._buffer += data
        while (end := HEAD_END.search(self._buffer)) is not None:
            raw, rest = self._buffer[: end.end()], self._buffer[end.end() :]
            head = ResponseHead.read(raw, self._head.method)
            if head.status == SWITCHED:
                self._switch(head, raw, rest)
                return
            if head.status < 200:  # noqa: PLR2004 - an interim response
                self._client.write(raw)
                self._buffer = rest
                continue
            self._response, self._buffer = head, b""
            self._body = body_of(head.body)
            self._pass_on(rest, raw)
            return
        if len(self._buffer) > LONGEST:
            raise ProtocolError("a head without an end")

    def _tell(self, head: ResponseHead) -> None:
        """Show the tap an answer's head."""
        if self._tap is not None:
            self._tap.response_headers(head.status, head.fields)

    def _switch(self, head: ResponseHead, raw: bytes, rest: bytes) -> None:
        """The provider speaks another protocol from here on."""
        del head, raw, rest
        raise ProtocolError("an upgrade that nobody asked for")

    def _complete(self, *, clean: bool) -> None:
        if self._over:
            return
        response = self._response
        if not self._request.over:
            # An answer before the question was put: the client is heard to its end, or it
            # would not read the answer.
            self._settle(None)
            self._answered = True
            if self._upstream is None:
                self._client.resume_reading()
            return
        keep = clean and response is not None and response.keep_alive
        self._end(None, keep_alive=keep and self._head.keep_alive, keep_upstream=keep)

    def upstream_ended(self, *, broken: bool, reset: bool) -> None:
        """The provider closed: the end of some bodies, the breaking off of all others."""
        self._upstream = None
        if self._response is None and self._buffer:
            self._client.write(self._buffer)  # half a head is the client's business too
        if self._answered:
            self._client.resume_reading()  # what it still sends is heard, and left
        elif not broken and self._response is not None and self._response.body == "close":
            if not self._request.over:
                self._client.say_no_more()
            self._complete(clean=False)
        else:
            self._end(UPSTREAM_LEFT, keep_alive=False, reset=reset)

    # -- both -----------------------------------------------------------------

    def client_left(self) -> None:
        """The client closed: what it waits for is not wanted any more."""
        self._end(CLIENT_LEFT, keep_alive=False)

    def pause_client(self) -> None:
        """The provider takes no more for now."""
        self._client.pause_reading()

    def resume_client(self) -> None:
        """It does again."""
        self._client.resume_reading()

    def pause_upstream(self) -> None:
        """The client takes no more for now."""
        if self._upstream is not None:
            self._upstream.pause_reading()

    def resume_upstream(self) -> None:
        """It does again."""
        if self._upstream is not None:
            self._upstream.resume_reading()

    def _end(
        self,
        broken: str | None,
        *,
        keep_alive: bool,
        keep_upstream: bool = False,
        reset: bool = False,
    ) -> None:
        if self._over:
            return
        self._over = True
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.receiver = None
            self._client.release(upstream, keep=keep_upstream)
        self._settle(broken)
        self._client.exchange_over(whole=broken is None, keep_alive=keep_alive, reset=reset)

    def _settle(self, broken: str | None) -> None:
        tap, self._tap = self._tap, None
        if tap is not None:
            self._reception.over(tap, broken, self._arrived_ns)
