"""The door from the lane to mitmproxy, which is imported when somebody first goes through it.

Most runs never do: importing mitmproxy costs more than all else at the start.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenproxy.proxy.engine import Engine


logger = logging.getLogger(__name__)


class Handover:
    """Takes connections over for mitmproxy (:class:`tokenproxy.proxy.lane.lane.Handler`)."""

    def __init__(self, load: Callable[[], Callable[[], Engine]]) -> None:
        """Prepare.

        Args:
            load: Imports what is needed, in a thread; what it returns makes the engine, in
                the event loop.
        """
        self._load = load
        self._engine: asyncio.Task[Engine] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def adopt(self, transport: asyncio.Transport, received: bytes, *, answered: bool) -> None:
        """Take over a connection as it stands."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        transport.resume_reading()  # first: the reader pauses again if this is too much for it
        reader.feed_data(received)
        kind = _Answered if answered else asyncio.StreamWriter
        self._handle(reader, kind(transport, protocol, reader, loop), None)

    def adopt_opened(
        self, transport: asyncio.Transport, host: str, port: int
    ) -> asyncio.StreamReaderProtocol:
        """Take over the inside of a tunnel."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        protocol.connection_made(transport)
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        self._handle(reader, writer, (host, port))
        return protocol

    @property
    def count(self) -> int:
        """How many connections it has."""
        return len(self._tasks)

    async def stop(self) -> None:
        """Mitmproxy's own end, if it ever began."""
        if self._engine is not None:
            with contextlib.suppress(Exception):  # said when it failed
                await (await self._engine).done()

    def _handle(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        inside: tuple[str, int] | None,
    ) -> None:
        task = asyncio.get_running_loop().create_task(self._handled(reader, writer, inside))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handled(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        inside: tuple[str, int] | None,
    ) -> None:
        if self._engine is None:
            self._engine = asyncio.get_running_loop().create_task(self._begin())
        # Shielded: a client that leaves meanwhile takes only its own connection with it.
        try:
            engine = await asyncio.shield(self._engine)
        except Exception:
            logger.exception("mitmproxy cannot be used")
            self._engine = None  # the next one tries again
            writer.transport.abort()
            return
        await engine.handle(reader, writer, inside)

    async def _begin(self) -> Engine:
        make = await asyncio.to_thread(self._load)
        engine = make()
        await engine.start()
        return engine


class _Answered(asyncio.StreamWriter):
    """To a client whose CONNECT we have answered already: mitmproxy's own answer is left out."""

    _left_out = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """All but the first answer."""
        if self._left_out:
            super().write(data)
            return
        self._left_out = True
        _, _, rest = bytes(data).partition(b"\r\n\r\n")
        if rest:
            super().write(rest)
