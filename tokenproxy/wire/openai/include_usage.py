"""``--inject-include-usage``: ask for the usage that a client left open, and hide that we did.

Chat completions state the usage of a stream only if the request says
``stream_options.include_usage``; it then comes in one extra chunk with
``"choices": []``, on which clients crash that take the first choice of every
chunk. So both are changed: the request gains the option, where the client did
not mention it (an explicit false stays), and the extra chunk is taken out again.

Everything else keeps its bytes: values of the request are copied undecoded,
events of the response pass whole, each when its last byte has come.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from tokenproxy.wire.lenient import Lenient

_OBJECT: msgspec.json.Decoder[dict[str, msgspec.Raw]] = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ASKED = msgspec.Raw(b"true")
_EVENT_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_LONGEST_END = 4
_LIMIT = 1024 * 1024
"""Largest event that is held back to be looked at; the extra chunk has a few hundred bytes."""


class _Chunk(msgspec.Struct):
    choices: list[Any] | None = None
    usage: dict[str, Any] | None = None


_CHUNK = Lenient(_Chunk)


def ask_for_usage(body: bytes) -> bytes | None:
    """The request body with ``include_usage``, or None if it must stay as it is.

    It does if it is no streamed request, or the client has said what it wants.
    """
    try:
        request = _OBJECT.decode(body)
        options = _OBJECT.decode(request.get("stream_options", msgspec.Raw(b"{}")))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if bytes(request.get("stream", b"")) != b"true" or "include_usage" in options:
        return None
    options["include_usage"] = _ASKED
    request["stream_options"] = msgspec.Raw(msgspec.json.encode(options))
    return msgspec.json.encode(request)


class ExtraChunkRemover:
    """Passes an event stream on without the chunk that only tells the usage."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._looked = 0
        """How far the held bytes were searched for the event's end."""

    def feed(self, data: bytes) -> bytes:
        """The bytes that may be sent on now that these have come."""
        self._held += data
        passed = bytearray()
        start = 0
        while end := _EVENT_END.search(self._held, max(start, self._looked)):
            event = bytes(self._held[start : end.end()])
            if not _is_extra(event):
                passed += event
            start = end.end()
        del self._held[:start]
        self._looked = max(len(self._held) - _LONGEST_END + 1, 0)
        if len(self._held) > _LIMIT:
            passed += self.close()
        return bytes(passed)

    def close(self) -> bytes:
        """What is still held: an event that its stream's end cut off."""
        rest = bytes(self._held)
        self._held.clear()
        self._looked = 0
        return rest


def _is_extra(event: bytes) -> bool:
    if b'"usage"' not in event:
        return False
    lines = event.splitlines()
    data = b"\n".join(line[5:].strip() for line in lines if line.startswith(b"data:"))
    chunk = _CHUNK.decode(data)
    return chunk is not None and chunk.choices == [] and chunk.usage is not None
