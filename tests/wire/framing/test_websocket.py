"""Frames: however they are cut, masked, fragmented and compressed, the messages are the same."""

from __future__ import annotations

import json
import struct
import tracemalloc
import zlib
from collections.abc import Iterator
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.strategies import chunked, cuts
from tokenproxy.wire.framing import message as one_message
from tokenproxy.wire.framing import permessage, websocket
from tokenproxy.wire.framing.jsonbody import REQUEST_RAW_LIMIT
from tokenproxy.wire.framing.message import Message
from tokenproxy.wire.framing.websocket import NO_CODE, FrameReader

FINAL, COMPRESSED = 0x80, 0x40
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
TAIL = b"\x00\x00\xff\xff"
SIZES = (0, 1, 125, 126, 65535, 65536, REQUEST_RAW_LIMIT + 1)


def frame(first: int, payload: bytes, mask: bytes = b"") -> bytes:
    """A frame; masked if there is a mask."""
    size, bit = len(payload), 0x80 if mask else 0
    if size < 126:
        length = bytes([bit | size])
    elif size < 1 << 16:
        length = bytes([bit | 126]) + struct.pack(">H", size)
    else:
        length = bytes([bit | 127]) + struct.pack(">Q", size)
    if mask:
        payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return bytes([first]) + length + mask + payload


def read(chunks: list[bytes], reader: FrameReader | None = None) -> list[Message]:
    reader = reader or FrameReader()
    return [message for chunk in chunks for message in reader.feed(chunk)]


def message(data: bytes) -> Message:
    return Message.of(data, outlines=False)


class Sender:
    """Draws how messages are sent."""

    def __init__(self, draw: st.DataObject, *, deflate: bool, starts_anew: bool) -> None:
        self._draw = draw
        self._deflate = deflate
        self._starts_anew = starts_anew
        self._stream = zlib.compressobj(wbits=-15)

    def wire(self, data: bytes) -> bytes:
        compressed = self._deflate and self._draw.draw(st.booleans())
        payload = self._compress(data) if compressed else data
        pieces = chunked(payload, self._draw.draw(cuts(len(payload))))
        whole = b""
        for number, piece in enumerate(pieces):
            first = self._draw.draw(st.sampled_from([TEXT, BINARY])) if not number else CONTINUATION
            first |= COMPRESSED if compressed and not number else 0
            first |= FINAL if number == len(pieces) - 1 else 0
            whole += self._frame(first, piece)
            if self._draw.draw(st.booleans()):
                control = FINAL | self._draw.draw(st.sampled_from([PING, PONG]))
                whole += self._frame(control, self._draw.draw(st.binary(max_size=125)))
        return whole

    def _frame(self, first: int, payload: bytes) -> bytes:
        return frame(first, payload, self._draw.draw(st.sampled_from([b"", b"abcd", bytes(4)])))

    def _compress(self, data: bytes) -> bytes:
        if self._starts_anew:
            self._stream = zlib.compressobj(wbits=-15)
        return (self._stream.compress(data) + self._stream.flush(zlib.Z_SYNC_FLUSH)).removesuffix(
            TAIL
        )


@given(
    st.lists(st.one_of(st.binary(max_size=300), st.sampled_from(SIZES).map(bytes)), max_size=4),
    st.booleans(),
    st.booleans(),
    st.data(),
)
def test_messages_are_the_same_however_they_come(
    told: list[bytes], deflate: bool, starts_anew: bool, data: st.DataObject
) -> None:
    sender = Sender(data, deflate=deflate, starts_anew=starts_anew)
    wire = b"".join(map(sender.wire, told))
    reader = FrameReader(deflate=deflate, starts_anew=starts_anew)
    assert read(chunked(wire, data.draw(cuts(len(wire)))), reader) == list(map(message, told))
    assert (reader.failed, reader.close_code) == (False, None)


@given(
    st.lists(st.one_of(st.binary(max_size=300), st.sampled_from(SIZES).map(bytes)), max_size=4),
    st.booleans(),
    st.sampled_from([1, 100, 100_000]),
    st.data(),
)
def test_they_are_the_same_however_much_is_read_at_once(
    told: list[bytes], starts_anew: bool, work: int, data: st.DataObject
) -> None:
    sender = Sender(data, deflate=True, starts_anew=starts_anew)
    wire = b"".join(map(sender.wire, told))
    reader = FrameReader(deflate=True, starts_anew=starts_anew)
    found: list[Message] = []
    with mock.patch.multiple(websocket, WORK=work), mock.patch.object(permessage, "_PIECE", 50):
        for chunk in chunked(wire, data.draw(cuts(len(wire)))):
            found += reader.feed_some(chunk)
            while reader.busy:
                found += reader.feed_some(b"")
    assert found == list(map(message, told))
    assert (reader.failed, reader.close_code) == (False, None)


