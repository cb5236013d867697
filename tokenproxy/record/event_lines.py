"""An AWS event stream as lines of JSON: its events have the model's words in base64.

So nobody could read in it, nor find a credential.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

import msgspec

from tokenproxy.wire.framing.eventstream import EventStreamReader, Message

EVENT_STREAM: Final = "application/vnd.amazon.eventstream"

_NAMES: Final = (":event-type", ":exception-type", ":error-code")


class _Chunk(msgspec.Struct):
    bytes: str


def event_lines(body: bytes) -> tuple[bytes, bool]:
    """Each message as ``{"its type": payload}``, one a line.

    Returns:
        The lines, and whether all of the body is in them.
    """
    reader = EventStreamReader()
    lines = [_line(message) for message in reader.feed(body)]
    reader.close()
    whole = not (reader.torn or reader.failed or reader.corrupt or reader.oversized)
    return b"".join(lines), whole


def _line(message: Message) -> bytes:
    name = next((word for word in map(message.word, _NAMES) if word), "message")
    payload = message.payload.replace(b"\n", b" ")  # between tokens: a string has none
    try:
        msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        payload = msgspec.json.encode(message.payload.decode(errors="replace"))
    try:
        payload = base64.b64decode(msgspec.json.decode(payload, type=_Chunk).bytes, validate=True)
        payload = payload.replace(b"\n", b" ")
    except (msgspec.DecodeError, UnicodeDecodeError, binascii.Error):
        pass
    return b"{" + msgspec.json.encode(name) + b": " + payload + b"}\n"
