"""Protocol buffers' wire format, as far as OTLP needs it.

A message is its fields one after the other: a tag (number and wire type), then the value.
Source: protobuf.dev, "Encoding". Fields are written in the order of their numbers and
repeated scalars are packed, as Google's own encoders do it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

VARINT: Final = 0
FIXED64: Final = 1
LEN: Final = 2
FIXED32: Final = 5

fixed32: Final = struct.Struct("<I").pack
fixed64: Final = struct.Struct("<Q").pack
sfixed64: Final = struct.Struct("<q").pack
double: Final = struct.Struct("<d").pack

_SHORT: Final = tuple(bytes((number,)) for number in range(0x80))
_WORD: Final = (1 << 64) - 1


def tag(field: int, wire_type: int) -> bytes:
    """What stands before a field's value."""
    return varint(field << 3 | wire_type)


def varint(number: int) -> bytes:
    """An int64 or uint64; a negative one takes ten bytes.

    Raises:
        OverflowError: It has more than 64 bits.
    """
    if 0 <= number < 1 << 28:  # as lengths and counts are
        if number < 1 << 7:
            return _SHORT[number]
        if number < 1 << 14:
            return bytes((number & 0x7F | 0x80, number >> 7))
        if number < 1 << 21:
            return bytes((number & 0x7F | 0x80, number >> 7 & 0x7F | 0x80, number >> 14))
        return bytes(
            (
                number & 0x7F | 0x80,
                number >> 7 & 0x7F | 0x80,
                number >> 14 & 0x7F | 0x80,
                number >> 21,
            )
        )
    if not -(1 << 63) <= number <= _WORD:
        raise OverflowError(number)
    rest = number & _WORD
    found = bytearray()
    while rest > 0x7F:  # noqa: PLR2004
        found.append(rest & 0x7F | 0x80)
        rest >>= 7
    found.append(rest)
    return bytes(found)


def message(field: bytes, content: bytes) -> bytes:
    """A field of known length (a message, a string, bytes) after its tag."""
    return field + varint(len(content)) + content


def text(field: bytes, words: str) -> bytes:
    """A string; an empty one is not written.

    Raises:
        UnicodeEncodeError: It holds half of a surrogate pair.
    """
    return message(field, words.encode()) if words else b""


_WIDTHS: Final = {FIXED64: 8, FIXED32: 4}


def fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(number, value) of a message's fields: a varint's number, of all others the bytes.

    Raises:
        IndexError: It ends too early.
        ValueError: A wire type that there is not.
    """
    at = 0
    while at < len(data):
        head, at = read_varint(data, at)
        kind = head & 7
        if kind == VARINT:
            value, at = read_varint(data, at)
            yield head >> 3, value
            continue
        if kind == LEN:
            size, at = read_varint(data, at)
        elif kind in _WIDTHS:
            size = _WIDTHS[kind]
        else:
            raise ValueError(head)
        if at + size > len(data):
            raise IndexError(size)
        yield head >> 3, data[at : at + size]
        at += size


def read_varint(data: memoryview, at: int) -> tuple[int, int]:
    """The number at a place, and the place behind it.

    Raises:
        IndexError: It ends too early.
    """
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80 or shift > 63:  # noqa: PLR2004 - seven bits a byte, 64 in all
            return number, at
