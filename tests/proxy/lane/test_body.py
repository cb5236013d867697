"""Bodies end where they end, however the bytes come, and their payload is what was meant."""

from __future__ import annotations

import itertools
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenproxy.proxy.lane import body as followed
from tokenproxy.proxy.lane.body import Body, body_of
from tokenproxy.proxy.lane.head import Framing, ProtocolError

PIECES = st.lists(st.binary(min_size=1, max_size=40), max_size=8)
TRAILERS = st.sampled_from([b"", b"x-checksum: 1\r\n", b"a: b\r\nc: d\r\n"])
EXTENSIONS = st.sampled_from([b"", b";a=b", b' ; q="x"'])


def fed(body: Body, data: bytes, cuts: list[int]) -> tuple[bytes, int]:
    """Payload and length of the body in ``data``, which comes cut at these places."""
    payload, used = b"", 0
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for start, end in itertools.pairwise(edges):
        if body.over:
            break
        piece, took = body.feed(data[start:end])
        payload += piece
        used += took
        assert took == end - start or body.over
    return payload, used


@given(PIECES, EXTENSIONS, TRAILERS, st.binary(max_size=20), st.lists(st.integers(0, 500)))
def test_chunks(
    pieces: list[bytes], extension: bytes, trailers: bytes, behind: bytes, cuts: list[int]
) -> None:
    wire = b"".join(b"%x%s\r\n%s\r\n" % (len(p), extension, p) for p in pieces)
    wire += b"0\r\n" + trailers + b"\r\n"
    body = body_of("chunked")
    assert fed(body, wire + behind, cuts) == (b"".join(pieces), len(wire))
    assert body.over


@given(st.binary(max_size=100), st.binary(max_size=20), st.lists(st.integers(0, 200)))
def test_a_length(data: bytes, behind: bytes, cuts: list[int]) -> None:
    body = body_of(len(data) or "none")
    if not data:
        assert body.over
        return
    assert fed(body, data + behind, cuts) == (data, len(data))
    assert body.over


@given(st.binary(max_size=100), st.lists(st.integers(0, 200)))
def test_until_the_connection_ends(data: bytes, cuts: list[int]) -> None:
    body = body_of("close")
    assert fed(body, data, cuts) == (data, len(data))
    assert not body.over


@pytest.mark.parametrize(
    "wire",
    [b"x\r\n", b"\r\n", b"-1\r\n", b"0x10\r\n", b"1" * 16 + b"\r\n", b"5" * 20_000],
    ids=["letters", "empty", "negative", "prefix", "huge", "endless"],
)
def test_a_size_that_is_none(wire: bytes) -> None:
    with pytest.raises(ProtocolError):
        body_of("chunked").feed(wire)


@pytest.mark.parametrize(
    "wire",
    [
        b"1\na\r\n0\r\n\r\n",
        b"1\r\r\na\r\n0\r\n\r\n",
        b" 1\r\na\r\n0\r\n\r\n",
        b"1 \r\na\r\n0\r\n\r\n",
        b"1\r\nab\n0\r\n\r\n",
        b"1\r\na\n\n0\r\n\r\n",
        b"0\n\r\n",
    ],
)
@pytest.mark.parametrize("piece", [1, 100])
def test_a_request_s_chunks_are_taken_by_the_letter(wire: bytes, piece: int) -> None:
    """Another reader may find a request in what is a chunk to us."""
    body = body_of("chunked", strict=True)

    def feed() -> None:
        for at in range(0, len(wire), piece):
            body.feed(wire[at : at + piece])

    with pytest.raises(ProtocolError):
        feed()


@given(PIECES, EXTENSIONS, TRAILERS, st.lists(st.integers(0, 500)))
def test_chunks_by_the_letter(
    pieces: list[bytes], extension: bytes, trailers: bytes, cuts: list[int]
) -> None:
    wire = b"".join(b"%x%s\r\n%s\r\n" % (len(p), extension.replace(b" ", b""), p) for p in pieces)
    wire += b"0\r\n" + trailers + b"\r\n"
    body = body_of("chunked", strict=True)
    assert fed(body, wire, cuts) == (b"".join(pieces), len(wire))
    assert body.over


