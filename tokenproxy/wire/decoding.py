"""Content-encoding, undone incrementally: what the wire carries in, what was meant out.

The rules:

* A compressed body is ONE stream, however the network cuts it. A decoder lives
  as long as its body; a chunk is never a stream of its own.
* ``Content-Encoding`` lists encodings in the order they were applied, so they
  are undone from the last to the first.
* gzip may have several members one after the other (RFC 1952); bytes after the
  last that begin no member are ignored, as clients do. zstd may have several
  frames (RFC 8878).
* ``deflate`` means zlib (RFC 9110), but raw deflate is sent under that name
  too; the first bytes tell them apart.
* Output is bounded. A chunk that inflates beyond the bound is a bomb or a
  fault, and the decoder fails. Within the bound it comes in pieces, so whoever
  takes them one by one never holds more than a few MiB.
* A zstd window is 8 MiB at most (RFC 9659): more would be memory for nothing.

* A stream that breaks gives all that comes before the error, however it is cut
  (:mod:`.decompress`).

A decoder that failed says so and returns nothing from then on: the tap goes
blind for this body, the client gets its bytes all the same.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from tokenproxy.wire.decompress import ERRORS, Stream, brotli_stream, zlib_stream, zstd_stream

FEED_LIMIT = 64 * 1024 * 1024
"""Most bytes that one chunk may become, unless told otherwise."""

_SLICE = 16 * 1024
"""Input that zlib or brotli are given at once: they copy what they do not get to each time."""

_ZSTD_SLICE = 128
"""Input that zstandard, which takes no bound, is given at once. The worst that it can become
is 4 MiB: 128 KiB for each block of 4 bytes."""

_MAX_CHAIN = 4
"""Encodings on top of each other that are undone; more is no honest body."""

_DEFLATE_HEAD = 1024
"""After this many bytes without an error or output it is settled that deflate means zlib."""


class _BrokenStreamError(Exception):
    """The body is not what its encoding promises, or is larger than allowed."""


class _Stage(Protocol):
    """Undoes one encoding."""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Decode the next bytes, piece by piece; raises _BrokenStreamError."""
        ...

    def ended(self) -> bool:
        """Whether the stream came to its end."""
        ...


