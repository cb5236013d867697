"""A client and a provider of raw bytes, with the proxy between them."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from tests.listening import let_go
from tests.proxy.harness import Proxy
from tokenproxy.record.call import CallEnd

TIMEOUT_S = 10


class Provider:
    """Reads what is sent to it, and answers each connection with pieces of bytes; then closes."""

    def __init__(self, answer: Sequence[bytes], *, after: bytes, stays: bool = False) -> None:
        """Prepare.

        Args:
            answer: Pieces, each a write of its own.
            after: What must have come before the answer begins.
            stays: Leave the connection open.
        """
        self._answer = answer
        self._after = after
        self._stays = stays
        self.received = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

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
        self._thread.join(TIMEOUT_S)

    def _serve(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        with connection:
            connection.settimeout(TIMEOUT_S)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                while self._after not in self.received:
                    if not (piece := connection.recv(65536)):
                        return
                    self.received += piece
                for piece in self._answer:
                    connection.sendall(piece)
                    time.sleep(0.001)
                if not self._stays:
                    connection.shutdown(socket.SHUT_WR)
                while piece := connection.recv(65536):
                    self.received += piece
            except OSError:
                return


@dataclass
class Seen:
    """What came of an exchange on all three sides."""

    client: bytes
    provider: bytes
    ends: list[CallEnd] = field(default_factory=list)


def pass_through(
    request: Sequence[bytes],
    answer: Sequence[bytes],
    *,
    after: bytes,
    lane: bool,
    calls: int = 1,
    stays: bool = False,
) -> Seen:
    """Send pieces of a request through the proxy and read until it closes, or all has come.

    Args:
        request: Pieces, each a write of its own; the last asks to close.
        answer: The provider's pieces.
        after: What the provider waits for.
        lane: By which way.
        calls: That the recorder is to hear of.
        stays: The provider does not close.
    """
    with (
        Provider(answer, after=after, stays=stays) as provider,
        Proxy(routes={"api.anthropic.com": provider.url}, lane=lane) as proxy,
    ):
        got = b""
        with socket.create_connection(("127.0.0.1", proxy.port), TIMEOUT_S) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for piece in request:
                client.sendall(piece)
                time.sleep(0.001)
            with contextlib.suppress(ConnectionResetError):
                while piece := client.recv(65536):
                    got += piece
        ends = [end for _, end in proxy.recorder.wait(calls)]
        provider.__exit__(None, None, None)
        return Seen(got, provider.received, ends)


HEAD_END = re.compile(rb"\r\n\r\n")


def payload(message: bytes) -> tuple[bytes, bytes]:
    """Head and body of a message, chunks joined; a cut last chunk is given as far as it came."""
    head, _, rest = message.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" not in head.lower():
        return head, rest
    body = b""
    while rest:
        line, _, rest = rest.partition(b"\r\n")
        size = int(line.partition(b";")[0] or b"0", 16)
        if not size:
            break
        body += rest[:size]
        rest = rest[size + 2 :]
    return head, body
