"""Fifty clients that ask one question after the other, and read or leave as it is planned."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from benchmarks.soak.plan import LEAVES_AFTER, Call

SLOW_S = 0.02
BODY = (
    b'{"model":"claude-opus-5-5","max_tokens":100000,"stream":true,'
    b'"messages":[{"role":"user","content":"' + b"Tell me all. " * 100 + b'"}]}'
)


class Client:
    """One stream of calls. A connection is used again as long as it is whole."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def work_off(self, calls: Iterator[Call]) -> None:
        for call in calls:
            await self._ask(call)
        self._leave()

    async def _ask(self, call: Call) -> None:
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writer.write(
            b"POST /anthropic/v1/messages HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Content-Type: application/json\r\nX-Api-Key: sk-ant-soak\r\n"
            b"x-claude-code-session-id: %d\r\nContent-Length: %d\r\n\r\n%s"
            % (call.number, len(BODY), BODY)
        )
        try:
            whole = await self._read(call, self._reader)
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            whole = False
        if not whole:
            self._leave()

    async def _read(self, call: Call, reader: asyncio.StreamReader) -> bool:
        """Read an answer to its end; False if there was none."""
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if b"content-length:" in head:
            length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
            while length:
                piece = await reader.read(min(length, 65536))
                if not piece:
                    return False
                length -= len(piece)
            return True
        got = 0
        while size := int(await reader.readline(), 16):
            piece = await reader.readexactly(size + 2)
            got += size
            if call.fault == "leaves" and got > LEAVES_AFTER:
                return False
            if call.fault == "leaves late" and b"message_stop" in piece:
                return False
            if call.fault == "slow reader":
                await asyncio.sleep(SLOW_S)
        await reader.readline()
        return True

    def _leave(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None
