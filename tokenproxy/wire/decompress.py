"""Decompressors, each of one stream, that lose nothing to a failure.

A library that finds an error gives nothing of what it had decoded in that call. How much that is
depends on how the network cut the body, and what we read must not. So the streams here keep what
they were given; after a failure it is gone through once more, byte by byte, and all that comes
before the error comes out.

What is kept is bounded: :data:`KEPT` bytes, which have become :data:`KEPT_OUT` at most. A zlib
stream then goes on from a copy of itself. brotli and zstandard cannot be copied: of such a stream,
broken after more than that, the end of what came before the error depends on how it was cut.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any, Final, Protocol, Self

import brotli  # type: ignore[import-untyped] # it ships none
import zstandard

ERRORS: Final = (zlib.error, zstandard.ZstdError, brotli.error)
"""What a stream that is not what it should be raises."""

KEPT: Final = 256 * 1024
KEPT_OUT: Final = 4 * 1024 * 1024

_PIECE: Final = 256 * 1024
"""About how large a piece may be that zlib or brotli give at once."""

_ZSTD_WINDOW: Final = 8 * 1024 * 1024


class _Library(Protocol):
    """A library's decompressor of one stream."""

    def decode(self, data: bytes) -> Iterator[bytes]:
        """The next bytes, piece by piece; raises one of ERRORS."""
        ...

    def fresh(self) -> Self:
        """One that has not begun."""
        ...

    def copy(self) -> Self | None:
        """One that stands where this one stands, if that can be had."""
        ...

    @property
    def eof(self) -> bool:
        """Whether the stream has ended."""
        ...

    @property
    def unused(self) -> bytes:
        """Of the bytes that were given last, those behind the end."""
        ...


class Stream:
    """One stream, however it is cut."""

    def __init__(self, library: _Library) -> None:
        self._library = library
        self._begin = library.fresh()
        """Where ``_past`` begins."""
        self._past: list[bytes] | None = []
        """What was given since; None: it was too much, and there is no copy."""
        self._in = self._out = 0

    @property
    def eof(self) -> bool:
        """Whether it has ended."""
        return self._library.eof

    @property
    def unused(self) -> bytes:
        """Of the bytes that were given last, those behind the end."""
        return self._library.unused

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Decode the next bytes; all that comes before an error, then one of ERRORS."""
        given = 0
        try:
            for piece in self._library.decode(data):
                given += len(piece)
                yield piece
        except ERRORS:
            if self._past is None:
                raise
            yield from self._once_more(self._past, data, given)
            return
        if self._past is not None:
            self._past.append(data)
            self._in += len(data)
            self._out += given
            if self._in > KEPT or self._out > KEPT_OUT:
                self._forget()

    def _forget(self) -> None:
        begin = self._library.copy()
        self._in = self._out = 0
        if begin is None:
            self._past = None
        else:
            self._begin, self._past = begin, []

    def _once_more(self, past: list[bytes], data: bytes, given: int) -> Iterator[bytes]:
        """From where the past begins; of ``data``, ``given`` bytes have come out already."""
        self._library = self._begin
        for part in past:
            for _ in self._library.decode(part):
                pass
        for at in range(len(data)):
            for piece in self._library.decode(data[at : at + 1]):
                yield piece[given:]
                given = max(given - len(piece), 0)
            if self._library.eof:  # brotli takes what follows the end for an error
                return


def zlib_stream(wbits: int) -> Stream:
    """zlib, gzip or raw deflate, by zlib's ``wbits``."""
    return Stream(_Zlib(wbits))


def brotli_stream() -> Stream:
    """A brotli stream."""
    return Stream(_Brotli())


def zstd_stream() -> Stream:
    """A frame of zstandard; its window is 8 MiB at most (RFC 9659)."""
    return Stream(_Zstd())


class _Zlib:
    """zlib, gzip or raw deflate, by zlib's ``wbits``."""

    def __init__(self, wbits: int, stream: Any = None) -> None:
        self._wbits = wbits
        self._stream = zlib.decompressobj(wbits=wbits) if stream is None else stream

    def decode(self, data: bytes) -> Iterator[bytes]:
        stream = self._stream
        full = True
        while (data or full) and not stream.eof:
            piece = stream.decompress(data, _PIECE)
            data = stream.unconsumed_tail
            full = len(piece) == _PIECE
            yield piece

    def fresh(self) -> _Zlib:
        return _Zlib(self._wbits)

    def copy(self) -> _Zlib:
        return _Zlib(self._wbits, self._stream.copy())

    @property
    def eof(self) -> bool:
        return bool(self._stream.eof)

    @property
    def unused(self) -> bytes:
        return bytes(self._stream.unused_data)


class _Brotli:
    """A brotli stream."""

    unused = b""
    """Nothing is known of it."""

    def __init__(self) -> None:
        self._stream = brotli.Decompressor()

    def decode(self, data: bytes) -> Iterator[bytes]:
        more = True
        while more and not self._stream.is_finished():
            piece: bytes = self._stream.process(data, output_buffer_limit=_PIECE)
            data, more = b"", len(piece) >= _PIECE
            yield piece

    def fresh(self) -> _Brotli:
        return _Brotli()

    def copy(self) -> None:
        return None

    @property
    def eof(self) -> bool:
        return bool(self._stream.is_finished())


class _Zstd:
    """A frame of zstandard."""

    def __init__(self) -> None:
        library = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        self._frame = library.decompressobj()

    def decode(self, data: bytes) -> Iterator[bytes]:
        yield self._frame.decompress(data)

    def fresh(self) -> _Zstd:
        return _Zstd()

    def copy(self) -> None:
        return None

    @property
    def eof(self) -> bool:
        return self._frame.eof

    @property
    def unused(self) -> bytes:
        return self._frame.unused_data