WIRE = st.lists(
    st.one_of(
        st.sampled_from(
            [
                b"5\r\nab\r\nc\r\n", b"A\r\n0123456789\r\n", b"a\r\n0123456789\r\n",
                b"01\r\na\r\n", b"3\r\n1\r\n\r\n", b"2\r\n\r\n\r\n", b"1\na\r\n",
                b"1\r\r\na\r\n", b"1\r\na\n\n", b"1\r\naxx", b"2;a=b\r\nab\r\n",
                b" 1\r\na\r\n", b"0\r\n\r\n", b"0\r\na: b\r\n\r\n", b"\r\n", b"\n",
                b"4", b"fffffffffffffff\r\n", b"1111111111111111\r\n", b"+1\r\na\r\n",
                b"1_0\r\n",
            ]
        ),
        st.binary(min_size=1, max_size=40).map(lambda piece: b"%x\r\n%b\r\n" % (len(piece), piece)),
    ),
    max_size=12,
).map(b"".join)  # fmt: skip


@pytest.mark.parametrize("many", [0, 1, 2, 1000])
@settings(max_examples=300)
@given(wire=WIRE, cuts=st.lists(st.integers(0, 500)))
def test_chunks_taken_at_once_are_those_that_are_read_one_by_one(
    many: int, wire: bytes, cuts: list[int]
) -> None:
    def outcome() -> tuple[bytes, int, bool] | str:
        body = body_of("chunked")
        try:
            return (*fed(body, wire, cuts), body.over)
        except ProtocolError as error:
            return str(error)

    with patch.object(followed, "_MANY", many):
        at_once = outcome()
    with patch.object(followed, "_take_whole", lambda _data, at, _payload: at):
        assert outcome() == at_once


@pytest.mark.parametrize(
    ("end", "left"),
    [(b"", 15), (b"4\r\nab", 5), (b"4\r\n", 3), (b"4\r", 2), (b"4;a=b\r\nabcd\r\n", 13)],
    ids=["nothing", "cut", "size", "half a size", "other"],
)
def test_many_chunks_are_taken(end: bytes, left: int) -> None:
    """At the data's end one is left: whether it is whole cannot be told from without."""
    wire = b"A\r\n\r\n34567\n\r\n\r\n" * 20
    payload: list[bytes] = []
    at = followed._take_many(b"before" + wire + end, 6, payload)
    assert at == 6 + len(wire + end) - left
    assert payload == [b"\r\n34567\n\r\n"] * (20 if end else 19)


def test_usual_chunks_are_taken_at_once() -> None:
    body = body_of("chunked")
    body._read_line = None  # type: ignore[attr-defined] # no line is looked at
    assert body.feed(b"1\r\na\r\nA\r\n\r\n3456789\n\r\n") == (b"a\r\n3456789\n", 21)
    assert body.feed(b"2\r\nbc\r\n") == (b"bc", 7)


def test_no_more_sizes_are_remembered_than_come_again() -> None:
    sizes = followed._Sizes()
    for size in range(1, 3 * followed._KNOWN_SIZES):
        assert sizes[b"%x\r\n" % size] == size + 2
    assert len(sizes) == followed._KNOWN_SIZES
    for line in (b"no size\r\n", b"0\r\n", b""):
        with pytest.raises(KeyError) as other:
            sizes[line]
        assert other.value.args == (line,)
    assert len(sizes) == followed._KNOWN_SIZES


@pytest.mark.parametrize("framing", ["none", "chunked", "close", 3])
def test_what_belongs_to_the_next_message_is_left(framing: Framing) -> None:
    wire = {"none": b"", "chunked": b"1\r\na\r\n0\r\n\r\n", "close": b"abc"}.get(
        framing if isinstance(framing, str) else "", b"abc"
    )
    body = body_of(framing)
    used = body.feed(wire)[1] if wire else 0
    assert used == len(wire)
    assert body.over == (framing != "close")
