"""A WebSocket client on a plain socket, so that tests see the frames and not a library's view."""

from __future__ import annotations

import base64
import json
import os
import socket
import struct
import zlib
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

Json = dict[str, Any]

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
ENDS = ("response.completed", "response.incomplete", "error")
"""Types of messages that end a response."""
TAIL = b"\x00\x00\xff\xff"


class HasUrl(Protocol):
    """Whatever listens: the simulator, or a proxy before it."""

    @property
    def url(self) -> str: ...


class Client:
    """One connection; ``deflate`` offers permessage-deflate."""

    def __init__(
        self,
        server: HasUrl | socket.socket,
        path: str = "/v1/responses",
        *,
        deflate: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        if isinstance(server, socket.socket):
            self._socket = server
        else:
            parts = urlsplit(server.url)
            address = parts.hostname or "", parts.port or 0
            self._socket = socket.create_connection(address, timeout=10)
        self._file = self._socket.makefile("rb")
        offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
        key = base64.b64encode(os.urandom(16)).decode()
        more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        self._socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: simulator\r\nConnection: Upgrade\r\n"
            f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            f"{more}{offer if deflate else ''}\r\n".encode()
        )
        status, *lines = iter(self._file.readline, b"\r\n")
        self.status = int(status.split()[1])
        self.headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.decode().partition(":") for line in lines)
        }
        self.deflated = "permessage-deflate" in self.headers.get("sec-websocket-extensions", "")
        self._inflate = zlib.decompressobj(wbits=-15)
        self._compress = zlib.compressobj(wbits=-15)
        self.frames = 0
        self.compressed_frames = 0

    def body(self) -> Json:
        """The body of a refusal."""
        return dict(json.loads(self._file.read(int(self.headers["content-length"]))))

    def send(self, *values: Json) -> None:
        """Send messages, all in one write."""
        self._socket.sendall(b"".join(self._message(json.dumps(v).encode()) for v in values))

    def frame(self, opcode: int, payload: bytes = b"") -> None:
        """Send one control frame."""
        self._socket.sendall(_frame(0x80 | opcode, payload))

    def receive(self) -> tuple[int, bytes] | None:
        """The next message or control frame; None at the end of the connection."""
        parts: list[bytes] = []
        kind, compressed = TEXT, False
        while head := self._file.read(2):
            first, length = head
            if length == 126:
                (length,) = struct.unpack(">H", self._file.read(2))
            elif length == 127:
                (length,) = struct.unpack(">Q", self._file.read(8))
            payload = self._file.read(length)
            opcode, final = first & 0x0F, bool(first & 0x80)
            if opcode >= CLOSE:
                return opcode, payload
            self.frames += 1
            if opcode in (TEXT, BINARY):
                kind = opcode
                compressed = bool(first & 0x40)
                self.compressed_frames += compressed
            parts.append(payload)
            if final:
                data = b"".join(parts)
                return kind, self._inflate.decompress(data + TAIL) if compressed else data
        return None

    def message(self) -> Json:
        """The next message, which must come."""
        received = self.receive()
        assert received is not None
        assert received[0] in (TEXT, BINARY), received
        return dict(json.loads(received[1]))

    def until(self, over: Callable[[Json], object], count: int = 1) -> list[Json]:
        """Messages up to that many which are the last of something."""
        found: list[Json] = []
        while count:
            found.append(self.message())
            count -= bool(over(found[-1]))
        return found

    def events(self, until: int = 1) -> list[Json]:
        """Messages up to that many which end a response."""
        found: list[Json] = []
        while until and (message := self.receive()) is not None:
            found.append(json.loads(message[1]))
            until -= found[-1]["type"] in ENDS
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()
        self._socket.close()

    def _message(self, payload: bytes) -> bytes:
        if not self.deflated:
            return _frame(0x80 | TEXT, payload)
        data = self._compress.compress(payload) + self._compress.flush(zlib.Z_SYNC_FLUSH)
        return _frame(0xC0 | TEXT, data.removesuffix(TAIL))


def _frame(first: int, payload: bytes) -> bytes:
    mask = os.urandom(4)
    size = len(payload)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 1 << 16:
        length = bytes([0x80 | 126]) + struct.pack(">H", size)
    else:
        length = bytes([0x80 | 127]) + struct.pack(">Q", size)
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return bytes([first]) + length + mask + masked
