from __future__ import annotations

from binascii import crc32
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.fixtures.eventstream import frame, header, text_header
from tests.wire.strategies import chunked, cuts
from tokenproxy.wire.framing.eventstream import EventStreamReader, HeaderValue, Message


def read(body: bytes, step: int | None = None, limit: int = 1000) -> list[Message]:
    reader = EventStreamReader(limit)
    step = step or max(len(body), 1)
    return [
        message for at in range(0, len(body), step) for message in reader.feed(body[at : at + step])
    ]


TYPES: list[tuple[bytes, HeaderValue]] = [
    (header("h", 0, b""), True),
    (header("h", 1, b""), False),
    (header("h", 2, b"\xff"), -1),
    (header("h", 3, b"\x01\x00"), 256),
    (header("h", 4, b"\xff\xff\xff\xfe"), -2),
    (header("h", 5, b"\x00\x00\x00\x01\x00\x00\x00\x00"), 2**32),
    (header("h", 6, b"\x00\x03\x00\xff\x00"), b"\x00\xff\x00"),
    (header("h", 7, b"\x00\x02\xc3\xa4"), "ä"),
    (header("h", 8, b"\x00\x00\x01\x9a\xaa\xaa\xaa\xaa"), 1_763_799_902_890),
    (header("h", 9, bytes(range(16))), UUID("00010203-0405-0607-0809-0a0b0c0d0e0f")),
]


@pytest.mark.parametrize(("encoded", "value"), TYPES, ids=lambda item: type(item).__name__)
def test_each_type_of_header(encoded: bytes, value: HeaderValue) -> None:
    [message] = read(frame([encoded, text_header("after", "x")], b"{}"))
    assert message == Message({"h": value, "after": "x"}, b"{}")
    assert type(message.headers["h"]) is type(value)


def test_the_smallest_message_as_aws_shows_it() -> None:
    """The empty message of AWS's own test vectors."""
    assert read(bytes.fromhex("000000100000000005c248eb7d98c8ff")) == [Message({}, b"")]


def test_a_word_is_a_string_or_nothing() -> None:
    [message] = read(frame([text_header("a", "x"), header("b", 0, b"")]))
    assert (message.word("a"), message.word("b"), message.word("c")) == ("x", "", "")


@pytest.mark.parametrize(
    "block",
    [
        b"\x01",
        b"\x05ab",
        b"\x01h",
        b"\x01h\x0a",
        b"\x01h\x04\x00",
        b"\x01h\x07\x00",
        b"\x01h\x07\x00\x05ab",
        b"\x01h\x07\x00\x01\xff",
        b"\x01\xff\x00",
        b"\x01h\x09short",
    ],
)
def test_headers_that_do_not_parse(block: bytes) -> None:
    reader = EventStreamReader()
    assert reader.feed(frame([block], b"x") + frame((), b"next")) == [Message({}, b"next")]
    assert (reader.corrupt, reader.oversized, reader.failed) == (1, 0, False)


def test_a_wrong_checksum_costs_only_its_message() -> None:
    bad = bytearray(frame([text_header("a", "b")], b"payload"))
    bad[-6] ^= 1
    reader = EventStreamReader()
    assert reader.feed(bytes(bad) + frame((), b"next")) == [Message({}, b"next")]
    reader.close()
    assert (reader.corrupt, reader.failed, reader.torn) == (1, False, False)


@pytest.mark.parametrize("at", range(12))
def test_after_a_wrong_prelude_nothing_is_believed(at: int) -> None:
    bad = bytearray(frame((), b"payload"))
    bad[at] ^= 0x40
    reader = EventStreamReader()
    assert reader.feed(frame((), b"before") + bytes(bad) + frame((), b"next")) == [
        Message({}, b"before")
    ]
    assert reader.feed(frame((), b"next")) == []
    reader.close()
    assert (reader.corrupt, reader.failed, reader.torn) == (0, True, False)


