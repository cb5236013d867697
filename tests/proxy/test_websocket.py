"""Frames through the proxy: what one side sends is what the other gets."""

from __future__ import annotations

import contextlib
import socket
import struct

import pytest
from mitmproxy.test import tflow
from wsproto import ConnectionType

from tests.proxy.harness import Proxy
from tests.proxy.raw_socket import Peer, RawServer
from tests.simulator.sockets import CLOSE, PING, PONG, TEXT, Client
from tokenproxy.proxy.websocket import Connection

pytestmark = pytest.mark.usefixtures("both_ways")

PATH = "/openai/v1/responses"
BINARY = 0x2
END = 0x80


def echo(peer: Peer) -> None:
    while (frame := peer.read()) is not None:
        peer.frame(*frame)


@pytest.mark.parametrize(
    ("opcode", "payload"),
    [
        (PING, b"are you there"),
        (PONG, b"unasked"),
        (TEXT, b"no JSON"),
        (TEXT, b""),
        (BINARY, bytes(range(256))),
        (TEXT, b'{"type":"' + b"x" * 3_000_000 + b'"}'),
    ],
    ids=["ping", "pong", "text", "empty", "binary", "long"],
)
def test_frames_pass(opcode: int, payload: bytes) -> None:
    with (
        RawServer(echo) as server,
        Proxy(upstreams={"openai": server.url + "/v1"}) as proxy,
        Client(proxy, PATH) as client,
    ):
        client.frame(opcode, payload)
        received = client.receive()
    assert received is not None
    assert received[1] == payload


@pytest.mark.parametrize("payload", [b"", b"\x03\xe8", b"\x03\xf3try later", b"\x0f\xa1own code"])
def test_closes_pass_with_code_and_reason(payload: bytes) -> None:
    def close(peer: Peer) -> object:
        peer.frame(END | CLOSE, payload)
        return peer.read()

    with (
        RawServer(close) as server,
        Proxy(upstreams={"openai": server.url + "/v1"}) as proxy,
        Client(proxy, PATH) as client,
    ):
        assert client.receive() == (CLOSE, payload)
        with contextlib.suppress(ConnectionError):  # mitmproxy has answered already, and left
            client.frame(CLOSE, payload)
            assert client.receive() is None
        assert server.finish() == [(END | CLOSE, payload)]


@pytest.mark.parametrize("reset", [False, True])
def test_a_provider_that_is_gone_says_nothing(reset: bool) -> None:
    """A close of 1000 would tell the client that all went well."""

    def leave(peer: Peer) -> None:
        if reset:
            linger = struct.pack("ii", 1, 0)
            peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    with (
        RawServer(leave) as server,
        Proxy(upstreams={"openai": server.url + "/v1"}) as proxy,
        Client(proxy, PATH) as client,
        pytest.raises(ConnectionResetError) if reset else contextlib.nullcontext(),
    ):
        assert client.receive() is None


def test_a_client_that_is_gone_says_nothing() -> None:
    with (
        RawServer(Peer.read) as server,
        Proxy(upstreams={"openai": server.url + "/v1"}) as proxy,
    ):
        with Client(proxy, PATH):
            pass
        assert server.finish() == [None]


def test_a_frame_in_many_pieces_is_not_copied_for_each() -> None:
    connection = Connection(ConnectionType.SERVER, conn=tflow.tclient_conn())
    connection.frame_buf = [b""]
    first = connection.frame_buf[0]
    connection.frame_buf[-1] += b"piece"
    connection.frame_buf.append(b"")
    second = connection.frame_buf[1]
    connection.frame_buf[-1] += b"of another"
    assert connection.frame_buf == [b"piece", b"of another"]
    assert connection.frame_buf[0] is first
    assert connection.frame_buf[1] is second


def test_after_the_account_is_closed_no_message_goes_upstream() -> None:
    """mitmproxy leaves it out, the lane ends the connection."""
    with (
        RawServer(echo) as server,
        Proxy(upstreams={"openai": server.url + "/v1"}) as proxy,
        Client(proxy, PATH) as client,
    ):
        proxy.close_account()
        client.send({"type": "response.create", "model": "gpt-6-sol"})
        with contextlib.suppress(ConnectionError):
            client.frame(PING, b"next")
            assert client.receive() in (None, (PING, b"next"))
    assert proxy.recorder.starts.keys() == proxy.recorder.ends.keys()
