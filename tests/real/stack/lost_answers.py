"""Stands before a server and loses answers: the server did it, and who asked cannot know."""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from typing import Self

from tests.listening import let_go
from tests.real.stack.service import HOST


class LostAnswers:
    """Passes TCP on to a port of loopback, but for the answers to what it is told to lose.

    Such an answer is waited for, thrown away, and the connection closed.
    """

    def __init__(self, port: int, marked: bytes, count: int) -> None:
        """Prepare.

        Args:
            port: Of the server.
            marked: What stands in the requests whose answers are lost.
            count: How many answers.
        """
        self._upstream = port
        self._marked = marked
        self._left = count
        self.lost = 0
        self._server = socket.create_server((HOST, 0))

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._server.getsockname()[1]
        return port

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        let_go(self._server)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:  # closed
                return
            try:
                server = socket.create_connection((HOST, self._upstream))
            except OSError:
                client.close()
                continue
            _Connection(self, client, server).start()

    def loses(self, request: bytes) -> bool:
        """Whether the answer to this is lost; counts it if so."""
        if self._marked not in request or not self._left:
            return False
        self._left -= 1
        return True


class _Connection:
    def __init__(self, owner: LostAnswers, client: socket.socket, server: socket.socket) -> None:
        self._owner = owner
        self._client = client
        self._server = server
        self._loses = False

    def start(self) -> None:
        for pump in (self._requests, self._answers):
            threading.Thread(target=pump, daemon=True).start()

    def _requests(self) -> None:
        try:
            while request := self._client.recv(1 << 16):
                self._loses = self._loses or self._owner.loses(request)
                self._server.sendall(request)
        except OSError:
            pass
        self._close()

    def _answers(self) -> None:
        try:
            while answer := self._server.recv(1 << 16):
                if self._loses:
                    self._owner.lost += 1
                    break
                self._client.sendall(answer)
        except OSError:
            pass
        self._close()

    def _close(self) -> None:
        for end in (self._client, self._server):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
            end.close()
