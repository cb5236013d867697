"""What hypothesis draws for the wire's tests."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import strategies as st

WIRE_TEXT = (
    b"event: message_start",
    b"event: message_delta",
    b"event: message_stop",
    b"event: content_block_start",
    b"event: content_block_delta",
    b"event: error",
    b"event:ping",
    b"event: ",
    b"data: ",
    b"data:",
    b"data",
    b": comment",
    b"id: 7",
    b"\n",
    b"\n\n",
    b"\r\n",
    b"\r",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"{",
    b"}",
    b"[",
    b"null",
    b'"usage":',
    b'{"input_tokens":7,"output_tokens":-1}',
    b'{"type":"message_delta","usage":{"output_tokens":9}}',
    b'{"message":{"id":"msg","usage":{"input_tokens":1e3,"output_tokens":"2"}}}',
    b'{"result":{"type":"succeeded","message":{}}}',
    b" ",
    b",",
    b"0",
)


def garbage() -> st.SearchStrategy[bytes]:
    """Bytes that are no message, though they have much of one."""
    pieces = st.one_of(st.sampled_from(WIRE_TEXT), st.binary(max_size=12))
    return st.lists(pieces, max_size=40).map(b"".join)


def cuts(size: int) -> st.SearchStrategy[list[int]]:
    """Places at which a body of this size is cut into chunks."""
    return st.lists(st.integers(0, size), max_size=12).map(sorted)


def chunked(body: bytes, places: list[int]) -> list[bytes]:
    """The body cut at these places; empty chunks among them."""
    bounds = [0, *places, len(body)]
    return [body[a:b] for a, b in pairwise(bounds)]
