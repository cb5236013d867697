from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import brotli  # type: ignore[import-untyped] # it ships none
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.fixtures.encodings import ENCODERS
from tests.wire.strategies import chunked, cuts
from tokenproxy.wire.decoding import open_decoder

BODY = b'event: ping\ndata: {"type":"ping"}\n\n' * 200
ENCODED = pytest.mark.parametrize(("encoding", "encode"), ENCODERS.values(), ids=list(ENCODERS))
COMPRESSED = pytest.mark.parametrize(
    ("encoding", "encode"),
    [ENCODERS[name] for name in ("gzip", "deflate", "raw deflate", "br", "zstd", "gzip then br")],
)


def decode_all(body: bytes, content_encoding: str, limit: int) -> bytes | None:
    """The decoded body, or None if it is corrupt, cut short or larger than ``limit`` bytes."""
    decoder = open_decoder(content_encoding, limit)
    decoded = decoder.feed(body)
    if not decoder.complete or len(decoded) > limit:
        return None
    return decoded


@ENCODED
@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_decodes_in_any_steps(encoding: str, encode: Callable[[bytes], bytes], step: int) -> None:
    body = encode(BODY)
    decoder = open_decoder(encoding)
    out = b"".join(decoder.feed(body[at : at + step]) for at in range(0, len(body), step))
    assert out == BODY
    assert decoder.complete
    assert not decoder.failed


@ENCODED
def test_decode_all(encoding: str, encode: Callable[[bytes], bytes]) -> None:
    assert decode_all(encode(BODY), encoding, len(BODY)) == BODY
    assert decode_all(encode(BODY), encoding, len(BODY) - 1) is None
    assert decode_all(b"", encoding, 10) == b""


@given(body=st.binary(max_size=3000), name=st.sampled_from(list(ENCODERS)), data=st.data())
def test_any_chunking_of_any_encoding(body: bytes, name: str, data: st.DataObject) -> None:
    encoding, encode = ENCODERS[name]
    encoded = encode(body)
    decoder = open_decoder(encoding)
    places = data.draw(cuts(len(encoded)))
    assert b"".join(map(decoder.feed, chunked(encoded, places))) == body
    assert decoder.complete


@given(body=st.binary(max_size=300), encoding=st.sampled_from([e for e, _ in ENCODERS.values()]))
def test_garbage_never_raises(body: bytes, encoding: str) -> None:
    decoder = open_decoder(encoding)
    decoder.feed(body)
    decoder.feed(body)
    if decoder.failed:
        assert decoder.feed(BODY) == b""
    decode_all(body, encoding, 100)


def _zlib_flusher(wbits: int) -> tuple[Callable[[bytes], bytes], Callable[[], bytes]]:
    stream = zlib.compressobj(wbits=wbits)
    return stream.compress, lambda: stream.flush(zlib.Z_SYNC_FLUSH)


def _br_flusher() -> tuple[Callable[[bytes], bytes], Callable[[], bytes]]:
    stream = brotli.Compressor()
    return stream.process, stream.flush


def _zstd_flusher() -> tuple[Callable[[bytes], bytes], Callable[[], bytes]]:
    stream = zstandard.ZstdCompressor().compressobj()
    return stream.compress, lambda: stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)


FLUSHERS: dict[str, Callable[[], tuple[Callable[[bytes], bytes], Callable[[], bytes]]]] = {
    "gzip": lambda: _zlib_flusher(31),
    "deflate": lambda: _zlib_flusher(15),
    "br": _br_flusher,
    "zstd": _zstd_flusher,
}


@pytest.mark.parametrize("encoding", list(FLUSHERS))
def test_what_the_server_flushed_is_there_at_once(encoding: str) -> None:
    compress, flush = FLUSHERS[encoding]()
    decoder = open_decoder(encoding)
    for number in range(5):
        event = b"event: %d\n\n" % number
        assert decoder.feed(compress(event) + flush()) == event
    assert not decoder.complete


@COMPRESSED
def test_cut_short(encoding: str, encode: Callable[[bytes], bytes]) -> None:
    body = encode(BODY)[:-5]
    decoder = open_decoder(encoding)
    assert BODY.startswith(decoder.feed(body))
    assert not decoder.failed
    assert not decoder.complete
    assert decode_all(body, encoding, 1 << 20) is None


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "deflate"])
def test_corrupt(encoding: str) -> None:
    decoder = open_decoder(encoding)
    assert decoder.feed(b"<html>not compressed at all</html>") == b""
    assert decoder.failed
    assert decoder.feed(gzip.compress(BODY)) == b""
    assert decode_all(b"<html>", encoding, 100) is None


