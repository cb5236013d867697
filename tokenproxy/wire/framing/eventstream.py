"""AWS event stream, sans-IO: bytes in any chunking, messages out.

The rules (AWS, "Event stream encoding"; botocore, ``eventstream.py``), big-endian::

    uint32 total length | uint32 length of headers | uint32 CRC32 of these 8 bytes
    headers | payload | uint32 CRC32 of everything before it

* A header is ``uint8`` length of its name, the name, ``uint8`` type, its value.
* The prelude has a checksum of its own, because everything hangs on the two
  lengths: if it is wrong nothing after it can be found, and the reader gives
  up (``failed``).
* A message whose own checksum is wrong, or whose headers do not parse, ends
  where the prelude says; it is passed over and counted (``corrupt``).
* A message larger than the limit is passed over without being kept, and
  counted (``oversized``).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple
from uuid import UUID
from zlib import crc32

LIMIT = 8 * 1024 * 1024
"""Largest message that is kept, bytes. AWS allows 24 MiB; one event of a model has kilobytes."""

type HeaderValue = bool | int | bytes | str | UUID

_LENGTHS: Final = struct.Struct(">II")
_CRC: Final = struct.Struct(">I")
_PRELUDE: Final = _LENGTHS.size + _CRC.size
_SMALLEST: Final = _PRELUDE + _CRC.size
"""A message without headers and payload, bytes."""

_UINT16: Final = struct.Struct(">H")


class Message(NamedTuple):
    """One message of a stream."""

    headers: Mapping[str, HeaderValue]
    """Values by their type; a timestamp is an int, milliseconds since 1970."""
    payload: bytes

    def word(self, name: str) -> str:
        """A header's value if it is a string, else ""."""
        value = self.headers.get(name)
        return value if isinstance(value, str) else ""


class EventStreamReader:
    """Cuts a stream into messages.

    Args:
        limit: largest message kept, bytes.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.oversized = 0
        """Messages passed over because they exceeded the limit."""
        self.corrupt = 0
        """Messages passed over because their checksum or their headers were wrong."""
        self.failed = False
        """A prelude was wrong: nothing after it was read."""
        self.torn = False
        """The stream ended inside a message."""
        self._limit = limit
        self._held = bytearray()
        """The beginning of a message that is not whole yet."""
        self._wanted = _PRELUDE
        """How many bytes must be held before anything can be done."""
        self._passing_over = 0
        """How many bytes of an oversized message are still to come."""

    def feed(self, chunk: bytes) -> list[Message]:
        """Take the next bytes; return the messages that they complete."""
        messages: list[Message] = []
        at = 0
        while at < len(chunk) and not self.failed:
            if self._passing_over:
                step = min(self._passing_over, len(chunk) - at)
                self._passing_over -= step
            else:
                step = min(self._wanted - len(self._held), len(chunk) - at)
                self._held += chunk[at : at + step]
                if len(self._held) == self._wanted:
                    self._advance(messages)
            at += step
        return messages

    def close(self) -> None:
        """The stream is over."""
        self.torn = not self.failed and bool(self._held or self._passing_over)

    def _advance(self, messages: list[Message]) -> None:
        """A prelude or a message is whole."""
        if self._wanted == _PRELUDE:
            self._begin()
        else:
            message = _read(bytes(self._held))
            if message is None:
                self.corrupt += 1
            else:
                messages.append(message)
            self._held.clear()
            self._wanted = _PRELUDE

    def _begin(self) -> None:
        total, headers = _LENGTHS.unpack_from(self._held)
        (checksum,) = _CRC.unpack_from(self._held, _LENGTHS.size)
        whole = crc32(self._held[: _LENGTHS.size]) == checksum
        if not whole or total < _SMALLEST or headers > total - _SMALLEST:
            self.failed = True
            self._held.clear()
        elif total > self._limit:
            self.oversized += 1
            self._held.clear()
            self._passing_over = total - _PRELUDE
        else:
            self._wanted = total


def _read(message: bytes) -> Message | None:
    """A whole message with a sound prelude, or None if the rest of it is not sound."""
    end = len(message) - _CRC.size
    (checksum,) = _CRC.unpack_from(message, end)
    if crc32(memoryview(message)[:end]) != checksum:
        return None
    payload_at = _PRELUDE + _LENGTHS.unpack_from(message)[1]
    headers = _headers(message[_PRELUDE:payload_at])
    return None if headers is None else Message(headers, message[payload_at:end])


def _headers(block: bytes) -> dict[str, HeaderValue] | None:
    """The headers, or None if they do not parse."""
    found: dict[str, HeaderValue] = {}
    at = 0
    try:
        while at < len(block):
            name_end = at + 1 + block[at]
            name = block[at + 1 : name_end].decode()
            value, at = _VALUES[block[name_end]](block, name_end + 1)
            if at > len(block):
                return None
            found[name] = value
    except (LookupError, ValueError, struct.error):
        return None
    return found


type _ReadValue = Callable[[bytes, int], tuple[HeaderValue, int]]
"""From the header block and where the value begins: the value, and where it ends."""


def _constant(value: HeaderValue) -> _ReadValue:
    return lambda _, at: (value, at)


def _number(layout: str) -> _ReadValue:
    packed = struct.Struct(layout)
    return lambda block, at: (packed.unpack_from(block, at)[0], at + packed.size)


def _bytes(block: bytes, at: int) -> tuple[bytes, int]:
    start = at + _UINT16.size
    end = start + _UINT16.unpack_from(block, at)[0]
    return block[start:end], end


def _text(block: bytes, at: int) -> tuple[HeaderValue, int]:
    value, end = _bytes(block, at)
    return value.decode(), end


def _uuid(block: bytes, at: int) -> tuple[HeaderValue, int]:
    return UUID(bytes=block[at : at + 16]), at + 16


_VALUES: Final[Mapping[int, _ReadValue]] = {
    0: _constant(True),  # noqa: FBT003 - a value of the wire, not a switch of ours
    1: _constant(False),  # noqa: FBT003 - likewise
    2: _number(">b"),
    3: _number(">h"),
    4: _number(">i"),
    5: _number(">q"),
    6: _bytes,
    7: _text,
    8: _number(">q"),
    9: _uuid,
}
"""How a header's value of each type is read."""
