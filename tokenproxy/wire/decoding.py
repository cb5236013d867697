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
  fault, and the decoder fails.

A decoder that failed says so and returns nothing from then on: the tap goes
blind for this body, the client gets its bytes all the same.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Protocol

import brotli  # type: ignore[import-untyped] # it ships none
import zstandard

FEED_LIMIT = 64 * 1024 * 1024
"""Most bytes that one chunk may become, unless told otherwise."""

_MAX_CHAIN = 4
"""Encodings on top of each other that are undone; more is no honest body."""

_DEFLATE_HEAD = 1024
"""After this many bytes without an error or output it is settled that deflate means zlib."""


class _BrokenStreamError(Exception):
    """The body is not what its encoding promises, or is larger than allowed."""


class _Stage(Protocol):
    """Undoes one encoding."""

    def feed(self, data: bytes, limit: int) -> bytes:
        """Decode the next bytes to ``limit`` bytes at most, else raise _BrokenStreamError."""
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
        if self.failed:
            return b""
        self._fed = self._fed or bool(data)
        for stage in self._stages:
            if not data:
                break
            try:
                data = stage.feed(data, self._limit)
            except _BrokenStreamError:
                self.failed = True
                self._stages = []
                return b""
        return data


def open_decoder(content_encoding: str, limit: int = FEED_LIMIT) -> Decoder:
    """A decoder for a body with this ``Content-Encoding`` (empty: none).

    An encoding we do not know gives a decoder that has failed already.
    """
    names = [name.strip().lower() for name in content_encoding.split(",")]
    wanted = [name for name in names if name and name != "identity"]
    if len(wanted) > _MAX_CHAIN or not all(name in _STAGES for name in wanted):
        return Decoder(None)
    return Decoder([_STAGES[name]() for name in reversed(wanted)], limit)


def decode_all(body: bytes, content_encoding: str, limit: int) -> bytes | None:
    """The decoded body, or None if it is corrupt, cut short or larger than ``limit`` bytes."""
    decoder = open_decoder(content_encoding, limit)
    decoded = decoder.feed(body)
    if not decoder.complete or len(decoded) > limit:
        return None
    return decoded


class _Member(Protocol):
    """A decompressor of zlib or zstandard: it ends by itself and gives back what follows."""

    def decompress(self, data: bytes, /) -> bytes: ...
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...


class _Members:
    """Streams one after the other: gzip members, zstd frames.

    Args:
        open_member: a fresh decompressor.
        step: input is taken in slices of this many bytes. A slice bounds what it
            can become (gzip: 1032-fold; zstd: 128 KiB for 4 bytes), so the limit
            is overshot by some 32 MiB at most before it is noticed.
    """

    def __init__(self, open_member: Callable[[], _Member], step: int) -> None:
        self._open = open_member
        self._step = step
        self._member = open_member()
        self._first = True
        self._produced = False
        self._ignoring = False

    def feed(self, data: bytes, limit: int) -> bytes:
        pieces: list[bytes] = []
        room = limit
        for start in range(0, len(data), self._step):
            for piece in self._feed_slice(data[start : start + self._step]):
                pieces.append(piece)
                room -= len(piece)
            if room < 0:
                raise _BrokenStreamError
        return b"".join(pieces)

    def _feed_slice(self, data: bytes) -> list[bytes]:
        pieces: list[bytes] = []
        while data and not self._ignoring:
            if self._member.eof:
                data = data.lstrip(b"\0")  # gzip files on tape are padded with zeros
                if not data:
                    break
                self._member = self._open()
                self._first = self._produced = False
            try:
                piece = self._member.decompress(data)
            except (zlib.error, zstandard.ZstdError) as error:
                if self._first or self._produced:
                    raise _BrokenStreamError from error
                self._ignoring = True
                break
            self._produced = self._produced or bool(piece)
            pieces.append(piece)
            data = self._member.unused_data
        return pieces

    def ended(self) -> bool:
        return self._member.eof or self._ignoring


class _Deflate:
    def __init__(self) -> None:
        self._stream = zlib.decompressobj()
        self._head: bytes | None = b""
        """Input so far while it is open whether this is zlib or raw; None once it is settled."""

    def feed(self, data: bytes, limit: int) -> bytes:
        if self._stream.eof:
            return b""
        try:
            decoded = self._decompress(data, limit)
        except zlib.error as error:
            raise _BrokenStreamError from error
        if len(decoded) > limit:
            raise _BrokenStreamError
        return decoded

    def _decompress(self, data: bytes, limit: int) -> bytes:
        if self._head is None:
            return self._stream.decompress(data, limit + 1)
        self._head += data
        try:
            decoded = self._stream.decompress(data, limit + 1)
        except zlib.error:
            self._stream = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
            decoded = self._stream.decompress(self._head, limit + 1)
            self._head = None
        if decoded or (self._head is not None and len(self._head) > _DEFLATE_HEAD):
            self._head = None
        return decoded

    def ended(self) -> bool:
        return self._stream.eof


class _Brotli:
    def __init__(self) -> None:
        self._stream = brotli.Decompressor()

    def feed(self, data: bytes, limit: int) -> bytes:
        if self._stream.is_finished():
            return b""
        try:
            decoded: bytes = self._stream.process(data, output_buffer_limit=limit + 1)
        except brotli.error as error:
            raise _BrokenStreamError from error
        if len(decoded) > limit:
            raise _BrokenStreamError
        return decoded

    def ended(self) -> bool:
        return bool(self._stream.is_finished())


def _open_gzip() -> _Stage:
    return _Members(lambda: zlib.decompressobj(wbits=16 + zlib.MAX_WBITS), step=16 * 1024)


def _open_zstd() -> _Stage:
    return _Members(lambda: zstandard.ZstdDecompressor().decompressobj(), step=1024)


_STAGES: Mapping[str, Callable[[], _Stage]] = {
    "gzip": _open_gzip,
    "x-gzip": _open_gzip,
    "deflate": _Deflate,
    "br": _Brotli,
    "zstd": _open_zstd,
}
