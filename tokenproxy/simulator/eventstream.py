"""AWS's event stream: binary messages with a checksum over their lengths and one over all.

A message, big-endian: total length, headers' length, CRC-32 of those eight
bytes; headers (name, type 7, string); payload; CRC-32 of all before it.
Source: botocore ``eventstream.py``.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from typing import Any

import msgspec

CONTENT_TYPE = "application/vnd.amazon.eventstream"
STRING = 7
FRAME = 16
"""Bytes of a message beside its headers and payload."""
PADDING = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def message(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message."""
    head = b"".join(_header(name, value) for name, value in headers.items())
    prelude = struct.pack(">II", FRAME + len(head) + len(payload), len(head))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + head + payload
    return body + struct.pack(">I", zlib.crc32(body))


def event(kind: str, value: Mapping[str, Any]) -> bytes:
    """An event of type ``kind`` whose payload is ``value`` as JSON."""
    headers = {
        ":event-type": kind,
        ":content-type": "application/json",
        ":message-type": "event",
    }
    return message(headers, msgspec.json.encode(value))


def exception(kind: str, text: str) -> bytes:
    """An exception in the midst of a stream."""
    headers = {
        ":exception-type": kind,
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return message(headers, msgspec.json.encode({"message": text}))


def broken(data: bytes) -> bytes:
    """A message whose last checksum is wrong."""
    return data[:-1] + bytes([data[-1] ^ 0xFF])


def padding(at: int) -> str:
    """The varying ``p`` that hides a payload's length."""
    return PADDING[: 1 + (at * 11) % len(PADDING)]


def _header(name: str, value: str) -> bytes:
    label, text = name.encode(), value.encode()
    return bytes([len(label)]) + label + struct.pack(">BH", STRING, len(text)) + text
