"""A collector that is not always there: it takes, refuses, is too busy, says nothing."""

from __future__ import annotations

import asyncio
import re
from itertools import cycle

MOODS = (b"200 OK", b"503 Service Unavailable", b"", b"429 Too Many Requests", b"500 Oops")
MOOD_S = 5.0
LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


class Collector:
    """Listens on loopback; its mood changes."""

    def __init__(self) -> None:
        self.taken = 0
        self._moods = cycle(MOODS)
        self._mood = next(self._moods)

    async def start(self) -> int:
        """Listen; returns the port."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._change()
        return int(server.sockets[0].getsockname()[1])

    def _change(self) -> None:
        self._mood = next(self._moods)
        asyncio.get_running_loop().call_later(MOOD_S, self._change)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = LENGTH.search(head)
                await reader.readexactly(int(length[1]) if length else 0)
                if not self._mood:
                    continue  # a black hole
                self.taken += self._mood.startswith(b"200")
                writer.write(b"HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n" % self._mood)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
