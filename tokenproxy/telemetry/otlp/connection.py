"""One connection to a collector, kept open between requests."""

from __future__ import annotations

import contextlib
import io
import ssl
import time
from typing import TYPE_CHECKING, Final

import msgspec

from tokenproxy.telemetry.otlp.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.client import HTTPConnection, HTTPResponse
    from socket import socket

    from _typeshed import WriteableBuffer

LONGEST_ANSWER: Final = 64 * 1024
"""Bytes that are read of an answer: it tells of a request what was not taken of it, no more."""

_PIECE: Final = 64 * 1024
"""Bytes that are sent at once."""


class Answer(msgspec.Struct, frozen=True):
    """What a collector answered."""

    status: int
    reason: str
    retry_after: str | None
    body: bytes
    location: str | None = None
    """Where a redirect leads."""


class Connection:
    """Opens when it is needed, and again when it was closed. Used by one thread at a time.

    Proxies are not looked at: where there is one, :func:`tokenproxy.telemetry.otlp.fit.fits`
    says no.
    """

    def __init__(
        self,
        settings: Settings,
        trust: ssl.SSLContext | None,
        sent: Callable[[], object] = bool,
    ) -> None:
        """Prepare; ``sent`` is called when a request has gone out whole."""
        self._settings = settings
        self._trust = trust
        self._sent = sent
        self._open: HTTPConnection | None = None
        self._sock: _Bounded

    def post(self, body: bytes, timeout_s: float) -> Answer:
        """Send one request and read its answer.

        Raises:
            OSError: There was no connection, or no answer of HTTP in time.
            ValueError: A header of the user's cannot be sent.
        """
        # Not on the way to the command's start.
        from http.client import HTTPException, RemoteDisconnected

        deadline = time.monotonic() + timeout_s
        try:
            return self._post(self._connected(timeout_s), body, deadline)
        except RemoteDisconnected as error:
            self.close()
            raise ConnectionError("it closed the connection") from error
        except HTTPException as error:
            self.close()
            raise ConnectionError("what it said is no HTTP") from error
        except BaseException:
            self.close()  # half a request, or half an answer
            raise

    def _post(self, connection: HTTPConnection, body: bytes, deadline: float) -> Answer:
        headers = self._settings.headers
        self._sock.deadline = deadline
        connection.putrequest(
            "POST", self._settings.path, skip_host="host" in headers, skip_accept_encoding=True
        )
        for name, value in headers.items():
            connection.putheader(name, value.encode())
        connection.putheader("content-length", str(len(body)))
        connection.endheaders(body)
        self._sent()
        response = connection.getresponse()
        told, whole = self._body(response)
        if not whole or response.will_close:
            self.close()
        return Answer(
            status=response.status,
            reason=response.reason,
            retry_after=response.getheader("retry-after"),
            body=told,
            location=response.getheader("location"),
        )

    @staticmethod
    def _body(response: HTTPResponse) -> tuple[bytes, bool]:
        """The answer's body, or what came of it; and whether the connection can be used again.

        Whether the request was taken stands in the status: a body that breaks off is no
        reason to send the same once more.
        """
        from http.client import HTTPException

        told = bytearray()
        with contextlib.suppress(OSError, HTTPException):
            while len(told) < LONGEST_ANSWER:
                piece = response.read1(LONGEST_ANSWER - len(told))
                if not piece:
                    response.close()
                    return bytes(told), not response.length
                told += piece
        return bytes(told), False

    def close(self) -> None:
        """Close, if it is open."""
        if self._open is not None:
            with contextlib.suppress(OSError):
                self._open.close()
            self._open = None

    @property
    def fresh(self) -> bool:
        """Whether the next request opens a connection."""
        return self._open is None

    def _connected(self, timeout_s: float) -> HTTPConnection:
        if self._open is not None and self._open.sock is not None:
            return self._open
        from http import client

        host, port = self._settings.host, self._settings.port
        if self._settings.tls:
            self._trust = self._trust or self._settings.trust()
            opened: HTTPConnection = client.HTTPSConnection(
                host, port, timeout=timeout_s, context=self._trust
            )
        else:
            opened = client.HTTPConnection(host, port, timeout=timeout_s)
        opened.connect()
        self._sock = _Bounded(opened.sock)
        opened.sock = self._sock  # all that http.client does with one is below
        self._open = opened
        return opened


class _Bounded:
    """A socket whose time is up at a deadline, however little comes at once and however often.

    A time-out of the socket's own begins anew with every byte: a collector that trickles its
    headers, or has no end of them, would hold an exporter for ever.
    """

    def __init__(self, sock: socket) -> None:
        self.deadline = 0.0
        """``time.monotonic()``."""
        self._sock = sock

    def sendall(self, data: bytes) -> None:
        left = memoryview(data)
        while left:  # ssl's own sendall gives each record the whole time-out
            self._sock.settimeout(_left(self.deadline))
            left = left[self._sock.send(left[:_PIECE]) :]

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Received(self, self._sock))

    def close(self) -> None:
        self._sock.close()


class _Received(io.RawIOBase):
    """What comes from a socket. It is open until this is closed."""

    def __init__(self, bounds: _Bounded, sock: socket) -> None:
        self._bounds = bounds
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int | None:
        self._sock.settimeout(_left(self._bounds.deadline))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
