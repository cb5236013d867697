"""A JSON object's outline: its short members, whatever its size and wherever it was cut.

For documents of which nothing else could be told: too large to be kept even when reduced
(``prune``), or ended in the middle. The model that a request names, and most that accounting
reads of it, stands in short members of the outermost object.

The rules:

* A member whose value is at most ``KEPT`` bytes long stays, byte for byte, repeated ones too and
  in their order (of equal keys JSON's readers take the last).
* A longer object stays as its own outline, up to ``LEVELS`` of them within each other. Any other
  longer value is replaced by one of its kind that has a BLAKE2b digest of its bytes in it: equal
  ones stay equal, and an array that is not empty stays one that is not.
* A document that was cut, or is no JSON from some place on, has the outline of what came before:
  a member that was not complete is left out, unless it is an object.
* A member that is no JSON, or not in UTF-8, is left out. In what is replaced or passed over
  brackets are counted, not matched.
* Of an object whose short members are more than ``LIMIT`` bytes, nothing stays.
* The result depends on the bytes only, never on the chunks they came in. What is no object has
  no outline.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Final

import msgspec

from tokenproxy.wire.framing.jsontext import NESTED, OPENERS, match_end, string_end
from tokenproxy.wire.lenient import mend_surrogates

KEPT: Final = 16 * 1024
"""Longest value that stays as it is, bytes."""

LIMIT: Final = 1024 * 1024
"""Most that stays of one object, bytes."""

LEVELS: Final = 3
"""Objects within each other that have outlines, the document itself not counted."""

_LONGEST_KEY: Final = 1024
_DIGEST_BYTES: Final = 16
_BLANK = re.compile(rb"[ \t\r\n]*+")
_BEFORE = re.compile(rb"[ \t\r\n\xef\xbb\xbf]*+")
_BETWEEN = re.compile(rb"[ \t\r\n,]*+")
_SCALAR = re.compile(rb'[^ \t\r\n,:"\[\]{}]*+')
_MEMBERS: Final[msgspec.json.Decoder[dict[str, msgspec.Raw]]] = msgspec.json.Decoder(
    dict[str, msgspec.Raw]
)
_QUOTE: Final = ord('"')
_PLACES: Final = {
    b"[": b'["tokenproxy:%s"]',
    b"{": b'{"tokenproxy":"%s"}',
    b'"': b'"tokenproxy:%s"',
}
"""What stands for a long value that begins so; for any other, which no reader takes, ``null``."""


class Outline:
    """Reads one object.

    Args:
        kept: longest value that stays as it is, bytes; one at least.
        limit: most that stays of an object, bytes.
        levels: objects within each other that have outlines of their own.
    """

    def __init__(self, kept: int = KEPT, limit: int = LIMIT, levels: int = LEVELS) -> None:
        self.over = False
        """Its end has come."""
        self.broken = False
        """What has come is no object: where anything in it ends cannot be told any more."""
        self._kept, self._limit, self._levels = kept, limit, levels
        self._read: Callable[[bytes, int], int] = self._read_start
        self._began = False
        self._members: list[bytes] = []
        self._room = limit
        self._key = bytearray()
        self._first = b""
        """The value's first byte; empty between members."""
        self._held = bytearray()
        """The value so far, while it may stay."""
        self._digest: hashlib.blake2b | None = None
        """Of the value, once it is too long for that."""
        self._inner: Outline | None = None
        """Reads the value, a long object."""
        self._depth = 0
        self._in_string = False
        self._escaped = False
        """Within a string, the next byte is escaped."""

    def feed(self, chunk: bytes, position: int = 0) -> int:
        """Take the next bytes, from ``position`` on. Returns where the object ends in them."""
        while position < len(chunk) and not (self.over or self.broken):
            position = self._read(chunk, position)
        return position

    def text(self) -> bytes:
        """The outline of what has come so far; empty if that is no object."""
        if not self._began:
            return b""
        members = self._members
        inner = self._inner
        if inner is None and self._first == b"{" and self._digest is None and self._levels:
            inner = self._within()
        if inner is not None and self._room >= 0 and (rest := self._member(inner.text())):
            members = [*members, rest]
        return b"{%s}" % b",".join(members)

    # -- between values -------------------------------------------------------

    def _read_start(self, chunk: bytes, position: int) -> int:
        start = match_end(_BEFORE, chunk, position)
        if start < len(chunk):
            self._began = chunk.startswith(b"{", start)
            self.broken = not self._began
            self._read = self._read_between
        return start + 1

    def _read_between(self, chunk: bytes, position: int) -> int:
        start = match_end(_BETWEEN, chunk, position)
        if chunk.startswith(b'"', start):
            self._key.clear()
            self._read = self._read_key
        elif start < len(chunk):
            self.over = chunk.startswith(b"}", start)
            self.broken = not self.over
        return start + 1

    def _read_key(self, chunk: bytes, position: int) -> int:
        end = self._string_end(chunk, position)
        if len(self._key) <= _LONGEST_KEY:
            self._key += memoryview(chunk)[position:end]
        if end < len(chunk):
            self._read = self._read_colon
        return end + 1

    def _read_colon(self, chunk: bytes, position: int) -> int:
        start = match_end(_BLANK, chunk, position)
        self.broken = start < len(chunk) and not chunk.startswith(b":", start)
        if start < len(chunk):
            self._read = self._read_value
        return start + 1

    def _read_value(self, chunk: bytes, position: int) -> int:
        start = match_end(_BLANK, chunk, position)
        if start == len(chunk):
            return start
        self._first = chunk[start : start + 1]
        self._held.clear()
        self._digest = None
        self._depth = 0
        if self._first in _PLACES:
            self._read = self._read_nested
            self._take(memoryview(self._first))
            self._depth, self._in_string = (0, True) if self._first == b'"' else (1, False)
            return start + 1
        self._read = self._read_scalar
        self.broken = match_end(_SCALAR, chunk, start) == start
        return start

    # -- values ---------------------------------------------------------------

    def _read_nested(self, chunk: bytes, position: int) -> int:
        """Read on in an object, an array or (at depth 0) a string."""
        start = position
        while (self._in_string or self._depth) and position < len(chunk):
            if self._in_string:
                end = self._string_end(chunk, position)
                self._in_string = end >= len(chunk)
            else:
                end = match_end(NESTED, chunk, position)
                if end < len(chunk):
                    self._in_string = chunk[end] == _QUOTE
                    if not self._in_string:
                        self._depth += 1 if chunk[end] in OPENERS else -1
            position = min(end + 1, len(chunk))
        piece = memoryview(chunk)[start:position]
        if self._first == b"{" and self._levels and len(self._held) + len(piece) > self._kept:
            self._inner = self._within()
            self._read = self._read_inner
            self._escaped = False
            return start  # it reads this again, by itself
        self._take(piece)
        if not (self._in_string or self._depth):
            self._finish(self._value())
        return position

    def _read_inner(self, chunk: bytes, position: int) -> int:
        """Read on in a long object."""
        inner = self._inner
        assert inner is not None  # noqa: S101 - for the type checker: it was made before
        position = inner.feed(chunk, position)
        if inner.over:
            self._inner = None
            self._finish(inner.text())
        self.broken = inner.broken
        return position

    def _read_scalar(self, chunk: bytes, position: int) -> int:
        end = match_end(_SCALAR, chunk, position)
        self._take(memoryview(chunk)[position:end])
        if end < len(chunk):
            self._finish(self._value())
        return end

    def _within(self) -> Outline:
        """The outline of an object, as far as it is held."""
        inner = Outline(self._kept, self._limit, self._levels - 1)
        inner.feed(bytes(self._held))
        return inner

    def _string_end(self, chunk: bytes, position: int) -> int:
        end = string_end(chunk, position + self._escaped)
        self._escaped = end > len(chunk)
        return end

    def _take(self, piece: memoryview) -> None:
        if self._digest is None and len(self._held) + len(piece) <= self._kept:
            self._held += piece
            return
        if self._digest is None:
            self._digest = hashlib.blake2b(self._held, digest_size=_DIGEST_BYTES)
            self._held.clear()
        self._digest.update(piece)

    def _value(self) -> bytes:
        """The value as it stays."""
        if self._digest is None:
            return bytes(self._held)
        place = _PLACES.get(self._first)
        return b"null" if place is None else place % self._digest.hexdigest().encode()

    def _finish(self, value: bytes) -> None:
        """The value is complete."""
        self._read = self._read_between
        self._first = b""
        member = self._member(value) if self._room >= 0 else b""
        self._room -= len(member)
        if self._room < 0:
            self._members.clear()
        elif member:
            self._members.append(member)

    def _member(self, value: bytes) -> bytes:
        """The member with this value; empty if it is no JSON, or has no name."""
        if len(self._key) > _LONGEST_KEY:
            return b""
        return _readable(b'"%s":%s' % (self._key, value))


def outline(document: bytes) -> bytes:
    """The outline of a document that came whole; empty if it is no object."""
    made = Outline()
    made.feed(document)
    return made.text()


def _readable(member: bytes) -> bytes:
    """The member as readers of JSON take it (``lenient``), which refuse it whole otherwise."""
    for text in (member, mend_surrogates(member)):
        try:
            _MEMBERS.decode(b"{%s}" % text)
            text.decode()
        except (ValueError, RecursionError):
            continue
        return text
    return b""