@pytest.mark.parametrize("encoding", ["compress", "gzip, rot13", "dcz", "gzip," * 5, "utf-8"])
def test_unknown_encodings_fail_at_once(encoding: str) -> None:
    decoder = open_decoder(encoding)
    assert decoder.failed
    assert decoder.feed(gzip.compress(BODY)) == b""
    assert not decoder.complete
    assert decode_all(b"abc", encoding, 100) is None


@pytest.mark.parametrize("encoding", ["", " ", "identity", "Identity, ", ","])
def test_no_encoding(encoding: str) -> None:
    assert open_decoder(encoding).feed(b"abc") == b"abc"


@pytest.mark.parametrize("tail", [b"\0" * 9, b"garbage", b"\x1f", b"\x1f\x8bgarbage"])
@pytest.mark.parametrize("step", [1, 1 << 20])
def test_what_follows_the_last_gzip_member_is_ignored(tail: bytes, step: int) -> None:
    body = gzip.compress(BODY) + tail
    decoder = open_decoder("gzip")
    out = b"".join(decoder.feed(body[at : at + step]) for at in range(0, len(body), step))
    assert out == BODY
    assert not decoder.failed


@pytest.mark.parametrize("encoding", ["deflate", "br", "zstd", "gzip"])
def test_what_comes_after_the_end_is_ignored(encoding: str) -> None:
    _, encode = ENCODERS[encoding]
    decoder = open_decoder(encoding)
    assert decoder.feed(encode(BODY)) == BODY
    assert decoder.feed(b"more") == b""
    assert decoder.complete


@pytest.mark.parametrize("name", list(ENCODERS))
def test_a_chunk_may_become_very_much_larger(name: str) -> None:
    encoding, encode = ENCODERS[name]
    body = bytes(5 << 20)
    assert open_decoder(encoding).feed(encode(body)) == body


@pytest.mark.parametrize("name", ["gzip", "deflate", "raw deflate", "br", "zstd", "gzip then br"])
def test_bombs(name: str) -> None:
    encoding, encode = ENCODERS[name]
    bomb = encode(bytes(8 << 20))
    assert len(bomb) < 20_000
    assert decode_all(bomb, encoding, 1 << 20) is None
    decoder = open_decoder(encoding, limit=1 << 20)
    assert decoder.feed(bomb) == b""
    assert decoder.failed


@ENCODED
def test_pieces_are_what_feed_gives_at_once(
    encoding: str, encode: Callable[[bytes], bytes]
) -> None:
    decoder = open_decoder(encoding)
    assert b"".join(decoder.pieces(encode(BODY))) == BODY
    assert decoder.complete


@pytest.mark.parametrize("name", ["gzip", "deflate", "raw deflate", "br", "zstd", "gzip then br"])
def test_pieces_are_small_whatever_a_chunk_becomes(name: str) -> None:
    encoding, encode = ENCODERS[name]
    decoder = open_decoder(encoding)
    sizes = [len(piece) for piece in decoder.pieces(encode(bytes(40 << 20)))]
    assert sum(sizes) == 40 << 20
    assert max(sizes) <= 4 << 20
    assert decoder.complete


@ENCODED
@pytest.mark.parametrize("more", [0, 1, 100, 257])
def test_what_is_left_when_the_input_is_used_up_comes_too(
    encoding: str, encode: Callable[[bytes], bytes], more: int
) -> None:
    body = bytes(256 * 1024 + more)
    decoder = open_decoder(encoding)
    assert b"".join(decoder.pieces(encode(body))) == body
    assert decoder.complete


@pytest.mark.parametrize("name", ["gzip", "deflate", "raw deflate", "br", "zstd"])
def test_pieces_before_a_failure_are_valid(name: str) -> None:
    encoding, encode = ENCODERS[name]
    decoder = open_decoder(encoding, limit=5 << 20)
    assert 0 < sum(map(len, decoder.pieces(encode(bytes(8 << 20))))) <= 5 << 20
    assert decoder.failed
    assert list(decoder.pieces(encode(BODY))) == []


def test_a_zstd_window_is_eight_mebibytes_at_most() -> None:
    for log, failed in ((23, False), (24, True)):
        parameters = zstandard.ZstdCompressionParameters(window_log=log)
        stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
        body = stream.compress(BODY) + stream.flush()
        assert zstandard.get_frame_parameters(body).window_size == 1 << log
        decoder = open_decoder("zstd")
        assert decoder.feed(body) == (b"" if failed else BODY)
        assert decoder.failed is failed


def test_raw_deflate_is_told_from_zlib_by_its_first_bytes() -> None:
    _, raw = ENCODERS["raw deflate"]
    assert open_decoder("deflate").feed(raw(b"hello")) == b"hello"
    assert open_decoder("deflate").feed(zlib.compress(b"hello")) == b"hello"