class Decoder:
    """Undoes a chain of encodings, chunk by chunk; at the end of a body nothing is left in it.

    Args:
        stages: one for each encoding, the last applied first; None if one is unknown.
        limit: most bytes that one chunk may become at any stage.
    """

    def __init__(self, stages: list[_Stage] | None, limit: int = FEED_LIMIT) -> None:
        self.failed = stages is None
        """The encoding is unknown, the stream is corrupt or inflates beyond the limit."""
        self._stages = stages or []
        self.plain = stages == []
        """Nothing is to be undone: what is fed comes out as it is."""
        self._limit = limit
        self._fed = False

    @property
    def complete(self) -> bool:
        """Whether all that began has come to its end (a body of no bytes never began)."""
        if self.failed:
            return False
        return not self._fed or all(stage.ended() for stage in self._stages)

    def feed(self, data: bytes) -> bytes:
        """Decode the next bytes; nothing once it failed. Never raises."""
        decoded = b"".join(self.pieces(data))
        return b"" if self.failed else decoded

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Decode the next bytes in pieces of some MiB at most. Never raises.

        All of them must be taken before more is fed. Those before a failure are valid.
        """
        if self.failed or not data:
            return
        self._fed = True
        try:
            yield from self._undo(data, 0, [self._limit] * len(self._stages))
        except _BrokenStreamError:
            self.failed = True
            self._stages = []

    def _undo(self, data: bytes, level: int, room: list[int]) -> Iterator[bytes]:
        """Undo the encodings from ``level`` on; ``room`` is what each may still give."""
        if level == len(self._stages):
            yield data
            return
        for piece in self._stages[level].pieces(data):
            room[level] -= len(piece)
            if room[level] < 0:
                raise _BrokenStreamError
            if piece:
                yield from self._undo(piece, level + 1, room)


def open_decoder(content_encoding: str, limit: int = FEED_LIMIT) -> Decoder:
    """A decoder for a body with this ``Content-Encoding`` (empty: none).

    An encoding we do not know gives a decoder that has failed already.
    """
    if not content_encoding:
        return Decoder([], limit)
    names = [name.strip().lower() for name in content_encoding.split(",")]
    wanted = [name for name in names if name and name != "identity"]
    if len(wanted) > _MAX_CHAIN or not all(name in _STAGES for name in wanted):
        return Decoder(None)
    return Decoder([_STAGES[name]() for name in reversed(wanted)], limit)


class _Members:
    """Streams one after the other: gzip members, zstd frames.

    Args:
        open_member: a fresh decompressor.
        step: input is taken in slices of this many bytes.
    """

    def __init__(self, open_member: Callable[[], Stream], step: int) -> None:
        self._open = open_member
        self._step = step
        self._member = open_member()
        self._first = True
        self._produced = False
        self._ignoring = False

    def pieces(self, data: bytes) -> Iterator[bytes]:
        if len(data) <= self._step:
            return self._feed_slice(data)
        return (piece for part in _slices(data, self._step) for piece in self._feed_slice(part))

    def _feed_slice(self, data: bytes) -> Iterator[bytes]:
        while data and not self._ignoring:
            if self._member.eof:
                data = data.lstrip(b"\0")  # gzip files on tape are padded with zeros
                if not data:
                    break
                self._member = self._open()
                self._first = self._produced = False
            try:
                for piece in self._member.pieces(data):
                    self._produced = self._produced or bool(piece)
                    yield piece
            except ERRORS as error:
                if self._first or self._produced:
                    raise _BrokenStreamError from error
                self._ignoring = True
                break
            data = self._member.unused

    def ended(self) -> bool:
        return self._member.eof or self._ignoring


class _Deflate:
    def __init__(self) -> None:
        self._stream = zlib_stream(zlib.MAX_WBITS)
        self._head: bytes | None = b""
        """Input so far while it is open whether this is zlib or raw; None once it is settled."""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        if self._head is not None:
            # Settled at the same byte, however the body is cut.
            room = _DEFLATE_HEAD - len(self._head)
            yield from self._feed_slice(data[:room])
            data = data[room:]
            if self._head is not None and len(self._head) >= _DEFLATE_HEAD:
                self._head = None
        for part in _slices(data, _SLICE):
            yield from self._feed_slice(part)

    def _feed_slice(self, data: bytes) -> Iterator[bytes]:
        if self._head is not None:
            self._head += data
        try:
            for piece in self._stream.pieces(data):
                if piece:
                    self._head = None
                yield piece
        except ERRORS as error:
            if self._head is None:
                raise _BrokenStreamError from error
            data, self._head = self._head, None
            self._stream = zlib_stream(-zlib.MAX_WBITS)
            yield from self._feed_slice(data)

    def ended(self) -> bool:
        return self._stream.eof


class _Brotli:
    def __init__(self) -> None:
        self._stream = brotli_stream()

    def pieces(self, data: bytes) -> Iterator[bytes]:
        for part in _slices(data, _SLICE):
            try:
                yield from self._stream.pieces(part)
            except ERRORS as error:
                raise _BrokenStreamError from error

    def ended(self) -> bool:
        return self._stream.eof


def _slices(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def _gzip() -> _Stage:
    return _Members(lambda: zlib_stream(16 + zlib.MAX_WBITS), _SLICE)


def _zstd() -> _Stage:
    return _Members(zstd_stream, _ZSTD_SLICE)


_STAGES: Mapping[str, Callable[[], _Stage]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _Deflate,
    "br": _Brotli,
    "zstd": _zstd,
}
