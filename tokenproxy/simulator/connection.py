"""One client connection: HTTP/1.1 by h11, replies with the faults they ask for."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import Callable
from email.utils import formatdate

import h11

from tokenproxy.simulator import delivery
from tokenproxy.simulator.exchange import Exchange
from tokenproxy.simulator.headers import headers_of
from tokenproxy.simulator.reply import Reply, Request, error_reply
from tokenproxy.simulator.websocket import BrokenError, WebSocket

READ_SIZE = 1 << 16
HEAD_LIMIT = 1 << 20
"""Bytes of a request head; the API itself allows less, clients never more."""
RESET_AFTER_S = 0.05
"""A reset may overtake bytes that the peer has not read yet; let them arrive."""

SWITCHING = 101
Answer = Callable[[Request], Exchange]
"""Numbers the request, decides its reply and files both."""


class Connection:
    """Serve one accepted connection until either side ends it."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answer: Answer,
        ended: Callable[[Exchange], None],
        begun: Callable[[Request], None],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._answer = answer
        self._ended = ended
        self._begun = begun
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_LIMIT)
        # What is sent must be what left: no second buffer above the kernel's.
        # (A limit of 0 would stop a TLS transport for good: it pauses at >= high.)
        writer.transport.set_write_buffer_limits(high=1, low=0)

    async def serve(self) -> None:
        """Answer requests one after another."""
        try:
            while (request := await self._read_request()) is not None:
                exchange = self._answer(request)
                if exchange.reply.status == SWITCHING:
                    await self._upgrade(exchange)
                    return
                if not await self._respond(exchange):
                    return
                if h11.MUST_CLOSE in (self._http.our_state, self._http.their_state):
                    return
                self._http.start_next_cycle()
        except OSError:  # the peer is gone, TLS or not
            return
        except h11.RemoteProtocolError as error:
            await self._refuse(error)
        finally:
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()

    async def _read_request(self) -> Request | None:
        head: h11.Request | None = None
        arrived_ns = 0
        body = bytearray()
        while True:
            if self._http.they_are_waiting_for_100_continue:
                await self._send(h11.InformationalResponse(status_code=100, headers=[]))
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(READ_SIZE))
            elif isinstance(event, h11.Request):
                head, arrived_ns = event, time.time_ns()
                self._begun(_request(head, b"", arrived_ns))
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return _request(head, bytes(body), arrived_ns)
            else:
                return None

    async def _respond(self, exchange: Exchange) -> bool:
        """Send the reply; whether the connection can go on."""
        replying = asyncio.ensure_future(self._reply(exchange))
        watching = asyncio.ensure_future(self._watch())
        try:
            await asyncio.wait({replying, watching}, return_when=asyncio.FIRST_COMPLETED)
            if replying.done() and not isinstance(replying.exception(), OSError):
                return replying.result()
            exchange.ended = "client_left"
        except asyncio.CancelledError:
            exchange.ended = "stopped"
            raise
        finally:
            for task in (replying, watching):
                task.cancel()
            await asyncio.gather(replying, watching, return_exceptions=True)
            self._ended(exchange)
        return False

    async def _watch(self) -> None:
        """Return when the client leaves; keep what it sends ahead of its turn."""
        while data := await self._reader.read(READ_SIZE):
            self._http.receive_data(data)

    async def _reply(self, exchange: Exchange) -> bool:
        request, reply = exchange.request, exchange.reply
        if reply.dropped:
            return await self._break(exchange)
        if reply.encoding:
            wanted = request.header("accept-encoding")
            exchange.encoding = delivery.negotiated(reply.encoding, wanted)
        frames = delivery.frames(reply, exchange.encoding)
        size = sum(len(frame.data) for frame in frames)
        exchange.head = _head(request, reply, exchange.encoding, size if reply.sized else None)
        if reply.head_delay_s:
            await asyncio.sleep(reply.head_delay_s)
        await self._send(
            h11.Response(
                status_code=reply.status,
                headers=[(name.encode(), value.encode("latin-1")) for name, value in exchange.head],
                reason=_REASONS.get(reply.status, ""),
            )
        )
        due = time.monotonic()
        for frame in frames if request.method != "HEAD" else ():
            due += frame.delay_s
            if (wait := due - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            exchange.sent += frame.data
            exchange.chunk_sizes.append(len(frame.data))
            exchange.known = frame.known
            exchange.chunk_sent_ns.append(time.monotonic_ns())
            if frame is frames[-1] and reply.ending == "complete":
                exchange.ended = "complete"
            await self._send(h11.Data(data=frame.data))
        if reply.ending == "stall":
            await asyncio.Event().wait()
        if reply.ending != "complete":
            return await self._break(exchange)
        exchange.ended = "complete"
        await self._send(h11.EndOfMessage())
        return True

    async def _upgrade(self, exchange: Exchange) -> None:
        """Go on as a WebSocket."""
        ahead, _ = self._http.trailing_data
        opened = WebSocket(self._reader, self._writer, exchange, self._answer, self._ended)
        try:
            await opened.serve(ahead)
        except BrokenError as error:
            if error.reset:
                await self._reset()

    async def _break(self, exchange: Exchange) -> bool:
        exchange.ended = "cut"
        if exchange.reply.ending == "reset":
            await self._reset()
        return False

    async def _reset(self) -> None:
        await asyncio.sleep(RESET_AFTER_S)
        raw: socket.socket = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def _refuse(self, error: h11.RemoteProtocolError) -> None:
        """Say what the client did wrong, as far as that can still be said."""
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        reply = error_reply(400, "invalid_request_error", str(error))
        head = [*_head(None, reply, "", len(reply.pieces[0].data)), ("Connection", "close")]
        with contextlib.suppress(OSError):
            await self._send(
                h11.Response(status_code=400, headers=[(k.encode(), v.encode()) for k, v in head])
            )
            await self._send(h11.Data(data=reply.pieces[0].data))
            await self._send(h11.EndOfMessage())

    async def _send(self, event: h11.Event) -> None:
        data = self._http.send(event)
        if data:
            self._writer.write(data)
        await self._writer.drain()


def _request(head: h11.Request, body: bytes, arrived_ns: int) -> Request:
    return Request(
        number=0,
        method=head.method.decode(),
        path=head.target.decode("latin-1"),
        headers=tuple(
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in head.headers.raw_items()
        ),
        body=body,
        arrived_ns=arrived_ns,
        http_version=head.http_version.decode(),
    )


def _head(
    request: Request | None, reply: Reply, encoding: str, size: int | None
) -> tuple[tuple[str, str], ...]:
    head = [("Date", formatdate(usegmt=True)), *reply.headers]
    given = {name.lower() for name, _ in head}
    if not reply.edge:
        common = headers_of(request)
        head += [item for item in common if item[0].lower() not in given]
    if encoding:
        head.append(("Content-Encoding", encoding.removesuffix("-raw")))
        head.append(("Vary", "Accept-Encoding"))
    if size is not None:
        head.append(("Content-Length", str(size)))
    return tuple(head)


_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    413: "Payload Too Large",
    429: "Too Many Requests",
    500: "Internal Server Error",
}
"""Reason phrases; 529 has none on the real API either."""
