"""A WebSocket server whose frames are the test's own."""

from __future__ import annotations

import base64
import hashlib
import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import BinaryIO, Self

from tests.listening import let_go

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Peer:
    """The client that has connected, as the server sees it."""

    def __init__(self, connection: socket.socket, file: BinaryIO) -> None:
        self.socket = connection
        self._file = file

    def frame(self, first: int, payload: bytes = b"") -> None:
        """Send a frame: its first byte, its payload."""
        size = len(payload)
        if size < 126:
            length = bytes([size])
        elif size < 1 << 16:
            length = b"\x7e" + struct.pack(">H", size)
        else:
            length = b"\x7f" + struct.pack(">Q", size)
        self.socket.sendall(bytes([first]) + length + payload)

    def read(self) -> tuple[int, bytes] | None:
        """The next frame's first byte and payload; None where the connection ends."""
        head = self._file.read(2)
        if len(head) < 2:
            return None
        size = head[1] & 0x7F
        if size >= 126:
            size = int.from_bytes(self._file.read(2 if size == 126 else 8))
        mask = self._file.read(4)
        masked = self._file.read(size)
        key = int.from_bytes((mask * (size // 4 + 1))[:size])
        return head[0], (int.from_bytes(masked) ^ key).to_bytes(size)


class RawServer:
    """Accepts one connection at a time, agrees to the upgrade, and leaves the rest to ``serve``.

    Args:
        serve: what the server does on the connection; whatever it returns is kept.
    """

    def __init__(self, serve: Callable[[Peer], object]) -> None:
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.results: list[object] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(10)
            with connection, connection.makefile("rb") as file:
                lines = list(iter(file.readline, b"\r\n"))
                key = next(line for line in lines if line.lower().startswith(b"sec-websocket-key"))
                accept = hashlib.sha1(key.split(b":")[1].strip() + GUID)  # noqa: S324 - RFC 6455
                connection.sendall(
                    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                    b"Connection: Upgrade\r\nSec-WebSocket-Accept: "
                    + base64.b64encode(accept.digest())
                    + b"\r\n\r\n"
                )
                self.results.append(self._serve(Peer(connection, file)))

    def finish(self) -> list[object]:
        """What ``serve`` returned, once for each connection."""
        let_go(self._listener)
        self._thread.join(10)
        return self.results

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        let_go(self._listener)