def test_no_more_is_inflated_at_once_than_takes_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one message, and of many: each is little, and together they are much."""
    inflated: list[int] = []
    pieces = permessage.Inflater.pieces

    def noted(self: permessage.Inflater, data: bytes) -> Iterator[bytes]:
        for piece in pieces(self, data):
            inflated[-1] += len(piece)
            yield piece

    monkeypatch.setattr(permessage.Inflater, "pieces", noted)
    stream = zlib.compressobj(wbits=-15)
    payloads = [
        stream.compress(bytes(size)) + stream.flush(zlib.Z_SYNC_FLUSH)
        for size in (20_000_000, *[500_000] * 40)
    ]
    wire = b"".join(frame(FINAL | COMPRESSED | TEXT, one.removesuffix(TAIL)) for one in payloads)
    reader = FrameReader(deflate=True)
    inflated.append(0)
    found = reader.feed_some(wire)
    while reader.busy:
        inflated.append(0)
        found += reader.feed_some(b"")
    assert [one.size for one in found] == [20_000_000, *[500_000] * 40]
    assert max(inflated) <= websocket.WORK + 512 * 1024
    assert sum(inflated) == 40_000_000


def test_what_is_left_unread_when_it_makes_no_sense() -> None:
    stream = zlib.compressobj(wbits=-15)
    payload = stream.compress(bytes(5_000_000)) + stream.flush(zlib.Z_SYNC_FLUSH)
    reader = FrameReader(deflate=True)
    reader.feed_some(frame(FINAL | COMPRESSED | TEXT, payload[:-4] + b"\xff\xff\xff"))
    assert reader.busy
    assert reader.feed(b"") == []
    assert (reader.failed, reader.busy) == (True, False)


@given(st.binary(max_size=200), st.booleans(), st.data())
def test_whatever_comes_is_no_exception(wire: bytes, deflate: bool, data: st.DataObject) -> None:
    places = data.draw(cuts(len(wire)))
    cut, whole = FrameReader(deflate=deflate), FrameReader(deflate=deflate)
    assert read(chunked(wire, places), cut) == read([wire], whole)
    assert (cut.failed, cut.close_code) == (whole.failed, whole.close_code)


@pytest.mark.parametrize("masked", [b"", b"\x01\x02\x03\x04"])
@pytest.mark.parametrize(
    ("payload", "code"), [(b"", NO_CODE), (b"\x03", NO_CODE), (b"\x03\xf3bad", 1011)]
)
def test_a_close_ends_the_reading(masked: bytes, payload: bytes, code: int) -> None:
    reader = FrameReader()
    wire = frame(FINAL | TEXT, b"a") + frame(FINAL | CLOSE, payload, masked)
    assert reader.feed(wire + frame(FINAL | TEXT, b"b")) == [message(b"a")]
    assert reader.close_code == code
    assert reader.feed(frame(FINAL | TEXT, b"c")) == []


@pytest.mark.parametrize(
    "wire",
    [
        frame(FINAL | CONTINUATION, b"of nothing"),
        frame(TEXT, b"begun") + frame(FINAL | TEXT, b"again"),
        frame(FINAL | 0x3, b"unknown kind"),
        frame(FINAL | 0xB, b"unknown control"),
        frame(FINAL | 0x20 | TEXT, b"RSV2"),
        frame(FINAL | 0x10 | TEXT, b"RSV3"),
        frame(FINAL | COMPRESSED | TEXT, b"not agreed"),
        frame(PING, b"in pieces"),
        frame(FINAL | PING, bytes(126)),
        frame(FINAL | COMPRESSED | PING, b""),
        bytes([FINAL | TEXT, 127]) + b"\xff" * 8,
    ],
)
def test_what_is_no_frame_ends_the_reading(wire: bytes) -> None:
    reader = FrameReader()
    assert read([frame(FINAL | TEXT, b"before") + wire], reader) == [message(b"before")]
    assert reader.failed
    assert reader.feed(frame(FINAL | TEXT, b"behind")) == []


def test_what_does_not_inflate_ends_the_reading() -> None:
    reader = FrameReader(deflate=True)
    assert reader.feed(frame(FINAL | COMPRESSED | TEXT, b"\xff\xff\xff")) == []
    assert reader.failed


def test_a_bomb_is_not_inflated_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_message, "INFLATED_LIMIT", 1_000_000)
    stream = zlib.compressobj(wbits=-15)
    bomb = stream.compress(bytes(100_000_000)) + stream.flush(zlib.Z_SYNC_FLUSH)
    reader = FrameReader(deflate=True)
    tracemalloc.start()
    assert reader.feed(frame(FINAL | COMPRESSED | TEXT, bomb.removesuffix(TAIL))) == []
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reader.failed
    assert peak < 8_000_000


@pytest.mark.parametrize("outlines", [True, False])
def test_what_is_too_large_to_keep_is_outlined_where_that_is_asked_for(outlines: bool) -> None:
    words = b'{"role":"user","content":"some words, not too many"},' * 200_000
    said = b'{"type":"response.create","model":"m","input":[%s1]}' % words
    (found,) = FrameReader(outlines=outlines).feed(frame(FINAL | TEXT, said))
    assert found == Message.of(said, outlines=outlines)
    assert found.size == len(said)
    told = json.loads(found.data or b"{}")
    assert list(told) == (["type", "model", "input"] if outlines else [])


@pytest.mark.parametrize("mask", [b"", b"\x01\x02\x03\x04"])
def test_a_huge_message_takes_little_memory(mask: bytes) -> None:
    size, piece = 64_000_000, 65_536
    head = frame(FINAL | BINARY, b"", mask)[:1] + bytes([127 | (0x80 if mask else 0)])
    head += struct.pack(">Q", size) + mask
    reader = FrameReader()
    tracemalloc.start()
    found = read([head, b'"'.ljust(4)] + [bytes(piece)] * (size // piece), reader)
    found += reader.feed(bytes((size - 4) % piece))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [one.size for one in found] == [size]
    assert len(found[0].data) < 9_000_000
    assert peak < 20_000_000
