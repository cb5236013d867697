"""WebSockets of raw bytes: a provider that agrees to them, and what both sides say."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from tests.listening import listening
from tests.proxy.harness import Proxy
from tests.simulator.test_websocket import create
from tests.wire.framing.test_websocket import CLOSE, FINAL, PING, TEXT, frame

HOST = "api.openai.com"
AGREED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: x\r\n%s\r\n"
)
MASK = b"\x01\x02\x03\x04"
ASKS = frame(FINAL | TEXT, json.dumps(create()).encode(), MASK)
BEGUN = {"type": "response.created", "response": {"id": "resp_1", "model": "gpt-6-sol"}}
DONE = {
    "type": "response.completed",
    "response": {
        "id": "resp_1", "status": "completed", "model": "gpt-6-sol",
        "usage": {"input_tokens": 12, "output_tokens": 42, "total_tokens": 54},
    },
}  # fmt: skip
ANSWER = b"".join(frame(FINAL | TEXT, json.dumps(event).encode()) for event in (BEGUN, DONE))


def asking(path: bytes = b"/v1/responses") -> bytes:
    return (
        b"GET %s HTTP/1.1\r\nHost: api.openai.com\r\nConnection: keep-alive, Upgrade\r\n"
        b"Upgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n\r\n" % path
    )


@contextmanager
def agreeing(
    serve: Callable[[socket.socket, bytes], object], agreed: bytes = AGREED % b""
) -> Iterator[str]:
    """A provider that agrees to one upgrade; ``serve`` gets what has come behind it. Its URL."""

    def accept(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        connection.settimeout(10)
        with connection:
            got = b""
            while b"\r\n\r\n" not in got:
                got += connection.recv(65536)
            connection.sendall(agreed)
            serve(connection, got.partition(b"\r\n\r\n")[2])

    with ThreadPoolExecutor() as pool, listening() as listener:
        served = pool.submit(accept, listener)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        served.result(10)


def upgraded(proxy: Proxy, behind: bytes = b"") -> socket.socket:
    """A connection that the provider has agreed to."""
    client = socket.create_connection(("127.0.0.1", proxy.port), timeout=10)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.sendall(asking() + behind)
    got = b""
    while not got.endswith(b"\r\n\r\n"):
        got += client.recv(1)
    assert got.startswith(b"HTTP/1.1 101 ")
    return client


def read_exactly(connection: socket.socket, size: int) -> bytes:
    got = bytearray()
    while len(got) < size and (piece := connection.recv(size - len(got))):
        got += piece
    return bytes(got)


SAID = ASKS + frame(TEXT, b"a", MASK) + frame(FINAL | PING, b"p", MASK) + frame(FINAL, b"b", MASK)
TOLD = frame(FINAL | PING, b"q") + ANSWER[:50], ANSWER[50:] + frame(FINAL | CLOSE, b"\x03\xe8by")
