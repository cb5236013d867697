"""A name server that knows one answer: the addresses of the gateways, whatever name is asked for.

gRPC asks it by an address like ``dns://127.0.0.1:5353/gateways.test:4317``.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Sequence

from tests.real.stack.service import HOST

_A, _IN = 1, 1
_HEADER = struct.Struct(">6H")
_ANSWERED = 0x8180  # a response, recursion asked for and available, no error


class Names:
    """Answers for A records over UDP, on a port of its own."""

    def __init__(self, addresses: Sequence[str]) -> None:
        """Of the IPv4 addresses that every name has."""
        self._addresses = addresses
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((HOST, 0))

    @property
    def address(self) -> str:
        """``host:port``."""
        host, port = self._socket.getsockname()
        return f"{host}:{port}"

    def start(self) -> None:
        """Answer from now on."""
        threading.Thread(target=self._serve, daemon=True).start()

    def stop(self) -> None:
        """Answer no more."""
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                query, asker = self._socket.recvfrom(1500)
                self._socket.sendto(self._answer(query), asker)
            except OSError:  # closed
                return

    def _answer(self, query: bytes) -> bytes:
        """The answer to one question (RFC 1035, section 4.1); other kinds have no records."""
        identity = query[:2]
        end = query.index(b"\0", _HEADER.size) + 5  # the name's end, a type and a class
        question = query[_HEADER.size : end]
        (kind,) = struct.unpack(">H", question[-4:-2])
        records = [
            b"\xc0\x0c" + struct.pack(">HHIH", _A, _IN, 0, 4) + socket.inet_aton(address)
            for address in (self._addresses if kind == _A else ())
        ]
        header = identity + _HEADER.pack(0, _ANSWERED, 1, len(records), 0, 0)[2:]
        return header + question + b"".join(records)
