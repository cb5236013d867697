"""A TLS client's greeting, as far as it tells which way its connection goes (RFC 8446, 4.1.2).

mitmproxy has a reader of it, too; importing that is most of what a start would cost.
"""

from __future__ import annotations

import msgspec

RECORD_HEAD, MESSAGE_HEAD = 5, 4
_HANDSHAKE, _CLIENT_HELLO = 22, 1
_SERVER_NAME, _ALPN, _HOST_NAME = 0, 16, 0


class Hello(msgspec.Struct, frozen=True):
    """What a client wants."""

    server_name: str | None
    alpn: tuple[bytes, ...]


class NoHelloError(Exception):
    """It is no TLS greeting, or a broken one."""


def read_hello(data: bytes) -> Hello | None:
    """The greeting at the beginning of a connection; None while it is not complete.

    Raises:
        NoHelloError: It will never be one.
    """
    message = b""
    at = 0
    while len(message) < MESSAGE_HEAD or len(message) < _length(message):
        if data[at : at + 1] and data[at] != _HANDSHAKE:
            raise NoHelloError
        head = data[at : at + RECORD_HEAD]
        if head[1:2] and head[1] != 3:  # noqa: PLR2004 - every TLS there is
            raise NoHelloError
        length = int.from_bytes(head[3:5])
        if len(head) < RECORD_HEAD or len(data) < at + RECORD_HEAD + length:
            return None
        if not length:
            raise NoHelloError
        message += data[at + RECORD_HEAD : at + RECORD_HEAD + length]
        at += RECORD_HEAD + length
        if message[0] != _CLIENT_HELLO:
            raise NoHelloError
    return _read(_Bytes(message[MESSAGE_HEAD : _length(message)]))


def _length(message: bytes) -> int:
    return MESSAGE_HEAD + int.from_bytes(message[1:MESSAGE_HEAD])


class _Bytes:
    """Bytes that are taken from the front; NoHelloError where there are too few."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        if len(taken) != count:
            raise NoHelloError
        self._at += count
        return taken

    def vector(self, length_bytes: int) -> bytes:
        """Bytes with their count before them."""
        return self.take(int.from_bytes(self.take(length_bytes)))

    def __bool__(self) -> bool:
        return self._at < len(self._data)


def _read(hello: _Bytes) -> Hello:
    hello.take(2 + 32)  # version, random
    hello.vector(1)  # session
    hello.vector(2)  # ciphers
    hello.vector(1)  # compression
    name: str | None = None
    alpn: tuple[bytes, ...] = ()
    extensions = _Bytes(hello.vector(2) if hello else b"")
    while extensions:
        kind = int.from_bytes(extensions.take(2))
        body = _Bytes(extensions.vector(2))
        if kind == _SERVER_NAME and body:
            name = _host_name(_Bytes(body.vector(2)))
        elif kind == _ALPN:
            alpn = tuple(_protocols(_Bytes(body.vector(2))))
    return Hello(name, alpn)


def _host_name(names: _Bytes) -> str | None:
    while names:
        kind, name = names.take(1)[0], names.vector(2)
        if kind == _HOST_NAME:
            try:
                return name.decode("ascii")
            except UnicodeDecodeError:
                raise NoHelloError from None
    return None


def _protocols(names: _Bytes) -> list[bytes]:
    found: list[bytes] = []
    while names:
        found.append(names.vector(1))
    return found
