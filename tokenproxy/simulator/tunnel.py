"""A blind forward proxy that brings every CONNECT to one address.

It lets a client that insists on ``https://api.anthropic.com`` reach a simulator
with TLS directly: the baseline that a run behind tokenproxy is compared with.

    with Simulator("agent", tls=certificates.context()) as sim, Tunnel(sim.port) as tunnel:
        ...  # HTTPS_PROXY=tunnel.url
"""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

HEAD_LIMIT = 1 << 16
READ_SIZE = 1 << 16


class Tunnel:
    """Listens on 127.0.0.1; each connection is served by threads of its own."""

    def __init__(self, target_port: int) -> None:
        self._target = ("127.0.0.1", target_port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.heads: list[bytes] = []
        """The head of every CONNECT, as it came."""

    @property
    def url(self) -> str:
        """What to put into ``HTTPS_PROXY``."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, name="tunnel", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):  # wakes the accepting thread on Linux
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the listener was closed
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                byte = client.recv(1)
                if not byte or len(head) > HEAD_LIMIT:
                    return
                head += byte
            self.heads.append(head)
            if not head.startswith(b"CONNECT "):
                client.sendall(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
                return
            with socket.create_connection(self._target) as server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=_pump, args=(server, client), daemon=True)
                back.start()
                _pump(client, server)
                back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Copy until ``source`` ends, then say so to ``sink``."""
    with contextlib.suppress(OSError):
        while data := source.recv(READ_SIZE):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
