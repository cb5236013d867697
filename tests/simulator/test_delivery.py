from __future__ import annotations

import pytest

from tests.simulator.wire import decoded
from tokenproxy.simulator import delivery
from tokenproxy.simulator.messages import Known, Tokens
from tokenproxy.simulator.reply import Piece, Reply

ENCODINGS = ["gzip", "deflate", "deflate-raw", "br", "zstd"]
PLAIN = b"event: one\ndata: {}\n\n" * 40
KNOWN = [Known((Tokens(model="m", output=n),), final=False) for n in range(3)]


def reply(**fields: object) -> Reply:
    pieces = tuple(Piece(PLAIN[at : at + 300], 0.5, KNOWN[at // 300]) for at in (0, 300, 600))
    return Reply(**({"pieces": pieces} | fields))  # type: ignore[arg-type] # fields of a Reply


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("chunks", ["pieces", "whole", "bytes", "random:1", "random:2"])
def test_every_encoding_and_boundary_decodes_to_the_same(encoding: str, chunks: str) -> None:
    made = delivery.frames(reply(chunks=chunks), encoding)
    assert decoded(b"".join(frame.data for frame in made), encoding) == PLAIN
    assert made[-1].known == KNOWN[2]
    assert sum(frame.delay_s for frame in made) == pytest.approx(1.5)
    assert all(frame.data for frame in made)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_each_piece_is_flushed(encoding: str) -> None:
    import zlib

    import brotli  # type: ignore[import-untyped] # it ships none
    import zstandard

    feeds = {
        "gzip": zlib.decompressobj(wbits=31).decompress,
        "deflate": zlib.decompressobj().decompress,
        "deflate-raw": zlib.decompressobj(wbits=-15).decompress,
        "br": brotli.Decompressor().process,
        "zstd": zstandard.ZstdDecompressor().decompressobj().decompress,
    }
    got = [feeds[encoding](frame.data) for frame in delivery.frames(reply(), encoding)]
    assert got == [PLAIN[:300], PLAIN[300:600], PLAIN[600:], b""]


def test_plain_boundaries() -> None:
    assert [len(f.data) for f in delivery.frames(reply(), "")] == [300, 300, 240]
    assert [len(f.data) for f in delivery.frames(reply(chunks="whole"), "")] == [840]
    assert [len(f.data) for f in delivery.frames(reply(chunks="bytes"), "")] == [1] * 840
    cuts = [[f.data for f in delivery.frames(reply(chunks=f"random:{s}"), "")] for s in (1, 1, 2)]
    assert cuts[0] == cuts[1] != cuts[2]


def test_a_frame_makes_known_only_what_ends_in_it() -> None:
    made = delivery.frames(reply(chunks="bytes"), "")
    changes = [
        at + 1 for at in range(840) if made[at].known != (made[at - 1].known if at else None)
    ]
    assert changes == [300, 600, 840]
    assert [at for at in range(840) if made[at].delay_s] == [0, 300, 600]


def test_a_broken_reply_lacks_the_encodings_end() -> None:
    import gzip

    made = delivery.frames(reply(ending="fin"), "gzip")
    with pytest.raises(EOFError):
        gzip.decompress(b"".join(frame.data for frame in made))


def test_no_body_no_frames() -> None:
    assert delivery.frames(Reply(), "") == []


@pytest.mark.parametrize(
    ("wanted", "accept", "agreed"),
    [
        ("gzip", "gzip, deflate, br, zstd", "gzip"),
        ("auto", "gzip, deflate, br, zstd", "br"),
        ("auto", "gzip, br;q=0", "gzip"),
        ("auto", "zstd;q=0.5", "zstd"),
        ("br", "gzip", ""),
        ("gzip", None, ""),
        ("gzip", "*", "gzip"),
        ("gzip", "identity", ""),
        ("gzip", "gzip;q=0.0", ""),
        ("deflate-raw", "Deflate", "deflate-raw"),
    ],
)
def test_negotiation(wanted: str, accept: str | None, agreed: str) -> None:
    assert delivery.negotiated(wanted, accept) == agreed


def test_unknown_names() -> None:
    with pytest.raises(ValueError, match="compress"):
        delivery.open_encoder("compress")
    with pytest.raises(ValueError, match="halves"):
        delivery.frames(reply(chunks="halves"), "")
