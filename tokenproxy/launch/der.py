"""DER (ITU-T X.690): as much of it as a certificate authority and its key are written in.

Each function returns one value, encoded. A value is a tag, its content's length, its
content; a constructed one's content is other values.
"""

from __future__ import annotations

import binascii
import time

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, OID = 0x01, 0x02, 0x03, 0x04, 0x06
UTF8_STRING, UTC_TIME, GENERALIZED_TIME = 0x0C, 0x17, 0x18
SEQUENCE, SET = 0x30, 0x31
CONTEXT, CONSTRUCTED = 0x80, 0x20

_SHORT = 0x80
"""Lengths below it are one byte."""
_UTC_TIME_ENDS = 2050
"""RFC 5280, 4.1.2.5: from this year on, dates have four digits of the year."""
_PEM_LINE = 48
"""Bytes that make a line of 64 characters."""


def value(tag: int, *content: bytes) -> bytes:
    """The value of a tag whose content is put together from ``content``."""
    data = b"".join(content)
    size = len(data)
    if size < _SHORT:
        return bytes((tag, size)) + data
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, _SHORT | len(length))) + length + data


def integer(number: int) -> bytes:
    """A number that is not negative: in as few bytes as leave its first bit 0."""
    return value(INTEGER, number.to_bytes(number.bit_length() // 8 + 1))


def oid(dotted: str) -> bytes:
    """An object identifier, ``2.5.4.3``."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    return value(OID, *(_base128(arc) for arc in (40 * first + second, *rest)))


def bits(data: bytes, unused: int = 0) -> bytes:
    """A bit string whose last ``unused`` bits are not part of it."""
    return value(BIT_STRING, bytes((unused,)), data)


def moment(seconds: float) -> bytes:
    """A time, in seconds since the epoch, to the second."""
    when = time.gmtime(seconds)
    if when.tm_year < _UTC_TIME_ENDS:
        return value(UTC_TIME, time.strftime("%y%m%d%H%M%SZ", when).encode())
    return value(GENERALIZED_TIME, time.strftime("%Y%m%d%H%M%SZ", when).encode())


def pem(label: str, der: bytes) -> str:
    """A value as text (RFC 7468)."""
    lines = (
        binascii.b2a_base64(der[at : at + _PEM_LINE]).decode()
        for at in range(0, len(der), _PEM_LINE)
    )
    return f"-----BEGIN {label}-----\n{''.join(lines)}-----END {label}-----\n"


def _base128(arc: int) -> bytes:
    digits = [arc & 0x7F]
    while arc := arc >> 7:
        digits.append(arc & 0x7F | 0x80)
    return bytes(reversed(digits))
