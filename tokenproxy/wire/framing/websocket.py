"""WebSocket frames (RFC 6455), sans-IO: bytes of one direction in any chunking, whole messages out.

The rules:

* A message is one data frame or several: the first has its kind, the others continue it
  (section 5.4). Control frames may come between them.
* Frames are masked or not, as each says; which side must is not our business.
* With permessage-deflate (RFC 7692) the first frame of a message says whether the message
  is compressed. Its payload is one piece of a raw deflate stream without its last four
  bytes; unless the sides agreed otherwise the stream goes on from message to message.
* Text and binary are alike: Gemini's Live API sends its JSON as either.
* After a close frame nothing counts any more. Nor does anything after a fault: what is
  no frame has no end, so all that follows would be guessed.
* Memory is bounded. A message of more than 1 MiB is reduced while it comes
  (``jsonbody``); one that is too large all the same comes out empty, or as its outline.
* So is the time that is taken at once: a few bytes may inflate to megabytes. Who reads for
  others, too, takes :meth:`FrameReader.feed_some`.

Theory of operation. Nearly all frames are small, whole and plain: those are cut out in one
loop. Any other is begun and its payload taken as it comes. Only what is not enough
for a frame's head, or for a control frame, is kept for the next bytes.
"""

from __future__ import annotations

import zlib
from typing import Final

from tokenproxy.wire.framing.jsonbody import REQUEST_RAW_LIMIT
from tokenproxy.wire.framing.message import Growing, Message
from tokenproxy.wire.framing.permessage import Inflater

_FINAL, _COMPRESSED, _RESERVED = 0x80, 0x40, 0x30
_CONTINUATION, _TEXT, _BINARY, _CLOSE = 0x0, 0x1, 0x2, 0x8
_CONTROL: Final = frozenset({_CLOSE, 0x9, 0xA})
_MASKED = 0x80
_PLAIN: Final = frozenset({_FINAL | _TEXT, _FINAL | _BINARY})
"""First bytes of a message that is one frame and not compressed."""
_SHORT, _TWO_BYTES = 125, 126
_LONGEST = 1 << 63

NO_CODE = 1005
"""RFC 6455, 7.1.5: of a close frame that states none."""

WORK: Final = 512 * 1024
"""About how many bytes are inflated at once: some milliseconds."""


class _MalformedError(Exception):
    """What came is no frame, or none that may come here."""


