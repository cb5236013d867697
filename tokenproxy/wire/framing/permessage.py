"""permessage-deflate (RFC 7692): what two sides agreed on, and one direction's stream undone.

The rules:

* A message's payload is a piece of a raw deflate stream without the four bytes of its last,
  empty block (7.2.1). Unless the side has promised to start anew, a message may refer
  to bytes of those before it (7.1.1).
* A smaller window needs no other reader: what was deflated with it inflates with the largest.
* A stream may end within a message (7.2.3.4); a new one begins with what follows.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

import msgspec

_PIECE = 256 * 1024
"""Most bytes that are inflated at once."""
_MOST_STREAMS = 100
"""That may end within a message: each is as much work as a message, and one is enough."""
_TAIL: Final = b"\x00\x00\xff\xff"


class Deflate(msgspec.Struct, frozen=True):
    """What the two sides have agreed on."""

    client_starts_anew: bool
    """Each of the client's messages is a stream of its own (``client_no_context_takeover``)."""
    server_starts_anew: bool


class UnknownExtensionError(Exception):
    """The sides agreed on something that may change what frames mean."""


def agreed_deflate(extensions: str) -> Deflate | None:
    """What an answer's ``Sec-WebSocket-Extensions`` says of compression; None: there is none.

    Raises:
        UnknownExtensionError: It names another extension.
    """
    agreed: Deflate | None = None
    for extension in filter(None, map(str.strip, extensions.split(","))):
        name, *parameters = (part.strip().lower() for part in extension.split(";"))
        if name != "permessage-deflate" or agreed is not None:
            raise UnknownExtensionError(extension)
        agreed = Deflate(
            client_starts_anew="client_no_context_takeover" in parameters,
            server_starts_anew="server_no_context_takeover" in parameters,
        )
    return agreed


class Inflater:
    """One direction's stream.

    Args:
        starts_anew: each message is a stream of its own.
    """

    def __init__(self, *, starts_anew: bool) -> None:
        self._starts_anew = starts_anew
        self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
        self._streams = 0
        """Begun within this message."""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """The next bytes of a message, inflated piece by piece; zlib.error if they are none."""
        full = True
        while data or full:
            if self._stream.eof:
                self._streams += 1
                if self._streams > _MOST_STREAMS:
                    raise zlib.error("a message of too many streams")
                self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
            piece = self._stream.decompress(data, _PIECE)
            data = self._stream.unconsumed_tail or self._stream.unused_data
            full = len(piece) == _PIECE
            yield piece

    def last_pieces(self) -> Iterator[bytes]:
        """What is left of a message that is complete."""
        yield from self.pieces(_TAIL)
        self._streams = 0
        if self._starts_anew:
            self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
