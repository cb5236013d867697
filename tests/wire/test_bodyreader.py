from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.fixtures.encodings import ENCODERS
from tests.wire.strategies import chunked, cuts
from tokenproxy.wire.bodyreader import BodyReader, read_body
from tokenproxy.wire.framing.jsonbody import JsonBody

ENCODED = pytest.mark.parametrize(("encoding", "encode"), ENCODERS.values(), ids=list(ENCODERS))
SMALL = b'{"model":"m","messages":[]}'
LARGE = b'{"image":"' + bytes(range(35, 91)) * 20_000 + b'","model":"m"}'


def read(body: bytes, encoding: str, step: int = 1 << 30) -> bytes | None:
    reader = BodyReader(encoding)
    for at in range(0, len(body), step):
        reader.feed(body[at : at + step])
    return reader.take()


@ENCODED
@pytest.mark.parametrize("body", [b"", SMALL, b" " * 64 * 1024, LARGE, b"{", b"--x\r\n\r\n"])
def test_a_body_that_came_whole_is_read_as_in_pieces(
    encoding: str, encode: Callable[[bytes], bytes], body: bytes
) -> None:
    assert read_body(encode(body), encoding) == read(encode(body), encoding, 1000)
    assert read_body(body, encoding) == read(body, encoding, 1000)


@ENCODED
@pytest.mark.parametrize("step", [1, 10, 1 << 20])
def test_a_small_body_comes_out_whole(
    encoding: str, encode: Callable[[bytes], bytes], step: int
) -> None:
    assert read(encode(SMALL), encoding, step) == SMALL


@ENCODED
@pytest.mark.parametrize("step", [1000, 1 << 30])
def test_a_large_body_comes_out_reduced(
    encoding: str, encode: Callable[[bytes], bytes], step: int
) -> None:
    found = read(encode(LARGE), encoding, step)
    assert found is not None
    assert len(found) < 100
    assert json.loads(found)["model"] == "m"


@pytest.mark.parametrize("name", ["gzip", "deflate", "raw deflate", "br", "zstd", "gzip then br"])
def test_a_body_that_was_cut_is_none(name: str) -> None:
    encoding, encode = ENCODERS[name]
    assert read(encode(SMALL)[:-3], encoding) is None


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "rot13", "gzip, rot13"])
def test_a_broken_or_unknown_encoding_is_none(encoding: str) -> None:
    reader = BodyReader(encoding)
    reader.feed(b"<html>no such thing</html>")
    reader.feed(SMALL)
    assert reader.take() is None


def test_no_body_is_empty() -> None:
    assert BodyReader("").take() == b""
    assert BodyReader("gzip").take() == b""


def test_what_was_taken_is_forgotten() -> None:
    reader = BodyReader()
    reader.feed(SMALL)
    assert reader.take() == SMALL
    assert reader.take() is None


def test_a_body_too_large_even_when_reduced_is_none() -> None:
    assert read(b"[" + b"null," * 2_000_000 + b"null]", "") is None


def test_a_body_too_large_for_its_end_is_none() -> None:
    start = b"[" + b"null," * 1_677_720 + b'"' + b"x" * 5
    assert len(start) < 8 << 20
    assert read(start + b'"]', "") is None


@pytest.mark.parametrize("name", ["none", "gzip", "zstd"])
def test_a_body_is_read_up_to_the_limit(name: str) -> None:
    encoding, encode = ENCODERS[name]
    body = encode(LARGE)
    for limit, is_read in ((len(LARGE), True), (len(LARGE) - 1, False)):
        reader = BodyReader(encoding, limit)
        reader.feed(body)
        assert (reader.take() is not None) is is_read


@pytest.mark.parametrize("name", ["none", "gzip", "deflate", "raw deflate", "br", "zstd"])
@pytest.mark.parametrize(
    "body",
    [
        b'{"image":"' + b"A" * 50_000_000 + b'","model":"m"}',
        b'{"e":[' + b"0.125," * 8_000_000 + b'0],"model":"m"}',
        b'{"m":[' + b'{"text":"some words, not too many"},' * 1_400_000 + b'0],"model":"m"}',
    ],
    ids=["one string", "numbers", "short strings"],
)
def test_50_mb_take_little_memory(name: str, body: bytes) -> None:
    encoding, encode = ENCODERS[name]
    encoded = encode(body)
    reader = BodyReader(encoding)
    tracemalloc.start()
    try:
        for at in range(0, len(encoded), 65_536):
            reader.feed(encoded[at : at + 65_536])
        document = reader.take()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20 << 20
    assert document is None or json.loads(document)["model"] == "m"


@given(
    body=st.one_of(st.binary(max_size=200), st.sampled_from([SMALL, LARGE, b'["' + LARGE])),
    name=st.sampled_from(list(ENCODERS)),
    data=st.data(),
)
def test_any_chunking_of_any_encoding_gives_the_same_body(
    body: bytes, name: str, data: st.DataObject
) -> None:
    encoding, encode = ENCODERS[name]
    encoded = encode(body)
    kept = JsonBody()
    kept.feed(body)
    reader = BodyReader(encoding)
    for chunk in chunked(encoded, data.draw(cuts(len(encoded)))):
        reader.feed(chunk)
    assert reader.take() == kept.take()


@given(body=st.binary(max_size=300), encoding=st.sampled_from([e for e, _ in ENCODERS.values()]))
def test_garbage_never_raises(body: bytes, encoding: str) -> None:
    reader = BodyReader(encoding)
    reader.feed(body)
    reader.feed(body)
    reader.take()
    reader.feed(body)
    assert reader.take() is None
