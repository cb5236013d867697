"""permessage-deflate: what was agreed on, and streams that end or start anew."""

from __future__ import annotations

import zlib

import pytest

from tokenproxy.wire.framing.permessage import (
    Deflate,
    Inflater,
    UnknownExtensionError,
    agreed_deflate,
)

TAIL = b"\x00\x00\xff\xff"


@pytest.mark.parametrize(
    ("extensions", "agreed"),
    [
        ("", None),
        ("permessage-deflate", Deflate(client_starts_anew=False, server_starts_anew=False)),
        (
            "permessage-deflate; client_max_window_bits=10; server_no_context_takeover",
            Deflate(client_starts_anew=False, server_starts_anew=True),
        ),
        (
            "Permessage-Deflate;Client_No_Context_Takeover ; server_max_window_bits = 9",
            Deflate(client_starts_anew=True, server_starts_anew=False),
        ),
    ],
)
def test_what_was_agreed_on(extensions: str, agreed: Deflate | None) -> None:
    assert agreed_deflate(extensions) == agreed


@pytest.mark.parametrize(
    "extensions", ["x-own", "permessage-deflate, x-own", "permessage-deflate, permessage-deflate"]
)
def test_what_is_not_known_is_said(extensions: str) -> None:
    with pytest.raises(UnknownExtensionError):
        agreed_deflate(extensions)


def inflated(inflater: Inflater, payload: bytes) -> bytes:
    return b"".join([*inflater.pieces(payload), *inflater.last_pieces()])


@pytest.mark.parametrize("bits", [9, 12, 15])
def test_any_window_and_a_stream_over_messages(bits: int) -> None:
    stream = zlib.compressobj(wbits=-bits)
    inflater = Inflater(starts_anew=False)
    for message in (b"hello hello", b"hello hello", b"", bytes(700_000)):
        payload = stream.compress(message) + stream.flush(zlib.Z_SYNC_FLUSH)
        assert inflated(inflater, payload.removesuffix(TAIL)) == message


def test_each_message_a_stream() -> None:
    inflater = Inflater(starts_anew=True)
    for message in (b"hello hello", b"hello hello"):
        stream = zlib.compressobj(wbits=-15)
        payload = stream.compress(message) + stream.flush(zlib.Z_SYNC_FLUSH)
        assert inflated(inflater, payload.removesuffix(TAIL)) == message


def test_a_stream_that_ends_within_a_message() -> None:
    """RFC 7692, 7.2.3.4: a final block, and an empty one behind it."""
    inflater = Inflater(starts_anew=False)
    for message in (b"hello hello", b"and on"):
        stream = zlib.compressobj(wbits=-15)
        payload = stream.compress(message) + stream.flush(zlib.Z_FINISH)
        assert inflated(inflater, payload + b"\x00") == message


def test_what_does_not_inflate() -> None:
    with pytest.raises(zlib.error):
        inflated(Inflater(starts_anew=False), b"\xff\xff\xff")


def test_streams_that_end_without_end() -> None:
    """Two bytes each, and as much work as a message: nobody has a good reason for many."""
    with pytest.raises(zlib.error, match="too many"):
        inflated(Inflater(starts_anew=False), b"\x03\x00" * 1000)


def test_streams_that_end_in_many_messages() -> None:
    inflater = Inflater(starts_anew=False)
    for _ in range(1000):
        assert inflated(inflater, b"\x03\x00\x00") == b""
