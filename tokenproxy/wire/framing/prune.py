"""Big JSON documents, reduced while they pass: bounded memory, the same structure.

The rules:

* A string whose bytes between the quotes, escapes as sent, are more than
  ``LONGEST`` is replaced by ``"tokenproxy:"`` and a BLAKE2b digest of those
  bytes. Equal strings stay equal, different ones different, so a digest of the
  reduced document still tells a retry. Keys are strings, too.
* An array of nothing but numbers (an embedding) that is longer than that
  becomes ``[]``.
* Everything else stays, byte for byte, white space included.
* The result depends on the bytes only, never on the chunks they came in.
* What is replaced is not checked. A document that is no JSON is reduced like
  any other: the reader of the result finds out. One that was cut stays cut.
* A reduced document larger than the limit is given up, or (if that is asked for)
  its outline is what stays of it. Besides it, nothing is kept but a short beginning of
  the string that is being read, and numbers that would still fit into it.

Theory of operation. Outside of what may be replaced, one regular expression
passes over as much as it can: it takes plain bytes, strings that are surely
short and number arrays that are. Where it stops, a string or an array begins that
may be long or goes on beyond the chunk; its end is found by ``find``, or by a
second expression if it has escapes.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable

from tokenproxy.wire.framing.jsontext import match_end, string_end
from tokenproxy.wire.framing.outline import Outline

LIMIT = 8 * 1024 * 1024
"""Largest reduced document, bytes."""

LONGEST = 1024
"""Longest string, and array of numbers, that is kept, bytes without its delimiters."""

_DIGEST_BYTES = 16

_NUMBERS = re.compile(rb"[-+.0-9eE, \t\r\n]*+")
_VERBATIM = re.compile(
    rb"""
    (?: [^"\[]*+
        (?: "[^"\\]{0,1024}+"
          | "[^"\\]{0,127}+ (?: \\. [^"\\]{0,126}+ ){0,6}+ "
          | \[ [-+.0-9eE,\ \t\r\n]{0,1024}+ (?= [^-+.0-9eE,\ \t\r\n] )
        )
    )*+
    [^"\[]*+
    """,
    re.DOTALL | re.VERBOSE,
)
"""What surely stays: its strings and runs of numbers are at most ``LONGEST`` bytes long."""


class Pruner:
    """Reduces one document.

    Args:
        limit: largest reduced document that is kept as it is, bytes.
        outlines: a larger one is outlined, not given up.
    """

    def __init__(self, limit: int = LIMIT, *, outlines: bool = False) -> None:
        self.too_large = False
        """The reduced document exceeds the limit; nothing of it is kept."""
        self._limit = limit
        self._outlines = outlines
        self._outline: Outline | None = None
        """Of the reduced document, once that is too large."""
        self._reduced = io.BytesIO()
        self._room = limit
        self._read: Callable[[bytes, int], int] = self._read_outside
        self._held = bytearray()
        """The string or the run of numbers that is being read, while it may stay."""
        self._length = 0
        """How long that is so far."""
        self._digest: hashlib.blake2b | None = None
        """Of the string that is being read, once it is too long to stay."""
        self._escaped = False
        """Within a string, the next byte is escaped."""

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        position = 0
        while position < len(chunk) and not self.too_large:
            position = self._read(chunk, position)

    def take(self) -> bytes:
        """The reduced document so far, which is then forgotten; empty if it was too large."""
        self._write(self._held)
        reduced = self._reduced.getvalue()
        if self._outline is not None:
            reduced, self._outline = self._outline.text(), None
            self.too_large = not reduced
        self._forget()
        return reduced

    def _read_outside(self, chunk: bytes, position: int) -> int:
        start = position
        while True:
            end = match_end(_VERBATIM, chunk, position)
            if not chunk.startswith(b'"', end):
                self._read = self._read_numbers if end < len(chunk) else self._read_outside
                break
            closing = string_end(chunk, end + 1)
            if closing >= len(chunk) or closing - end - 1 > LONGEST:
                self._read = self._read_string
                break
            position = closing + 1
        self._write(memoryview(chunk)[start : end + 1])
        return end + 1

    def _read_string(self, chunk: bytes, position: int) -> int:
        end = string_end(chunk, position + self._escaped)
        self._escaped = end > len(chunk)
        piece = memoryview(chunk)[position:end]
        self._length += len(piece)
        if self._length <= LONGEST:
            self._held += piece
        else:
            if self._digest is None:
                self._digest = hashlib.blake2b(self._held, digest_size=_DIGEST_BYTES)
                self._held.clear()
            self._digest.update(piece)
        if end < len(chunk):
            if self._digest is not None:
                self._held += b"tokenproxy:" + self._digest.hexdigest().encode()
            self._held += b'"'
            self._write(self._held)
            self._go_outside()
        return end + 1

    def _read_numbers(self, chunk: bytes, position: int) -> int:
        """Read on in what may be an array of numbers.

        Numbers that no longer fit into the result need not be held: either all of them
        go, or the result is too large. (Its outline says nothing of them.)
        """
        end = match_end(_NUMBERS, chunk, position)
        self._length += end - position
        if self._length <= max(self._room, LONGEST):
            self._held += memoryview(chunk)[position:end]
        else:
            self._held.clear()
        if end < len(chunk):
            if self._length <= LONGEST or not chunk.startswith(b"]", end):
                self._write(self._held, self._length)
            self._go_outside()
        return end

    def _go_outside(self) -> None:
        self._read = self._read_outside
        self._held.clear()
        self._length = 0
        self._digest = None

    def _write(self, piece: bytes | bytearray | memoryview, length: int | None = None) -> None:
        """Add to the result what may still exceed it: ``length`` bytes, if that is not all."""
        if self._outline is not None:
            self._outline.feed(bytes(piece))
            return
        self._room -= len(piece) if length is None else length
        if self._room >= 0:
            self._reduced.write(piece)
        elif self._outlines:
            self._room = 0
            self._outline = Outline()
            self._outline.feed(self._reduced.getvalue())
            self._outline.feed(bytes(piece))
            self._reduced = io.BytesIO()
        else:
            self.too_large = True
            self._forget()

    def _forget(self) -> None:
        self._reduced = io.BytesIO()
        self._room = self._limit
        self._escaped = False
        self._go_outside()
