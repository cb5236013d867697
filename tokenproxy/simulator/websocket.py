"""The server's side of a WebSocket (RFC 6455) on which answers are asked for.

Theory of operation. The upgrade is an exchange of its own, open as long as the
connection. The wire's session says of each message what follows: pieces that are
sent at once, and requests. Each request (method ``WS``, the upgrade's path and
headers, a body that the session makes) is an exchange, as if it had been posted.
Requests of one lane are answered in turn; lanes are answered at the same time,
their messages interleaved.

``permessage-deflate`` (RFC 7692) is used wherever the client offers it. A
reply's ``chunks`` draw the boundaries of frames: all but ``pieces`` fragment.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator

import msgspec
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    TextMessage,
)
from wsproto.extensions import PerMessageDeflate
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from tokenproxy.simulator.exchange import End, Exchange
from tokenproxy.simulator.headers import headers_of
from tokenproxy.simulator.reply import Piece, Request
from tokenproxy.simulator.session import Asked
from tokenproxy.simulator.wires import wire_of

READ_SIZE = 1 << 16


class BrokenError(Exception):
    """A reply wants the connection broken; ``reset`` says how."""

    def __init__(self, *, reset: bool) -> None:
        super().__init__("reset" if reset else "fin")
        self.reset = reset


class WebSocket:
    """One accepted upgrade, served until either side ends it."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        upgrade: Exchange,
        answer: Callable[[Request], Exchange],
        ended: Callable[[Exchange], None],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._upgrade = upgrade
        self._answer = answer
        self._ended = ended
        self._protocol = WSConnection(ConnectionType.SERVER)
        self._sending = asyncio.Lock()  # frames of one message must not be parted
        self._lanes: dict[str, asyncio.Queue[Exchange]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._open: list[Exchange] = []
        self._received = b""
        wire = wire_of(upgrade.request)
        self._binary = wire.binary
        self._session = wire.session(upgrade.request)

    async def serve(self, ahead: bytes) -> None:
        """Accept, and answer until the end; ``ahead`` came with the upgrade.

        Raises:
            BrokenError: a reply ends with a broken connection.
        """
        end: End = "client_left"
        try:
            await self._accept()
            end = await self._talk(ahead)
        except (OSError, RemoteProtocolError, LocalProtocolError):
            end = "client_left"
        except BrokenError:
            end = "cut"
            raise
        except asyncio.CancelledError:
            end = "stopped"
            raise
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for exchange in (self._upgrade, *self._open):
                if exchange.ended == "open":
                    done = exchange is self._upgrade or end != "complete"
                    exchange.ended = end if done else "client_left"
                self._ended(exchange)

    async def _accept(self) -> None:
        request = self._upgrade.request
        headers = [(k.encode("latin-1"), v.encode("latin-1")) for k, v in request.headers]
        self._protocol.initiate_upgrade_connection(headers, request.path)
        list(self._protocol.events())
        deflate = PerMessageDeflate()
        own = headers_of(request)
        accepted = AcceptConnection(
            extensions=[deflate], extra_headers=[(k.encode(), v.encode()) for k, v in own]
        )
        self._upgrade.head = tuple(own)
        data = self._protocol.send(accepted)
        self._upgrade.encoding = "permessage-deflate" if deflate.enabled() else ""
        self._writer.write(data)
        await self._writer.drain()
        for piece in self._session.opening():
            await self._say(piece)

    async def _talk(self, ahead: bytes) -> End:
        if ahead:
            self._protocol.receive_data(ahead)
        reading = asyncio.ensure_future(self._reader.read(READ_SIZE))
        try:
            while True:
                for event in self._protocol.events():
                    if not await self._handle(event):
                        return "complete"
                await asyncio.wait({reading, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
                for task in [task for task in self._tasks if task.done()]:
                    self._tasks.discard(task)
                    task.result()
                if reading.done():
                    data = reading.result()
                    if not data:
                        return "client_left"
                    self._protocol.receive_data(data)
                    reading = asyncio.ensure_future(self._reader.read(READ_SIZE))
        finally:
            reading.cancel()

    async def _handle(self, event: Event) -> bool:
        """Take one event; whether the connection goes on."""
        match event:
            case Ping():
                await self._write(event.response())
            case CloseConnection():
                if self._protocol.state is ConnectionState.REMOTE_CLOSING:
                    await self._write(event.response())
                return False
            case TextMessage() | BytesMessage():
                data = event.data
                self._received += data.encode() if isinstance(data, str) else bytes(data)
                if event.message_finished:
                    message, self._received = self._received, b""
                    await self._take(message)
        return True

    async def _take(self, message: bytes) -> None:
        for item in self._session.take(message):
            if isinstance(item, Asked):
                self._ask(item)
            else:
                await self._say(item)

    def _ask(self, asked: Asked) -> None:
        request = msgspec.structs.replace(
            self._upgrade.request, method="WS", body=asked.body, arrived_ns=time.time_ns()
        )
        exchange = self._answer(request)
        self._open.append(exchange)
        if asked.lane not in self._lanes:
            self._lanes[asked.lane] = asyncio.Queue()
            self._tasks.add(asyncio.ensure_future(self._serve_lane(self._lanes[asked.lane])))
        self._lanes[asked.lane].put_nowait(exchange)

    async def _say(self, piece: Piece) -> None:
        """Send what belongs to no answer."""
        self._upgrade.sent += piece.data
        async with self._sending:
            await self._send(piece, "pieces")

    async def _serve_lane(self, lane: asyncio.Queue[Exchange]) -> None:
        while True:
            await self._reply(await lane.get())

    async def _reply(self, exchange: Exchange) -> None:
        reply = exchange.reply
        exchange.encoding = self._upgrade.encoding
        if reply.dropped:
            exchange.ended = "cut"
            raise BrokenError(reset=reply.ending == "reset")
        for piece in reply.pieces:
            last = piece is reply.pieces[-1]
            # Even without a delay the other lanes get their turn.
            await asyncio.sleep(piece.delay_s)
            exchange.sent += piece.data
            exchange.chunk_sizes.append(len(piece.data))
            exchange.known = piece.known or exchange.known
            exchange.chunk_sent_ns.append(time.monotonic_ns())
            if last and reply.ending == "complete":
                exchange.ended = "complete"
            async with self._sending:
                broken = last and reply.ending in ("fin", "reset")
                await self._send(piece, reply.chunks, finished=not broken)
        if reply.ending == "stall":
            await asyncio.Event().wait()
        if reply.ending != "complete":
            exchange.ended = "cut"
            raise BrokenError(reset=reply.ending == "reset")

    async def _send(self, piece: Piece, chunks: str, *, finished: bool = True) -> None:
        """Send a message in the frames that ``chunks`` asks for, or end the connection."""
        if piece.close:
            await self._write(CloseConnection(code=piece.close, reason=piece.data.decode()))
            return
        if self._binary:
            for data, last in _parts(piece.data, chunks):
                await self._write(BytesMessage(data=data, message_finished=last and finished))
            return
        for text, last in _parts(piece.data.decode(errors="replace"), chunks):
            await self._write(TextMessage(data=text, message_finished=last and finished))

    async def _write(self, event: Event) -> None:
        self._writer.write(self._protocol.send(event))
        await self._writer.drain()


def _parts[Data: (str, bytes)](data: Data, chunks: str) -> Iterator[tuple[Data, bool]]:
    """``data`` in the frames that ``chunks`` asks for, and of each whether it is the last."""
    kind, _, seed = chunks.partition(":")
    dice = random.Random(seed)  # noqa: S311 - reproducible boundaries, not a secret
    at = 0
    while at < len(data) or at == 0:
        size = {"bytes": 1, "random": dice.choice((1, 7, 64, 300))}.get(kind, len(data))
        end = min(len(data), at + max(1, size))
        yield data[at:end], end == len(data)
        at = max(end, 1)
