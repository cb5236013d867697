"""Where a body ends, and what of the bytes is payload. Nothing is changed by it."""

from __future__ import annotations

import re
from io import BytesIO
from operator import itemgetter
from typing import Protocol

from tokenproxy.proxy.lane.head import Framing, ProtocolError

_SIZE = re.compile(rb"[0-9A-Fa-f]{1,15}")
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})\r\n")
_LONGEST_LINE = 16 * 1024
_KNOWN_SIZES = 4096
_MANY = 16
"""Chunks as long as the last: for fewer there is nothing to prepare."""
_WITHOUT_LINE_END = itemgetter(slice(None, -2))


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
    try:
        while at < end:
            begins = find(b"\n", at) + 1
            behind = begins + _SIZES[data[at:begins]]
            if behind > end:
                break
            take(data[begins : behind - 2])
            if _MANY * (behind - at) < end - behind:
                return _take_many(data, behind, payload)
            at = behind
    except KeyError:
        pass  # a line that says something else
    return at


def _take_many(data: bytes, at: int, payload: list[bytes]) -> int:
    """The same, line after line and chunk after chunk by C alone: in half the time."""
    chunks: list[bytes] = []
    file = BytesIO(data)
    file.seek(at)
    try:
        chunks.extend(map(file.read, map(_SIZES.__getitem__, iter(file.readline, None))))
    except KeyError as other:
        line: bytes = other.args[0]  # what was taken before it is kept
    behind = file.tell() - len(line)
    if chunks and not line:
        # The data's end. It may have cut the last chunk: that is left, with its size.
        last = chunks.pop()
        if chunks and not chunks[-1].endswith(b"\n"):
            return at  # no line end behind it: where a line begins cannot be told from here
        behind = max(data.rfind(b"\n", at, behind - len(last) - 1) + 1, at)
    payload.extend(map(_WITHOUT_LINE_END, chunks))
    return behind


class _Sizes(dict[bytes, int]):
    """What a line says that has a chunk's size and no more: bytes up to the next such line.

    Sizes come again and again: looking one up takes less time than reading it.
    """

    def __missing__(self, line: bytes) -> int:
        """Read a line that is not known yet; KeyError if it says anything else."""
        found = _SIZE_LINE.fullmatch(line)
        size = int(found[1], 16) if found is not None else 0
        if not size:
            raise KeyError(line)
        size += len(b"\r\n")
        if len(self) < _KNOWN_SIZES:
            self[line] = size
        return size


_SIZES = _Sizes()


def _joined(pieces: list[bytes]) -> bytes:
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
