"""TLS as a step between a transport's bytes and HTTP's, on either side."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Any

_RECORD = 16 * 1024
"""What one read gives at most (RFC 8446, 5.1). ssl prepares as much as it is asked for."""
_SMALL = 479
"""What is read first: most records hold an event, and for so much Python has room at hand."""


class Tls:
    """One connection's TLS over memory (``ssl.SSLObject``)."""

    def __init__(
        self,
        context: ssl.SSLContext,
        *,
        server_side: bool,
        hostname: str | None = None,
        session: ssl.SSLSession | None = None,
    ) -> None:
        """Prepare.

        Args:
            context: Certificates and rules.
            server_side: Whether the other end is the client.
            hostname: The server's name, where we are the client.
            session: An earlier one with this server, to take up.
        """
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._in, self._out, server_side=server_side, server_hostname=hostname, session=session
        )
        self._fault: ssl.SSLError | None = None
        self.established = False
        self.ended = False
        """The other end has said that it sends no more."""

    @property
    def session(self) -> ssl.SSLSession | None:
        """To take up later; a server hands it out when it likes."""
        return self._tls.session

    def open(self, data: bytes) -> bytes:
        """What ``data`` says; b"" while nothing whole has come. Then look into :meth:`outgoing`.

        Raises:
            ssl.SSLError: The handshake failed, or what came is no TLS.
        """
        if self._fault is not None:
            raise self._fault
        if data:
            self._in.write(data)
        if not self.established and not self._shake_hands():
            return b""
        pieces: list[bytes] = []
        try:
            self._read(pieces)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.ended = True
        except ssl.SSLError as error:
            if not pieces:
                raise
            self._fault = error  # after what was well
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _read(self, pieces: list[bytes]) -> None:
        """Take what whole records say, until one of ssl's exceptions at the latest."""
        size, read, waiting = _SMALL, self._tls.read, self._in
        while piece := read(size):
            pieces.append(piece)
            if len(piece) == size:
                size = _RECORD  # there may be more of it
            # To be told by an exception that there is no more takes longer than the reading.
            # OpenSSL takes of what waits one record at a time, and this one is read whole.
            elif not waiting.pending:
                return
        self.ended = True

    def _shake_hands(self) -> bool:
        """Go on with the handshake; whether it is done."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        self.established = True
        return True

    def seal(self, data: bytes) -> bytes:
        """``data`` as it goes over the wire."""
        view = memoryview(data)
        while view:
            view = view[self._tls.write(view) :]
        return self._out.read()

    def outgoing(self) -> bytes:
        """What TLS itself has to say: of the handshake, mostly."""
        return self._out.read() if self._out.pending else b""

    def farewell(self) -> bytes:
        """What tells the other end that nothing more is coming, and was meant to."""
        # It wants the other end's farewell, too; nobody waits for that.
        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()
        return self.outgoing()


class Inside(asyncio.Transport):
    """The inside of a connection, for who knows nothing of its TLS."""

    def __init__(self, outside: asyncio.Transport, tls: Tls) -> None:
        super().__init__()
        self._outside = outside
        self._tls = tls

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send."""
        if not self._outside.is_closing():
            self._outside.write(self._tls.seal(bytes(data)))

    def close(self) -> None:
        """Close, when what was written has gone."""
        if not self._outside.is_closing():
            self._outside.write(self._tls.farewell())
            self._outside.close()

    def abort(self) -> None:
        """Close at once."""
        self._outside.abort()

    def is_closing(self) -> bool:
        """Whether it is closed or about to be."""
        return self._outside.is_closing()

    def get_write_buffer_size(self) -> int:
        """Bytes that wait to be sent."""
        return self._outside.get_write_buffer_size()

    def can_write_eof(self) -> bool:
        """TLS has no half-closed connections."""
        return False

    def write_eof(self) -> None:
        """The same as closing."""
        self.close()

    def pause_reading(self) -> None:
        """Take no more for now."""
        self._outside.pause_reading()

    def resume_reading(self) -> None:
        """Take more."""
        self._outside.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As of the connection itself."""
        return self._outside.get_extra_info(name, default)
