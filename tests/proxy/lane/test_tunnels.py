"""Opened tunnels: the lane's own TLS, and what inside them is mitmproxy's."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.bench import BODY
from tests.listening import listening
from tests.proxy.harness import Proxy
from tests.simulator.sockets import Client as Socket
from tests.simulator.test_websocket import create
from tokenproxy.proxy.handover import Handover
from tokenproxy.simulator import tls
from tokenproxy.simulator.server import Simulator

HOST = "api.anthropic.com"
OPENAI = "api.openai.com"


def trusting(proxy: Proxy, directory: Path) -> ssl.SSLContext:
    ca = directory / "run-ca.pem"
    ca.write_text(proxy.ca_pem)
    return ssl.create_default_context(cafile=str(ca))


def tunnel(proxy: Proxy, host: str) -> socket.socket:
    """A tunnel that has been laid; nothing was said in it yet."""
    made = socket.create_connection(("127.0.0.1", proxy.port), timeout=10)
    made.sendall(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode())
    assert made.recv(1000) == b"HTTP/1.1 200 Connection established\r\n\r\n"
    return made


@pytest.fixture
def adopted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How connections came to mitmproxy: ``answered``, ``whole``, ``opened``."""
    how: list[str] = []
    adopt, opened = Handover.adopt, Handover.adopt_opened

    def note_adopt(self: Handover, *args: object, answered: bool) -> None:
        how.append("answered" if answered else "whole")
        adopt(self, *args, answered=answered)  # type: ignore[arg-type] # passed on

    def note_opened(self: Handover, *args: object) -> object:
        how.append("opened")
        return opened(self, *args)  # type: ignore[arg-type] # passed on

    monkeypatch.setattr(Handover, "adopt", note_adopt)
    monkeypatch.setattr(Handover, "adopt_opened", note_opened)
    return how


def test_several_requests_take_the_lane(tmp_path: Path, adopted: list[str]) -> None:
    leaf = tls.throwaway(tmp_path)
    with (
        Simulator("stream", tls=leaf.context()) as sim,
        Proxy(routes={HOST: f"https://127.0.0.1:{sim.port}"}, upstream_ca=str(leaf.ca)) as proxy,
    ):
        client = http.client.HTTPSConnection(
            "127.0.0.1", proxy.port, context=trusting(proxy, tmp_path), timeout=10
        )
        client.set_tunnel(HOST, 443)
        for number in range(3):
            client.request("POST", "/v1/messages", json.dumps({**BODY, "stream": True}))
            assert client.getresponse().read() == bytes(sim.calls[number].sent)
        client.close()
        ended = proxy.recorder.wait(3)
    assert [end.outcome for _, end in ended] == ["complete"] * 3
    assert adopted == []


def test_a_session_is_taken_up_again(tmp_path: Path) -> None:
    with Simulator("plain") as sim, Proxy(routes={HOST: sim.url}) as proxy:
        context = trusting(proxy, tmp_path)
        session: ssl.SSLSession | None = None
        for reused in (False, True):
            with context.wrap_socket(
                tunnel(proxy, HOST), server_hostname=HOST, session=session
            ) as client:
                client.sendall(
                    b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n"
                    b"connection: close\r\n\r\n{}"
                )
                assert b" 200 " in client.recv(65536)
                assert client.session_reused == reused
                while client.recv(65536):
                    pass
                session = client.session


