"""A collector that answers by a script, on raw sockets: also what no HTTP server would say."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

from tests.listening import let_go

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
DROP = b""
"""Close the connection without a word."""
HANG = b"..."
"""Say nothing, and keep it open."""


def answer(status: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@dataclass
class Taken:
    """A request that came in."""

    connection: int
    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Collector:
    """Answers with one after the other, the last again and again."""

    answers: Sequence[bytes] = (OK,)
    trust: ssl.SSLContext | None = None
    taken: list[Taken] = field(default_factory=list)
    connections: int = 0

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        let_go(self._listener)
        for each in self._open:
            let_go(each)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                arguments = (connection, self.connections)
                threading.Thread(target=self._serve, args=arguments, daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with suppress(OSError):
            if self.trust is not None:
                connection = self.trust.wrap_socket(connection, server_side=True)
            self._open.append(connection)
            stream = connection.makefile("rb")
            while line := stream.readline():
                headers: dict[str, str] = {}
                while (header := stream.readline()) not in (b"\r\n", b""):
                    name, _, value = header.decode().partition(":")
                    headers[name.lower()] = value.strip()
                if not header:
                    break  # it was broken off
                body = stream.read(int(headers["content-length"]))
                said = self.answers[min(len(self.taken), len(self.answers) - 1)]
                self.taken.append(Taken(number, line.decode().strip(), headers, body))
                if said is HANG:
                    continue
                connection.sendall(said)
                if not said or b"connection: close" in said:
                    break
            stream.close()
            connection.close()


@dataclass
class Trickle(Collector):
    """Begins an answer with ``answers[0]`` and adds ``answers[1]`` for ever, every now and then."""

    def _serve(self, connection: socket.socket, number: int) -> None:
        del number
        with suppress(OSError):
            self._open.append(connection)
            connection.recv(65536)
            connection.sendall(self.answers[0])
            while True:
                connection.sendall(self.answers[1])
                time.sleep(0.02)
