"""A stream that breaks gives all that comes before the error, however it is cut."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.fixtures.encodings import ENCODERS
from tests.wire.strategies import chunked, cuts
from tokenproxy.wire import decompress
from tokenproxy.wire.decoding import open_decoder

NAMES = ["gzip", "deflate", "raw deflate", "br", "zstd", "gzip then br"]
WORDS = b"".join(b"event: %d\ndata: {}\n\n" % (number * 7919) for number in range(400))


def decoded(encoding: str, chunks: list[bytes]) -> tuple[bytes, bool, bool]:
    decoder = open_decoder(encoding)
    text = b"".join(piece for chunk in chunks for piece in decoder.pieces(chunk))
    return text, decoder.failed, decoder.complete


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_a_spoilt_stream(name: str, data: st.DataObject) -> None:
    encoding, encode = ENCODERS[name]
    body = bytearray(encode(WORDS[: data.draw(st.integers(0, len(WORDS)))]) + b"and more")
    for at in data.draw(st.lists(st.integers(0, len(body) - 1), max_size=3)):
        body[at] ^= data.draw(st.integers(1, 255))
    at_once = decoded(encoding, [bytes(body)])
    assert decoded(encoding, list(chunked(bytes(body), data.draw(cuts(len(body)))))) == at_once


@pytest.mark.parametrize("name", NAMES)
def test_what_comes_before_the_error_is_there(name: str) -> None:
    encoding, encode = ENCODERS[name]
    half = len(encode(WORDS)) // 2
    body = encode(WORDS)[:half] + b"\xff" * 64
    text, failed, _ = decoded(encoding, [body])
    bytewise = decoded(encoding, [body[at : at + 1] for at in range(len(body))])
    assert bytewise == (text, failed, False)
    # Of zstd and brotli a block comes out when it is whole, and is waited for until then.
    assert (failed and len(text) > 1000) or name in {"zstd", "br", "gzip then br"}


@pytest.mark.parametrize("name", ["br", "gzip", "deflate", "raw deflate"])
def test_what_follows_the_end_is_no_error_in_the_same_chunk_either(name: str) -> None:
    encoding, encode = ENCODERS[name]
    assert decoded(encoding, [encode(WORDS) + b"more"]) == (WORDS, False, True)


def test_empty_blocks_settle_nothing() -> None:
    """Of a thousand bytes that say nothing it is settled that they are zlib, however cut."""
    body = zlib.compress(b"")[:2] + b"\x00\x00\x00\xff\xff" * 1000 + b"\xff" * 9
    steps = (1, 7, 1000, 3000, 9000)
    cut = [[body[at : at + step] for at in range(0, len(body), step)] for step in steps]
    found = {decoded("deflate", chunks) for chunks in cut}
    assert found == {(b"", True, False)}


@settings(max_examples=20)
@given(data=st.data())
def test_a_long_stream_of_zlib_is_kept_by_a_copy(data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decompress, "KEPT", 100)
        body = bytearray(zlib.compress(WORDS))
        body[data.draw(st.integers(len(body) // 2, len(body) - 1))] ^= 255
        at_once = decoded("deflate", [bytes(body)])
        chunks = list(chunked(bytes(body), data.draw(cuts(len(body)))))
        assert decoded("deflate", chunks) == at_once


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
@pytest.mark.parametrize("bound", ["KEPT", "KEPT_OUT"])
def test_what_is_kept_is_bounded(name: str, bound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decompress, bound, 50)
    open_stream = {
        "gzip": lambda: decompress.zlib_stream(31),
        "deflate": lambda: decompress.zlib_stream(15),
        "br": decompress.brotli_stream,
        "zstd": decompress.zstd_stream,
    }[name]
    stream = open_stream()
    body = ENCODERS[name][1](WORDS)
    text = b"".join(
        piece for at in range(0, len(body), 40) for piece in stream.pieces(body[at : at + 40])
    )
    assert text == WORDS
    assert stream.eof
    assert sum(map(len, stream._past or ())) <= 100