class FrameReader:
    """Reads the frames of one direction.

    Args:
        deflate: permessage-deflate was agreed on.
        starts_anew: each compressed message is a stream of its own.
        outlines: a message that is too large is outlined. For the side that asks: of what
            answers, parts are counted, and in an outline they are not all there.
    """

    def __init__(
        self, *, deflate: bool = False, starts_anew: bool = False, outlines: bool = False
    ) -> None:
        self._outlines = outlines
        self.close_code: int | None = None
        """What this side closed with; None while it has not."""
        self.failed = False
        """Nothing more can be read: what came makes no sense."""
        self.busy = False
        """What was fed is not all read: that would take long. To be fed b"" to go on."""
        self._room = 0
        """Bytes that may still be inflated at once; negative where it was more."""
        self._inflater = Inflater(starts_anew=starts_anew) if deflate else None
        self._kept = b""
        self._message: Growing | None = None
        """The message that is not complete."""
        self._left = 0
        """Bytes of a data frame's payload that are to come."""
        self._mask = b""
        """Of that frame, turned so that it begins with the next byte's."""
        self._last = False
        """That frame is its message's last."""

    def feed(self, data: bytes) -> list[Message]:
        """Take the next bytes; return the messages that they complete. Never raises."""
        messages = self.feed_some(data)
        while self.busy:
            messages += self.feed_some(b"")
        return messages

    def feed_some(self, data: bytes) -> list[Message]:
        """The same, but no more of it at once than takes some milliseconds: see ``busy``."""
        messages: list[Message] = []
        if self.failed or self.close_code is not None:
            return messages
        if self._kept:
            data, self._kept = self._kept + data, b""
        self._room = WORK
        try:
            if self.busy:
                self._go_on(messages)
            self._read(data, messages)
        except (_MalformedError, zlib.error):
            self.fail()
        return messages

    def fail(self) -> None:
        """Read nothing more."""
        self.failed = True
        self.busy = False
        self._message, self._kept = None, b""

    def _read(self, data: bytes, messages: list[Message]) -> None:
        at, end = 0, len(data)
        while at < end and not self.busy:
            if self._left:
                at = self._take(data, at, messages)
                continue
            # A frame begins. (It has two bytes at least.)
            if end - at < 2:  # noqa: PLR2004
                break
            first, second = data[at], data[at + 1]
            size, body = second & 0x7F, at + 2
            if size > _SHORT:
                body += 2 if size == _TWO_BYTES else 8
                if body > end:
                    break
                size = int.from_bytes(data[at + 2 : body])
            if (
                first in _PLAIN
                and second < _MASKED
                and body + size <= end
                and size <= REQUEST_RAW_LIMIT
                and self._message is None
            ):
                at = body + size
                messages.append(Message(data[body:at], size))
                continue
            begun = self._begin(data, at, body, size)
            if begun < 0:
                break
            if self.close_code is not None:
                return
            at = begun
            if not self._left:
                self._frame_over(messages)
        self._kept = data[at:]

    def _begin(self, data: bytes, at: int, body: int, size: int) -> int:
        """Read a frame's head; where its payload begins, or a control frame ends.

        Negative if more must have come for that.
        """
        first, masked = data[at], data[at + 1] >= _MASKED
        opcode = first & 0x0F
        if first & _RESERVED or size >= _LONGEST:
            raise _MalformedError
        payload = body + 4 if masked else body
        if opcode in _CONTROL:
            # data[at + 1], because a length has one form only that is short enough.
            if not first & _FINAL or first & _COMPRESSED or data[at + 1] & 0x7F > _SHORT:
                raise _MalformedError
            if len(data) < payload + size:
                return -1
            if opcode == _CLOSE:
                said = data[payload : payload + size]
                self._closed(_unmasked(said, data[body:payload]) if masked else said)
            return payload + size
        if len(data) < payload:
            return -1
        self._begin_data(opcode, compressed=bool(first & _COMPRESSED))
        self._mask = data[body:payload] if masked else b""
        self._left = size
        self._last = bool(first & _FINAL)
        return payload

    def _begin_data(self, opcode: int, *, compressed: bool) -> None:
        if opcode == _CONTINUATION:
            if self._message is None or compressed:
                raise _MalformedError
        elif opcode in (_TEXT, _BINARY):
            if self._message is not None or (compressed and self._inflater is None):
                raise _MalformedError
            inflater = self._inflater if compressed else None
            self._message = Growing(inflater, outlines=self._outlines)
        else:
            raise _MalformedError

    def _take(self, data: bytes, at: int, messages: list[Message]) -> int:
        """Take what has come of a data frame's payload; where it ends."""
        piece = data[at : at + self._left]
        self._left -= len(piece)
        if mask := self._mask:
            turn = len(piece) % 4
            self._mask = mask[turn:] + mask[:turn]
            self._grow(_unmasked(piece, mask))
        else:
            self._grow(piece)
        self._go_on(messages)
        return at + len(piece)

    def _grow(self, piece: bytes) -> None:
        if self._message is not None:
            self._message.feed(piece)

    def _go_on(self, messages: list[Message]) -> None:
        """Read what has come of the message, but not all of it if that takes long."""
        if self._message is not None:
            self._room -= self._message.work(self._room)
            if self._message.waits:
                self.busy = True
                return
            if not self._left:
                self._frame_over(messages)
        self.busy = self._room <= 0

    def _frame_over(self, messages: list[Message]) -> None:
        """A frame is complete; a control frame changes nothing between data frames."""
        if self._last and self._message is not None:
            message, self._message, self._last = self._message, None, False
            messages.append(message.take())

    def _closed(self, payload: bytes) -> None:
        code = payload[:2]
        self.close_code = int.from_bytes(code) if len(code) == 2 else NO_CODE  # noqa: PLR2004


def _unmasked(data: bytes, mask: bytes) -> bytes:
    """RFC 6455, 5.3; as whole numbers, because that is one operation for all bytes."""
    size = len(data)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(data) ^ int.from_bytes(key)).to_bytes(size)
