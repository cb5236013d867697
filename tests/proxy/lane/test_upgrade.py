"""WebSockets in the lane: the bytes of both sides as they are, whatever they are."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.bench import wait_until
from tests.proxy.harness import Proxy
from tests.proxy.lane.sockets import (
    AGREED,
    ASKS,
    HOST,
    MASK,
    agreeing,
    asking,
    read_exactly,
    upgraded,
)
from tests.proxy.lane.test_hard_cases import read_all
from tests.proxy.lane.test_tunnels import trusting, tunnel
from tests.simulator.sockets import Client as Socket
from tests.simulator.test_websocket import create
from tests.wire.framing.test_websocket import CLOSE, FINAL, TEXT, frame
from tokenproxy.proxy.handover import Handover
from tokenproxy.simulator import tls
from tokenproxy.simulator.server import Simulator


@pytest.mark.parametrize(
    "agreed",
    [AGREED % b"", b"HTTP/1.1 101 Switching\r\nUpgrade: own\r\nConnection: Upgrade\r\n\r\n"],
    ids=["websocket", "another protocol"],
)
@pytest.mark.parametrize("path", [b"/v1/responses", b"/v1/other"])
def test_what_carries_no_calls_passes(agreed: bytes, path: bytes) -> None:
    def serve(connection: socket.socket, got: bytes) -> None:
        connection.sendall(got + read_exactly(connection, 5 - len(got)))

    with (
        agreeing(serve, agreed) as url,
        Proxy(routes={HOST: url}) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client,
    ):
        client.sendall(asking(b"/openai" + path) + b"hello")
        assert read_all(client) == agreed + b"hello"
    assert proxy.recorder.starts == {}
    assert len(proxy.recorder.unread) == (path != b"/v1/responses")


def test_who_does_not_read_is_not_read_for() -> None:
    """Either way: what is not taken is not taken in."""
    much = frame(FINAL | TEXT, bytes(60_000)) * 1000
    sent = 0
    go_on = threading.Event()

    def serve(connection: socket.socket, got: bytes) -> None:
        nonlocal sent
        connection.settimeout(None)
        while sent < len(much):
            sent += connection.send(much[sent : sent + 60_000])
        assert go_on.wait(10)
        got += read_exactly(connection, len(much) - len(got))
        assert len(got) == len(much)
        assert got == much

    with (
        agreeing(serve) as url,
        Proxy(routes={HOST: url}) as proxy,
        upgraded(proxy) as client,
    ):
        before = -1
        while before != sent:
            before = sent
            time.sleep(0.3)
        assert 0 < sent < len(much) / 2
        assert len(read_exactly(client, len(much))) >= sent
        client.settimeout(0)
        given = 0
        with contextlib.suppress(BlockingIOError):
            while given < len(much):
                given += client.send(much[given : given + 60_000])
                time.sleep(0.002)
        assert 0 < given < len(much) / 2
        client.settimeout(10)
        go_on.set()
        client.sendall(much[given:])
        assert read_all(client) == b""  # the provider has it all


def test_after_a_refusal_the_connection_goes_on() -> None:
    request = b"POST /openai/v1/responses HTTP/1.1\r\nHost: x\r\ncontent-length: 2\r\n\r\n{}"
    refusal = b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\n{}"
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

    def serve(connection: socket.socket, got: bytes) -> None:
        while not got.endswith(b"{}"):
            got += connection.recv(65536)
        connection.sendall(answer)

    with (
        agreeing(serve, refusal) as url,
        Proxy(routes={HOST: url}) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client,
    ):
        client.sendall(asking())
        assert read_exactly(client, len(refusal)) == refusal
        client.sendall(request)
        assert read_exactly(client, len(answer)) == answer
        ended = proxy.recorder.wait(2)
    assert [end.status_code for _, end in ended] == [426, 200]


def test_a_client_that_leaves_while_its_message_waits() -> None:
    seen: list[bytes] = []

    def serve(connection: socket.socket, got: bytes) -> None:
        with contextlib.suppress(ConnectionResetError):
            seen.append(got + read_all(connection))

    with agreeing(serve) as url, Proxy(routes={HOST: url}) as proxy:
        proxy.recorder.ack_delay_s = 0.1
        with upgraded(proxy) as client:
            client.sendall(ASKS)
            time.sleep(0.03)
        ((_, end),) = proxy.recorder.wait()
        wait_until(lambda: bool(seen))
        wait_until(lambda: not proxy.clients)
    assert end.outcome == "aborted"


def test_a_provider_that_listens_on_hears_what_waited() -> None:
    """The client has closed its half by the time its message is in the journal."""

    def serve(connection: socket.socket, got: bytes) -> None:
        assert got + read_all(connection) == ASKS
        connection.sendall(b"heard")

    with (
        agreeing(serve) as url,
        Proxy(routes={HOST: url}) as proxy,
        upgraded(proxy) as client,
    ):
        proxy.recorder.ack_delay_s = 0.1
        client.sendall(ASKS)
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == b"heard"
        wait_until(lambda: not proxy.clients)


def test_tls_on_both_sides(tmp_path: Path) -> None:
    leaf = tls.throwaway(tmp_path)
    with (
        Simulator("plain", tls=leaf.context()) as sim,
        Proxy(
            hosts=(HOST,), routes={HOST: f"https://127.0.0.1:{sim.port}"}, upstream_ca=str(leaf.ca)
        ) as proxy,
    ):
        context = trusting(proxy, tmp_path)
        for _ in range(2):
            inside = context.wrap_socket(tunnel(proxy, HOST), server_hostname=HOST)
            with Socket(inside, "/v1/responses", deflate=True) as client:
                assert client.status == 101
                assert client.deflated
                client.send(create(), create())
                client.events(until=2)
                client.frame(CLOSE, b"\x03\xe8")
                assert client.receive() == (CLOSE, b"\x03\xe8")
        assert [end.outcome for _, end in proxy.recorder.wait(4)] == ["complete"] * 4
        wait_until(lambda: not proxy.clients)


def test_the_last_words_before_tls_ends_are_passed_on(tmp_path: Path) -> None:
    """A close frame and TLS' own farewell in one segment."""
    farewell = frame(FINAL | CLOSE, b"\x03\xe8", MASK)

    def serve(connection: socket.socket, got: bytes) -> None:
        assert got + read_all(connection) == farewell

    with agreeing(serve) as url, Proxy(hosts=(HOST,), routes={HOST: url}) as proxy:
        reads, writes = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = trusting(proxy, tmp_path).wrap_bio(reads, writes, server_hostname=HOST)
        with tunnel(proxy, HOST) as connection:

            def wait(step: Callable[[], object]) -> object:
                while True:
                    try:
                        return step()
                    except ssl.SSLWantReadError:
                        connection.sendall(writes.read())
                        reads.write(connection.recv(65536))

            wait(client.do_handshake)
            client.write(asking())
            assert wait(lambda: client.read(1000)) == AGREED % b""
            client.write(farewell)
            with pytest.raises(ssl.SSLWantReadError):
                client.unwrap()
            connection.sendall(writes.read())
            read_all(connection)


def test_upgrades_to_http2_are_mitmproxys(monkeypatch: pytest.MonkeyPatch) -> None:
    adopted: list[bytes] = []
    adopt = Handover.adopt

    def note(self: Handover, transport: object, received: bytes, *, answered: bool) -> None:
        adopted.append(received)
        adopt(self, transport, received, answered=answered)  # type: ignore[arg-type] # passed on

    monkeypatch.setattr(Handover, "adopt", note)
    request = (
        b"GET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
    )
    with (
        Simulator("plain") as sim,
        Proxy(upstreams={"openai": sim.url + "/v1"}) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client,
    ):
        client.sendall(request)
        assert client.recv(100)
    assert adopted == [request]
