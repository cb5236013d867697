"""Ends at the wrong moment, readers that are slow, ways that do not open: nobody waits for ever."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.bench import BODY, wait_until
from tests.listening import listening
from tests.proxy.harness import Proxy
from tests.proxy.lane.test_tunnels import HOST, serving_once, trusting, tunnel
from tokenproxy.proxy import gateway
from tokenproxy.proxy.handover import Handover
from tokenproxy.simulator import tls
from tokenproxy.simulator.server import Simulator

ASK = b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}"


def connected(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=10)


def read_all(client: socket.socket) -> bytes:
    """To the end: who leaves before it has aborted the call."""
    got = b""
    while piece := client.recv(65536):
        got += piece
    return got


@contextmanager
def serving(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """A provider of any number of connections, each served by ``serve``; its URL."""
    with listening() as listener:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    connection.settimeout(10)
                    with connection, contextlib.suppress(OSError):
                        serve(connection)

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_clients_with_and_without_alpn_reach_one_host(tmp_path: Path) -> None:
    """A TLS session is of the context that made it."""
    leaf = tls.throwaway(tmp_path)
    with (
        Simulator("plain", tls=leaf.context()) as sim,
        Proxy(routes={HOST: f"https://127.0.0.1:{sim.port}"}, upstream_ca=str(leaf.ca)) as proxy,
    ):
        context = trusting(proxy, tmp_path)
        context.set_alpn_protocols(["http/1.1"])
        for _ in range(2):
            with context.wrap_socket(tunnel(proxy, HOST), server_hostname=HOST) as client:
                client.sendall(ASK.replace(b"host", b"connection: close\r\nhost"))
                assert b" 200 " in read_all(client)
            plain = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
            plain.request("POST", "/v1/messages", json.dumps(BODY))
            assert plain.getresponse().read()
            plain.close()
        assert {end.outcome for _, end in proxy.recorder.wait(4)} == {"complete"}


def test_a_slow_reader_gets_all_and_the_next_answer_too() -> None:
    body = b"x" * (12 << 20)
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body

    def serve(connection: socket.socket) -> None:
        for _ in range(3):
            got = b""
            while not got.endswith(b"{}"):
                if not (piece := connection.recv(65536)):
                    return
                got += piece
            connection.sendall(answer)

    with serving(serve) as url, Proxy(routes={HOST: url}) as proxy:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(20)
        client.connect(("127.0.0.1", proxy.port))
        with client:
            for _ in range(3):
                client.sendall(ASK)
                left = len(answer)
                while left:
                    left -= len(client.recv(min(left, 1 << 16)))


def test_a_provider_that_closes_at_once_is_no_silence() -> None:
    with serving(lambda _: None) as url, Proxy(routes={HOST: url}) as proxy:
        for _ in range(40):
            with connected(proxy) as client:
                client.sendall(ASK)
                with contextlib.suppress(ConnectionResetError):
                    assert client.recv(100) == b""
        assert {end.outcome for _, end in proxy.recorder.wait(40)} == {"error"}


def test_an_answer_before_the_question_was_put() -> None:
    """413 and a close while the client still sends: it is heard to its end and answered."""
    refusal = b"HTTP/1.1 413 No\r\ncontent-length: 2\r\n\r\n{}"

    def serve(connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(refusal)
        connection.shutdown(socket.SHUT_WR)
        threading.Event().wait(0.3)

    size = 30 << 20
    with serving(serve) as url, Proxy(routes={HOST: url}) as proxy, connected(proxy) as client:
        head = b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % size
        client.sendall(head + b"x" * size)
        assert client.recv(65536) == refusal
        ((_, end),) = proxy.recorder.wait()
    assert (end.outcome, end.status_code) == ("error", 413)


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
def test_an_answer_before_the_question_that_ends_with_the_connection(
    tmp_path: Path, *, secure: bool
) -> None:
    """Who has stopped sending by then would wait for its end for ever."""

    def serve(connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(b"HTTP/1.1 413 No\r\nconnection: close\r\n\r\n{}")
        connection.shutdown(socket.SHUT_WR)
        connection.recv(100)

    with serving(serve) as url, Proxy(routes={HOST: url}) as proxy:
        client = connected(proxy)
        if secure:
            client = trusting(proxy, tmp_path).wrap_socket(
                tunnel(proxy, HOST), server_hostname=HOST
            )
        with client:
            client.sendall(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{}")
            assert read_all(client).endswith(b"\r\n\r\n{}")
            client.sendall(b"1234567")  # it is still heard
            ((_, end),) = proxy.recorder.wait()
            wait_until(lambda: not proxy.clients)
    assert (end.outcome, end.status_code) == ("error", 413)


@pytest.mark.parametrize(
    "end", [b"\n\n{}", b"\r\n\n{}", b"\n\r\n{}"], ids=["LF LF", "CRLF LF", "LF CRLF"]
)
def test_a_head_that_ends_without_crs_is_mitmproxys(end: bytes) -> None:
    """For the lane it would never end."""
    with (
        Simulator("plain") as sim,
        Proxy(routes={HOST: sim.url}) as proxy,
        connected(proxy) as client,
    ):
        client.sendall(b"POST /v1/messages HTTP/1.1\nhost: x\ncontent-length: 2" + end)
        assert client.recv(100).startswith(b"HTTP/1.1 ")


def test_mitmproxy_is_told_that_a_client_takes_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection is full of one answer when the next request goes the other way."""
    paused = threading.Event()

    class Reader(asyncio.StreamReaderProtocol):
        def pause_writing(self) -> None:
            paused.set()

    monkeypatch.setattr(Handover, "adopt_opened", lambda *_: Reader(asyncio.StreamReader()))
    with Proxy() as proxy:
        context = trusting(proxy, tmp_path)
        with context.wrap_socket(tunnel(proxy, HOST), server_hostname=HOST) as client:
            (ours,) = proxy.clients
            monkeypatch.setattr(ours, "full", True)
            client.sendall(ASK.replace(b"host", b"proxy-authorization: none\r\nhost"))
            assert paused.wait(10)


