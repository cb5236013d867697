"""Greetings are read as mitmproxy reads them, whole or in pieces; garbage is none."""

from __future__ import annotations

import contextlib
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.proxy.layers.tls import parse_client_hello

from tokenproxy.proxy.lane.hello import Hello, NoHelloError, read_hello


def greeting(name: str | None, alpn: list[str]) -> bytes:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(alpn)
    reads, writes = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(reads, writes, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return writes.read()


GREETINGS = [
    (name, alpn)
    for name in (None, "api.anthropic.com", "x" * 60 + ".example")
    for alpn in ([], ["http/1.1"], ["h2", "http/1.1"])
]


def records(hello: bytes, size: int) -> bytes:
    """The same greeting in records of at most ``size`` bytes."""
    body = hello[5:]
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(hello[:3] + len(piece).to_bytes(2) + piece for piece in pieces)


@pytest.mark.parametrize(("name", "alpn"), GREETINGS)
def test_what_a_client_wants(name: str | None, alpn: list[str]) -> None:
    hello = greeting(name, alpn)
    theirs = parse_client_hello(hello)
    assert theirs is not None
    ours = read_hello(hello)
    assert ours == Hello(theirs.sni, tuple(theirs.alpn_protocols))
    assert ours == Hello(name, tuple(item.encode() for item in alpn))
    assert read_hello(hello + b"more") == ours
    assert read_hello(records(hello, 50)) == ours


@given(st.integers(0, 8), st.integers(1, 100), st.data())
def test_an_incomplete_one_is_waited_for(which: int, size: int, data: st.DataObject) -> None:
    hello = records(greeting(*GREETINGS[which]), size)
    cut = data.draw(st.integers(0, len(hello) - 1))
    assert read_hello(hello[:cut]) is None


@given(st.binary(max_size=200))
def test_garbage(data: bytes) -> None:
    with contextlib.suppress(NoHelloError):
        read_hello(data)


@given(st.integers(0, 8), st.data())
def test_a_broken_one_says_nothing_or_something_else(which: int, data: st.DataObject) -> None:
    hello = bytearray(greeting(*GREETINGS[which]))
    at = data.draw(st.integers(0, len(hello) - 1))
    hello[at] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(NoHelloError):
        read_hello(bytes(hello))


@pytest.mark.parametrize(
    "data", [b"POST / HTTP/1.1\r\n", b"\x16\x02", b"\x16\x03\x01\x00\x00", b"\x17"]
)
def test_what_is_no_greeting(data: bytes) -> None:
    with pytest.raises(NoHelloError):
        read_hello(data)
