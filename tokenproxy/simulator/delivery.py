"""From the plain pieces of a reply to the frames that go on the wire.

A frame is the content of one HTTP chunk. Encoding comes first (each piece is
flushed, as a streaming server does), then the boundaries are drawn over the
encoded bytes, wherever they fall.
"""

from __future__ import annotations

import random
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate, pairwise
from typing import Protocol

import msgspec

from tokenproxy.simulator.messages import Known
from tokenproxy.simulator.reply import Reply

PREFERENCE = ("br", "gzip", "zstd", "deflate")
"""What ``auto`` picks first, as the real API does."""


class Frame(msgspec.Struct, frozen=True):
    """Bytes that are sent at once."""

    data: bytes
    delay_s: float
    known: Known | None


class Encoder(Protocol):
    """A streaming compressor."""

    def piece(self, data: bytes) -> bytes:
        """Encode and flush."""
        ...

    def end(self) -> bytes:
        """The encoding's last bytes."""
        ...


class Zlib:
    """gzip, deflate with its zlib wrapper, or raw deflate as some servers send it."""

    def __init__(self, wbits: int) -> None:
        self._state = zlib.compressobj(wbits=wbits)

    def piece(self, data: bytes) -> bytes:
        """Encode and flush."""
        return self._state.compress(data) + self._state.flush(zlib.Z_SYNC_FLUSH)

    def end(self) -> bytes:
        """The encoding's last bytes."""
        return self._state.flush()


class Brotli:
    """Content encoding ``br``."""

    def __init__(self) -> None:
        import brotli  # type: ignore[import-untyped] # it ships none

        self._state = brotli.Compressor(quality=4)

    def piece(self, data: bytes) -> bytes:
        """Encode and flush."""
        return bytes(self._state.process(data) + self._state.flush())

    def end(self) -> bytes:
        """The encoding's last bytes."""
        return bytes(self._state.finish())


class Zstd:
    """Content encoding ``zstd``."""

    def __init__(self) -> None:
        import zstandard

        self._state = zstandard.ZstdCompressor().compressobj()
        self._flush = zstandard.COMPRESSOBJ_FLUSH_BLOCK

    def piece(self, data: bytes) -> bytes:
        """Encode and flush."""
        return self._state.compress(data) + self._state.flush(self._flush)

    def end(self) -> bytes:
        """The encoding's last bytes."""
        return self._state.flush()


def open_encoder(name: str) -> Encoder:
    """An encoder by name; ``deflate-raw`` is announced as ``deflate``. ValueError if unknown."""
    match name:
        case "gzip":
            return Zlib(31)
        case "deflate":
            return Zlib(15)
        case "deflate-raw":
            return Zlib(-15)
        case "br":
            return Brotli()
        case "zstd":
            return Zstd()
        case _:
            raise ValueError(f"unknown content encoding: {name!r}")


def negotiated(wanted: str, accept_encoding: str | None) -> str:
    """The encoder to use for ``wanted`` (a name or ``auto``); "" when it is not accepted."""
    accepted = set()
    for item in (accept_encoding or "").lower().split(","):
        name, _, params = item.strip().partition(";")
        quality = params.strip().removeprefix("q=")
        if quality.strip("0.") or not params:
            accepted.add(name.strip())
    names = PREFERENCE if wanted == "auto" else (wanted,)
    return next((n for n in names if {n.removesuffix("-raw"), "*"} & accepted), "")


def frames(reply: Reply, encoding: str) -> list[Frame]:
    """The frames of ``reply`` in ``encoding`` ("": as it is)."""
    encoder = open_encoder(encoding) if encoding else None
    coded = [
        (piece.delay_s, encoder.piece(piece.data) if encoder else piece.data, piece.known)
        for piece in reply.pieces
    ]
    if encoder and reply.ending == "complete":
        coded.append((0.0, encoder.end(), None))
    wire = b"".join(data for _, data, _ in coded)
    ends = list(accumulate(len(data) for _, data, _ in coded))
    starts = [0, *ends[:-1]]
    cuts = sorted({0, *_boundaries(reply.chunks, ends)})
    result = []
    done = 0
    begun = 0
    known = None
    for low, high in pairwise(cuts):
        # A frame waits for every piece that begins in it, and makes known what ends in it.
        upto = bisect_right(starts, high - 1)
        delay = sum(item[0] for item in coded[begun:upto])
        finished = bisect_right(ends, high)
        fresh = [item[2] for item in coded[done:finished] if item[2] is not None]
        known = fresh[-1] if fresh else known
        begun, done = upto, finished
        result.append(Frame(wire[low:high], delay, known))
    return result


def _boundaries(mode: str, ends: list[int]) -> Iterator[int]:
    size = ends[-1] if ends else 0
    kind, _, seed = mode.partition(":")
    match kind:
        case "pieces":
            yield from ends
        case "whole":
            yield size
        case "bytes":
            yield from range(1, size + 1)
        case "random":
            dice = random.Random(seed)  # noqa: S311 - reproducible boundaries, not a secret
            at = 0
            while at < size:
                at = min(size, at + dice.choice((1, 2, 3, 7, 20, 64, 300)))
                yield at
        case _:
            raise ValueError(f"unknown chunk boundaries: {mode!r}")
