"""Where a body ends, and what of the bytes is payload. Nothing is changed by it."""

from __future__ import annotations

import re
from typing import Protocol

from tokenproxy.proxy.lane.head import Framing, ProtocolError

_SIZE = re.compile(rb"[0-9A-Fa-f]{1,15}")
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})\r\n")
_LONGEST_LINE = 16 * 1024
_KNOWN_SIZES = 4096


class Body(Protocol):
    """Follows one body."""

    over: bool

    def feed(self, data: bytes) -> tuple[bytes, int]:
        """Take ``data``; its payload, and how many of its bytes belong to this body.

        Raises:
            ProtocolError: Its framing is broken.
        """
        ...


def body_of(framing: Framing, *, strict: bool = False) -> Body:
    """A follower of a body that is framed so.

    Args:
        framing: How it ends.
        strict: Take nothing that another reader could take for something else: of a request,
            lest a call hides in what is a body to us alone.
    """
    match framing:
        case "none":
            return Sized(0)
        case "chunked":
            return Chunked(strict=strict)
        case "close":
            return UntilClose()
        case _:
            return Sized(framing)


class Sized:
    """So many bytes."""

    def __init__(self, length: int) -> None:
        self._left = length
        self.over = length == 0

    def feed(self, data: bytes) -> tuple[bytes, int]:
        """See :class:`Body`."""
        if len(data) <= self._left:
            self._left -= len(data)
            self.over = not self._left
            return data, len(data)
        used, self._left, self.over = self._left, 0, True
        return data[:used], used


class UntilClose:
    """All that comes."""

    over = False

    def feed(self, data: bytes) -> tuple[bytes, int]:
        """See :class:`Body`."""
        return data, len(data)


class Chunked:
    """Chunks (RFC 9112, section 7.1); extensions and trailers are passed over."""

    def __init__(self, *, strict: bool = False) -> None:
        self._strict = strict
        self._behind = b""
        """What has come of the line end behind a chunk."""
        self.over = False
        self._left = 0
        """Bytes of the chunk that are to come, its CRLF included."""
        self._line = b""
        self._trailers = False

    def feed(self, data: bytes) -> tuple[bytes, int]:
        """See :class:`Body`."""
        payload: list[bytes] = []
        at, end = 0, len(data)
        usual = not self._strict
        while at < end and not self.over:
            if usual and not (self._left or self._line or self._trailers):
                usual = False  # what comes behind those is not
                at = _take_whole(data, at, payload)
                continue
            if self._left:
                take = min(self._left, end - at)
                ours = min(take, max(self._left - 2, 0))
                if ours:
                    payload.append(data[at : at + ours])
                if self._strict and ours < take:
                    self._behind += data[at + ours : at + take]
                self._left -= take
                at += take
                if self._strict and not self._left:
                    behind, self._behind = self._behind, b""
                    if behind != b"\r\n":
                        raise ProtocolError("a chunk that is longer than its size")
                continue
            newline = data.find(b"\n", at)
            if newline < 0:
                self._line += data[at:]
                if len(self._line) > _LONGEST_LINE:
                    raise ProtocolError("a chunk without a size")
                return _joined(payload), end
            self._read_line(self._line + data[at:newline])
            self._line = b""
            at = newline + 1
        return _joined(payload), at

    def _read_line(self, line: bytes) -> None:
        if self._strict:
            if not line.endswith(b"\r") or b"\r" in line[:-1]:
                raise ProtocolError("a line of chunks that does not end as HTTP's do")
            line = line[:-1]
        else:
            line = line.rstrip(b"\r")
        if self._trailers:
            self.over = not line
            return
        size = line.partition(b";")[0]
        if not self._strict:
            size = size.strip(b" \t")
        if not _SIZE.fullmatch(size):
            raise ProtocolError("a chunk without a size")
        count = int(size, 16)
        self._trailers = not count
        self._left = count + 2 if count else 0


def _take_whole(data: bytes, at: int, payload: list[bytes]) -> int:
    """Take the payload of chunks as nearly all are: their size and no more said, and all there.

    A stream of events brings hundreds of small ones at a time where it is fast.

    Returns:
        Where what is none of them begins.
    """
    find, take, end = data.find, payload.append, len(data)
    while at < end:
        begins = find(b"\n", at) + 1
        size = _SIZES[data[at:begins]]
        behind = begins + size
        if not size or behind + 2 > end:
            break
        take(data[begins:behind])
        at = behind + 2
    return at


class _Sizes(dict[bytes, int]):
    """What a line says that has a chunk's size and no more; 0 if it is no such line.

    Sizes come again and again: looking one up takes less time than reading it.
    """

    def __missing__(self, line: bytes) -> int:
        found = _SIZE_LINE.fullmatch(line)
        size = int(found[1], 16) if found is not None else 0
        if size and len(self) < _KNOWN_SIZES:
            self[line] = size
        return size


_SIZES = _Sizes()


def _joined(pieces: list[bytes]) -> bytes:
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
