"""JSON values one after the other, sans-IO: bytes in any chunking, whole values out.

The rules:

* A body whose first value is an array is a streamed array (Gemini without
  ``alt=sse``): its items come out, its own brackets and commas do not. Any other
  body is its values one after the other, with white space and commas between
  or nothing at all. So one plain object, and lines of JSON, are read likewise.
* A value comes out with its last byte; a number or a word with what follows it.
* A value larger than ``RAW_LIMIT`` comes out reduced (``prune``). One that
  exceeds the limit all the same is passed over to its end and counted.
* Brackets are counted, not matched: whether a value is JSON is its reader's
  business.
* Where something begins that can begin no value, nothing can be told apart any
  more: the rest of the body is one value, which is not JSON either.
* What the end of the body cut comes out, too; ``complete`` is false then.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from tokenproxy.wire.framing.jsonbody import LIMIT, RAW_LIMIT, JsonBody
from tokenproxy.wire.framing.jsontext import NESTED, OPENERS, match_end, string_end

_BETWEEN = re.compile(rb"[, \t\r\n\xef\xbb\xbf]*+")
"""What may stand between values; a byte order mark is passed over, too."""

_SCALAR = re.compile(rb'[^, \t\r\n"\[\]{}:]*+')
_SCALAR_STARTS = frozenset(b"-0123456789tfn")
_QUOTE = ord('"')

_Read = Callable[[bytes, int, int, list[bytes]], int]
"""Reads on in a chunk, in which the value began at the first place and what is new begins
at the second; adds values that this completes; returns where to go on."""


class JsonStream:
    """Cuts a body into JSON values.

    Args:
        limit: largest value that is kept, bytes; of a value larger than ``RAW_LIMIT``, reduced.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.oversized = 0
        """Values passed over because they exceeded the limit."""
        self._limit = limit
        self._began = False
        """A first value, or the outer array, has begun."""
        self._in_array = False
        self._cut = False
        """The body ended inside a value."""
        self._read: _Read = self._read_between
        self._value: JsonBody | None = None
        """What earlier chunks had of the value that is being read."""
        self._depth = 0
        self._in_string = False
        self._escaped = False
        """Within a string, the next byte is escaped."""

    @property
    def complete(self) -> bool:
        """Whether all that began has come to its end (a body of no value never began)."""
        nothing_open = not self._in_array and self._read == self._read_between
        return self._began and nothing_open and not self._cut

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next bytes; return the values that they complete."""
        values: list[bytes] = []
        position = 0
        while position < len(chunk):
            position = self._read(chunk, position, position, values)
        return values

    def close(self) -> list[bytes]:
        """The body is over: the value that it leaves unfinished. Of a number that is the end."""
        values: list[bytes] = []
        if self._value is not None:
            self._cut = self._read != self._read_scalar
            self._finish(b"", values)
        return values

    def _read_between(self, chunk: bytes, _start: int, position: int, values: list[bytes]) -> int:
        start = match_end(_BETWEEN, chunk, position)
        if start == len(chunk):
            return start
        first = chunk[start]
        if chunk.startswith(b"[", start) and not self._began:
            self._began = self._in_array = True
            return start + 1
        if chunk.startswith(b"]", start) and self._in_array:
            self._in_array = False
            return start + 1
        self._began = True
        if first in OPENERS:
            self._read, self._depth = self._read_nested, 1
        elif first == _QUOTE:
            self._read, self._in_string = self._read_nested, True
        elif first in _SCALAR_STARTS:
            self._read = self._read_scalar
        else:
            self._read = self._read_garbage
        return self._read(chunk, start, start + 1, values)

    def _read_nested(self, chunk: bytes, start: int, position: int, values: list[bytes]) -> int:
        """Read on in an object, an array or (at depth 0) a string."""
        while self._in_string or self._depth:
            if self._in_string:
                end = string_end(chunk, position + self._escaped)
                self._escaped = end > len(chunk)
                self._in_string = end >= len(chunk)
            else:
                end = match_end(NESTED, chunk, position)
                if end < len(chunk):
                    self._in_string = chunk[end] == _QUOTE
                    if not self._in_string:
                        self._depth += 1 if chunk[end] in OPENERS else -1
            if end >= len(chunk):
                self._keep(memoryview(chunk)[start:])
                return len(chunk)
            position = end + 1
        self._finish(chunk[start:position], values)
        return position

    def _read_scalar(self, chunk: bytes, start: int, position: int, values: list[bytes]) -> int:
        end = match_end(_SCALAR, chunk, position)
        if end == len(chunk):
            self._keep(memoryview(chunk)[start:])
        else:
            self._finish(chunk[start:end], values)
        return end

    def _read_garbage(self, chunk: bytes, start: int, _position: int, _values: list[bytes]) -> int:
        self._keep(memoryview(chunk)[start:])
        return len(chunk)

    def _keep(self, piece: memoryview) -> None:
        if self._value is None:
            self._value = JsonBody(self._limit)
        self._value.feed(bytes(piece))

    def _finish(self, piece: bytes, values: list[bytes]) -> None:
        """The value ends with this piece."""
        self._read = self._read_between
        if self._value is None and len(piece) <= min(RAW_LIMIT, self._limit):
            values.append(piece)
            return
        body = self._value or JsonBody(self._limit)
        self._value = None
        body.feed(piece)
        value = body.take()
        if body.too_large:
            self.oversized += 1
        else:
            values.append(value)