@pytest.mark.parametrize(("total", "headers"), [(0, 0), (15, 0), (16, 1), (20, 5), (16, 2**32 - 1)])
def test_lengths_that_cannot_be(total: int, headers: int) -> None:
    lengths = total.to_bytes(4, "big") + headers.to_bytes(4, "big")
    reader = EventStreamReader()
    assert reader.feed(lengths + crc32(lengths).to_bytes(4, "big") + frame()) == []
    assert reader.failed


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_a_message_too_large_is_passed_over(step: int) -> None:
    body = frame((), b"a") + frame((), b"x" * 50) + frame((), b"y" * 48) + frame((), b"b")
    reader = EventStreamReader(limit=64)
    found = [m for at in range(0, len(body), step) for m in reader.feed(body[at : at + step])]
    assert [message.payload for message in found] == [b"a", b"y" * 48, b"b"]
    reader.close()
    assert (reader.oversized, reader.corrupt, reader.torn) == (1, 0, False)


def test_a_message_too_large_is_not_kept() -> None:
    body = frame((), b"x" * 100_000)
    reader = EventStreamReader(limit=1000)
    for at in range(0, len(body) - 1, 100):
        assert reader.feed(body[at : at + 100]) == []
        assert len(reader._held) <= 12
    assert reader.oversized == 1


@pytest.mark.parametrize("cut", [1, 11, 12, 13, 19])
def test_torn(cut: int) -> None:
    whole = frame((), b"abcd")
    reader = EventStreamReader()
    reader.feed(whole)
    reader.feed(whole[:cut])
    reader.close()
    assert reader.torn
    large = EventStreamReader(limit=16)
    large.feed(whole[:19])
    large.close()
    assert large.torn


NAMES = st.text("abc:-", min_size=1, max_size=8)


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    names = draw(st.lists(NAMES, unique=True, max_size=3))
    block = [text_header(name, draw(st.text(max_size=6))) for name in names]
    return frame(block, draw(st.binary(max_size=120)))


def drain(body: bytes, places: list[int]) -> tuple[list[Message], tuple[int, int, bool, bool]]:
    reader = EventStreamReader(limit=100)
    found = [message for chunk in chunked(body, places) for message in reader.feed(chunk)]
    reader.close()
    return found, (reader.oversized, reader.corrupt, reader.failed, reader.torn)


@given(whole=st.lists(frames(), max_size=5).map(b"".join), data=st.data())
def test_any_chunking_gives_the_same_messages(whole: bytes, data: st.DataObject) -> None:
    assert drain(whole, data.draw(cuts(len(whole)))) == drain(whole, [])


@given(headers=st.dictionaries(NAMES, st.text(max_size=9), max_size=4), payload=st.binary())
def test_what_was_written_is_read(headers: dict[str, str], payload: bytes) -> None:
    body = frame((text_header(*pair) for pair in headers.items()), payload)
    assert read(body, limit=10_000) == [Message(headers, payload)]


@given(messages=st.lists(frames(), min_size=1, max_size=4), data=st.data())
def test_a_flipped_bit_is_never_read(messages: list[bytes], data: st.DataObject) -> None:
    body = bytearray(b"".join(messages))
    bit = data.draw(st.integers(0, len(body) * 8 - 1))
    body[bit // 8] ^= 1 << bit % 8
    places = data.draw(cuts(len(body)))
    found, flags = drain(bytes(body), places)
    sound, sound_flags = drain(b"".join(messages), [])
    assert all(message in sound for message in found)
    oversized, corrupt, failed, _ = flags
    # In a message that is passed over for its size nothing is looked at.
    assert corrupt or failed or oversized == sound_flags[0] > 0


@given(body=st.binary(max_size=200), data=st.data())
def test_garbage_never_raises(body: bytes, data: st.DataObject) -> None:
    places = data.draw(cuts(len(body)))
    assert drain(frame((), b"a") + body, [place + 17 for place in places])[0][0].payload == b"a"