def test_a_client_that_speaks_http2_gets_it(tmp_path: Path, adopted: list[str]) -> None:
    with Simulator("plain") as sim, Proxy(routes={HOST: sim.url}) as proxy:
        ca = tmp_path / "run-ca.pem"
        ca.write_text(proxy.ca_pem)
        got = subprocess.run(
            ["curl", "-sS", "-m", "20", "--http2", "-x", proxy.url, "--cacert", str(ca),
             "-o", "/dev/null", "-w", "%{http_version} %{http_code}",
             "-d", json.dumps(BODY), f"https://{HOST}/v1/messages"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert got.stdout == "2 200", got.stderr
        ((_, end),) = proxy.recorder.wait()
    assert end.outcome == "complete"
    assert adopted == ["answered"]


def test_a_websocket_inside_an_opened_tunnel(tmp_path: Path, adopted: list[str]) -> None:
    leaf = tls.throwaway(tmp_path)
    with (
        Simulator("plain", tls=leaf.context()) as sim,
        Proxy(
            hosts=(OPENAI,),
            routes={OPENAI: f"https://127.0.0.1:{sim.port}"},
            upstream_ca=str(leaf.ca),
        ) as proxy,
    ):
        context = trusting(proxy, tmp_path)
        inside = context.wrap_socket(tunnel(proxy, OPENAI), server_hostname=OPENAI)
        with Socket(inside, "/v1/responses") as client:
            assert client.status == 101
            for _ in range(2):
                client.send(create(model="gpt-6-sol"))
                client.events()
            ended = proxy.recorder.wait(2)
    assert [end.outcome for _, end in ended] == ["complete"] * 2
    assert adopted == []


def test_an_upgrade_to_something_else_inside_an_opened_tunnel(
    tmp_path: Path, adopted: list[str]
) -> None:
    with Simulator("plain") as sim, Proxy(routes={HOST: sim.url}) as proxy:
        context = trusting(proxy, tmp_path)
        with context.wrap_socket(tunnel(proxy, HOST), server_hostname=HOST) as client:
            client.sendall(
                b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n"
                b"connection: upgrade\r\nupgrade: foo/2\r\n\r\n{}"
            )
            got = b""
            while not got.endswith(b"}"):  # who leaves before has aborted the call
                got += client.recv(65536)
            assert b" 200 " in got
        ((_, end),) = proxy.recorder.wait()
    assert end.outcome == "complete"
    assert adopted == ["opened"]


def test_what_is_no_tls_inside_a_tunnel(adopted: list[str]) -> None:
    with Simulator("plain") as sim, Proxy(routes={HOST: sim.url}) as proxy:
        with tunnel(proxy, HOST) as client:
            client.sendall(
                b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n"
                b"connection: close\r\n\r\n{}"
            )
            got = b""
            while piece := client.recv(65536):
                got += piece
            assert b" 200 " in got
        ((_, end),) = proxy.recorder.wait()
    assert end.outcome == "complete"
    assert adopted == ["answered"]


def test_a_greeting_that_comes_in_pieces(tmp_path: Path, adopted: list[str]) -> None:
    with Simulator("plain") as sim, Proxy(routes={HOST: sim.url}) as proxy:
        context = trusting(proxy, tmp_path)
        reads, writes = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(reads, writes, server_hostname=HOST)
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        hello = writes.read()
        with tunnel(proxy, HOST) as connection:
            for at in range(0, len(hello), 100):
                connection.sendall(hello[at : at + 100])
            while True:
                reads.write(connection.recv(65536))
                try:
                    client.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    connection.sendall(writes.read())
            connection.sendall(writes.read())
    assert client.version() == "TLSv1.3"
    assert adopted == []


def test_a_client_that_says_more_than_connect_at_once(tmp_path: Path, adopted: list[str]) -> None:
    """Nothing has been answered yet: the whole connection is mitmproxy's."""
    with Simulator("plain") as sim, Proxy(routes={HOST: sim.url}) as proxy:
        context = trusting(proxy, tmp_path)
        reads, writes = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(reads, writes, server_hostname=HOST)
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as connection:
            connection.sendall(f"CONNECT {HOST}:443 HTTP/1.1\r\n\r\n".encode() + writes.read())
            assert connection.recv(39).startswith(b"HTTP/1.1 200 ")
            assert connection.recv(1)
    assert adopted == ["whole"]


@contextmanager
def serving_once(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server of one connection, in a thread; its port."""
    with listening() as listener:

        def accept() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(10)
                serve(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


def test_a_host_that_is_not_opened_is_carried_as_it_is(adopted: list[str]) -> None:
    """Bytes both ways, the server first; each half is closed by itself."""

    def serve(connection: socket.socket) -> None:
        connection.sendall(b"220 ready\r\n")
        got = b""
        while piece := connection.recv(65536):
            got += piece
        connection.sendall(got[::-1])

    said = bytes(range(256)) * 4000
    with (
        serving_once(serve) as port,
        Proxy() as proxy,
        socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client,
    ):
        client.sendall(f"CONNECT localhost:{port} HTTP/1.1\r\n\r\nearly".encode())
        head = b"HTTP/1.1 200 Connection established\r\n\r\n220 ready\r\n"
        got = b""
        while len(got) < len(head):
            got += client.recv(len(head) - len(got))
        assert got == head
        client.sendall(said)
        client.shutdown(socket.SHUT_WR)
        back = b""
        while piece := client.recv(65536):
            back += piece
    assert back == (b"early" + said)[::-1]
    assert adopted == []


def test_a_tunnel_that_cannot_be_laid(adopted: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with (
        Proxy() as proxy,
        socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client,
    ):
        client.sendall(f"CONNECT localhost:{port} HTTP/1.1\r\n\r\n".encode())
        got = b""
        while piece := client.recv(65536):
            got += piece
    assert got.startswith(b"HTTP/1.1 502 ")
    assert adopted == []


def test_a_far_end_that_is_slow_holds_the_client_back() -> None:
    """What it does not take is not heaped up with us."""
    go = threading.Event()
    total = 0

    def serve(connection: socket.socket) -> None:
        nonlocal total
        go.wait(20)
        while piece := connection.recv(1 << 20):
            total += len(piece)

    with (
        serving_once(serve) as port,
        Proxy() as proxy,
        socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client,
    ):
        client.sendall(f"CONNECT localhost:{port} HTTP/1.1\r\n\r\n".encode())
        assert b" 200 " in client.recv(1000)
        client.settimeout(1)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 200 << 20:
                sent += client.send(b"x" * (1 << 16))
        assert sent < 100 << 20
        go.set()
        client.settimeout(10)
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    assert total == sent


def test_a_literal_address_on_the_port_of_tls_is_mitmproxys(adopted: list[str]) -> None:
    """Only the client's greeting tells whether it leads to an opened host."""
    with (
        Proxy() as proxy,
        socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client,
    ):
        client.sendall(b"CONNECT 127.0.0.1:443 HTTP/1.1\r\n\r\n")
        assert b" 200 " in client.recv(1000)
    assert adopted == ["whole"]
