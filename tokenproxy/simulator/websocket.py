"""The server's side of a WebSocket (RFC 6455) on which responses are asked for.

Theory of operation. The upgrade is an exchange of its own, open as long as the
connection. Each ``response.create`` message is a request (method ``WS``, the
upgrade's path and headers, the message as its body) and so an exchange, as if
it had been posted. Messages with the same ``stream_id`` (or none) are one lane
and are answered in turn; lanes are answered at the same time, their messages
interleaved. Other messages are read and left alone.

``permessage-deflate`` (RFC 7692) is used wherever the client offers it. A
reply's ``chunks`` draw the boundaries of frames: all but ``pieces`` fragment.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    Event,
    Message,
    Ping,
    TextMessage,
)
from wsproto.extensions import PerMessageDeflate
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from tokenproxy.simulator.exchange import End, Exchange
from tokenproxy.simulator.headers import headers_of
from tokenproxy.simulator.reply import Request

READ_SIZE = 1 << 16
ASKING = "response.create"
"""Type of the messages that are answered."""


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
        self._text = ""

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
                await self._write(event.response())
                return False
            case TextMessage():
                self._text += event.data
                if event.message_finished:
                    text, self._text = self._text, ""
                    self._take(text.encode())
        return True

    def _take(self, body: bytes) -> None:
        asked = _object(body)
        if asked.get("type") != ASKING:
            return
        request = msgspec.structs.replace(
            self._upgrade.request, method="WS", body=body, arrived_ns=time.time_ns()
        )
        exchange = self._answer(request)
        self._open.append(exchange)
        lane = str(asked.get("stream_id") or "")
        if lane not in self._lanes:
            self._lanes[lane] = asyncio.Queue()
            self._tasks.add(asyncio.ensure_future(self._serve_lane(self._lanes[lane])))
        self._lanes[lane].put_nowait(exchange)

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
                for frame in _frames(piece.data.decode(errors="replace"), reply.chunks):
                    whole = frame.message_finished and not broken
                    await self._write(TextMessage(data=frame.data, message_finished=whole))
        if reply.ending == "stall":
            await asyncio.Event().wait()
        if reply.ending != "complete":
            exchange.ended = "cut"
            raise BrokenError(reset=reply.ending == "reset")

    async def _write(self, event: Event) -> None:
        self._writer.write(self._protocol.send(event))
        await self._writer.drain()


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _frames(text: str, chunks: str) -> Iterator[Message[str]]:
    """``text`` in the frames that ``chunks`` asks for."""
    kind, _, seed = chunks.partition(":")
    dice = random.Random(seed)  # noqa: S311 - reproducible boundaries, not a secret
    at = 0
    while at < len(text) or at == 0:
        size = {"bytes": 1, "random": dice.choice((1, 7, 64, 300))}.get(kind, len(text))
        end = min(len(text), at + max(1, size))
        yield TextMessage(data=text[at:end], message_finished=end == len(text))
        at = max(end, 1)