def test_a_body_without_a_length_that_is_reset_is_not_whole() -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: ")
        threading.Event().wait(0.1)
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    with serving(serve) as url, Proxy(routes={HOST: url}) as proxy, connected(proxy) as client:
        client.sendall(ASK)
        with pytest.raises(ConnectionResetError):  # an orderly end would make it a whole answer
            read_all(client)
        ((_, end),) = proxy.recorder.wait()
    assert (end.outcome, end.error) == ("truncated", "upstream_disconnected")


def test_a_slow_reader_gets_all_that_came_before_a_reset() -> None:
    size = 3 << 20

    def serve(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * size)
        threading.Event().wait(0.3)  # until all of it is the proxy's, or nearly
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with serving(serve) as url, Proxy(routes={HOST: url}) as proxy:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(10)
        client.connect(("127.0.0.1", proxy.port))
        with client:
            client.sendall(ASK)
            threading.Event().wait(0.5)  # it has been reset
            got, broken = 0, False
            try:
                while piece := client.recv(65536):
                    got += len(piece)
                    threading.Event().wait(0.001)
            except ConnectionResetError:
                broken = True
    assert broken
    assert got > 64 * 1024  # what the proxy held is not thrown away


def test_a_tunnel_that_both_ends_left_is_gone() -> None:
    def serve(connection: socket.socket) -> None:
        while piece := connection.recv(65536):
            connection.sendall(piece)

    with serving_once(serve) as port, Proxy() as proxy:
        client = connected(proxy)
        client.sendall(f"CONNECT localhost:{port} HTTP/1.1\r\n\r\nhello".encode())
        got = b""
        while not got.endswith(b"hello"):
            got += client.recv(1000)
        client.shutdown(socket.SHUT_WR)
        assert client.recv(10) == b""
        wait_until(lambda: not proxy.clients)
        client.close()


def test_a_name_that_is_none_is_answered() -> None:
    with Proxy() as proxy, connected(proxy) as client:
        client.sendall(b"CONNECT " + b"a" * 70 + b".example:4430 HTTP/1.1\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 502 ")


def test_mitmproxy_that_cannot_be_loaded_closes_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> object:
        raise ImportError("broken")

    monkeypatch.setattr(gateway, "_load_other_way", fail)
    with Proxy() as proxy, connected(proxy) as client:
        client.sendall(b"GET http://elsewhere.example/ HTTP/1.1\r\nhost: x\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(100) == b""


def test_a_request_and_farewell_in_one_is_nobodys(tmp_path: Path) -> None:
    """Who has left already is not asked for: the call would be paid for nothing."""
    with Simulator("plain") as sim, Proxy(routes={HOST: sim.url}) as proxy:
        context = trusting(proxy, tmp_path)
        reads, writes = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(reads, writes, server_hostname=HOST)
        with tunnel(proxy, HOST) as connection:
            while True:
                try:
                    client.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    connection.sendall(writes.read())
                    reads.write(connection.recv(65536))
            client.write(ASK)
            with contextlib.suppress(ssl.SSLError):
                client.unwrap()
            connection.sendall(writes.read())
            while connection.recv(65536):
                pass
    assert sim.requests == []
