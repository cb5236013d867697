"""WebSockets in the lane: the bytes of both sides as they are, whatever they are."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.e2e.bench import wait_until
from tests.proxy.harness import Proxy
from tests.proxy.lane.test_hard_cases import read_all
from tests.proxy.lane.test_tunnels import trusting, tunnel
from tests.simulator.sockets import Client as Socket
from tests.simulator.test_websocket import create
from tests.wire.framing.test_websocket import CLOSE, FINAL, PING, TEXT, frame
from tests.wire.strategies import chunked, cuts
from tokenproxy.proxy.handover import Handover
from tokenproxy.simulator import tls
from tokenproxy.simulator.server import Simulator

HOST = "api.openai.com"
AGREED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: x\r\n%s\r\n"
)
MASK = b"\x01\x02\x03\x04"
ASKS = frame(FINAL | TEXT, json.dumps(create()).encode(), MASK)
BEGUN = {"type": "response.created", "response": {"id": "resp_1", "model": "gpt-6-sol"}}
DONE = {
    "type": "response.completed",
    "response": {
        "id": "resp_1", "status": "completed", "model": "gpt-6-sol",
        "usage": {"input_tokens": 12, "output_tokens": 42, "total_tokens": 54},
    },
}  # fmt: skip
ANSWER = b"".join(frame(FINAL | TEXT, json.dumps(event).encode()) for event in (BEGUN, DONE))


def asking(path: bytes = b"/v1/responses") -> bytes:
    return (
        b"GET %s HTTP/1.1\r\nHost: api.openai.com\r\nConnection: keep-alive, Upgrade\r\n"
        b"Upgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n\r\n" % path
    )


@contextmanager
def agreeing(
    serve: Callable[[socket.socket, bytes], object], agreed: bytes = AGREED % b""
) -> Iterator[str]:
    """A provider that agrees to one upgrade; ``serve`` gets what has come behind it. Its URL."""

    def accept(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        connection.settimeout(10)
        with connection:
            got = b""
            while b"\r\n\r\n" not in got:
                got += connection.recv(65536)
            connection.sendall(agreed)
            serve(connection, got.partition(b"\r\n\r\n")[2])

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor() as pool:
        served = pool.submit(accept, listener)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        served.result(10)


def upgraded(proxy: Proxy, behind: bytes = b"") -> socket.socket:
    """A connection that the provider has agreed to."""
    client = socket.create_connection(("127.0.0.1", proxy.port), timeout=10)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.sendall(asking() + behind)
    got = b""
    while not got.endswith(b"\r\n\r\n"):
        got += client.recv(1)
    assert got.startswith(b"HTTP/1.1 101 ")
    return client


def read_exactly(connection: socket.socket, size: int) -> bytes:
    got = bytearray()
    while len(got) < size and (piece := connection.recv(size - len(got))):
        got += piece
    return bytes(got)


SAID = ASKS + frame(TEXT, b"a", MASK) + frame(FINAL | PING, b"p", MASK) + frame(FINAL, b"b", MASK)
TOLD = frame(FINAL | PING, b"q") + ANSWER[:50], ANSWER[50:] + frame(FINAL | CLOSE, b"\x03\xe8by")


@settings(max_examples=20)
@given(st.data())
def test_bytes_pass_as_they_are(data: st.DataObject) -> None:
    told = b"".join(TOLD)
    said_cuts, told_cuts = data.draw(cuts(len(SAID))), data.draw(cuts(len(told)))
    seen: list[bytes] = []

    def serve(connection: socket.socket, got: bytes) -> None:
        seen.append(got + read_exactly(connection, len(SAID) - len(got)))
        for piece in chunked(told, told_cuts):
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_WR)
        seen.append(read_all(connection))

    with (
        agreeing(serve) as url,
        Proxy(routes={HOST: url}) as proxy,
        upgraded(proxy) as client,
    ):
        for piece in chunked(SAID, said_cuts):
            client.sendall(piece)
        assert read_all(client) == told
        client.sendall(b"last words")  # to a side that still listens
        client.shutdown(socket.SHUT_WR)
        ((start, end),) = proxy.recorder.wait()
    assert seen == [SAID, b"last words"]
    assert (end.outcome, end.status_code, end.reading.response_id) == ("complete", 101, "resp_1")
    assert proxy.recorder.asks[start.call_id].model == create()["model"]
    assert end.request_bytes == len(json.dumps(create()))
    assert end.response_bytes == len(json.dumps(BEGUN) + json.dumps(DONE))


def test_frames_that_come_with_the_request_for_the_upgrade() -> None:
    def serve(connection: socket.socket, got: bytes) -> None:
        assert got + read_exactly(connection, len(ASKS) - len(got)) == ASKS
        connection.sendall(ANSWER)
        read_all(connection)

    with (
        agreeing(serve) as url,
        Proxy(routes={HOST: url}) as proxy,
        upgraded(proxy, behind=ASKS) as client,
    ):
        assert read_exactly(client, len(ANSWER)) == ANSWER
        ((_, end),) = proxy.recorder.wait()
    assert end.outcome == "complete"


def test_frames_that_come_with_the_answer() -> None:
    first, rest = ANSWER[:70], ANSWER[70:]
    with (
        agreeing(lambda connection, _: connection.sendall(rest), AGREED % b"" + first) as url,
        Proxy(routes={HOST: url}) as proxy,
        upgraded(proxy) as client,
    ):
        assert read_all(client) == ANSWER
        ((_, end),) = proxy.recorder.wait()
    assert (end.outcome, end.reading.response_id) == ("complete", "resp_1")


@pytest.mark.parametrize("by", ["client", "provider"])
def test_what_is_no_frame_passes_and_is_not_read(by: str, caplog: pytest.LogCaptureFixture) -> None:
    garbage = b"\xf3 this is no frame" * 100
    said = garbage if by == "client" else b""
    told = garbage if by == "provider" else b""

    def serve(connection: socket.socket, got: bytes) -> None:
        size = len(ASKS + said + ASKS)
        assert got + read_exactly(connection, size - len(got)) == ASKS + said + ASKS
        connection.sendall(told)
        connection.sendall(ANSWER)
        assert read_all(connection) == b"bye"

    with (
        agreeing(serve) as url,
        Proxy(routes={HOST: url}) as proxy,
        upgraded(proxy) as client,
    ):
        for piece in (ASKS, said, ASKS):
            client.sendall(piece)
            time.sleep(0.05)
        assert read_exactly(client, len(told + ANSWER)) == told + ANSWER
        client.sendall(b"bye")
        client.close()
        ends = proxy.recorder.wait(1 if by == "client" else 2)
    outcomes = ["complete"] if by == "client" else ["aborted", "aborted"]
    assert [end.outcome for _, end in ends] == outcomes
    assert "not read further: what came is no frame" in caplog.text


def test_an_extension_that_nobody_knows_is_not_read(caplog: pytest.LogCaptureFixture) -> None:
    def serve(connection: socket.socket, got: bytes) -> None:
        assert got + read_exactly(connection, len(ASKS) - len(got)) == ASKS
        connection.sendall(ANSWER)

    with (
        agreeing(serve, AGREED % b"Sec-WebSocket-Extensions: x-own\r\n") as url,
        Proxy(routes={HOST: url}) as proxy,
        upgraded(proxy) as client,
    ):
        client.sendall(ASKS)
        assert read_all(client) == ANSWER
    assert proxy.recorder.starts == {}
    assert "not read further: it uses x-own" in caplog.text


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


def test_what_waits_for_the_journal_is_sent_in_order() -> None:
    pings = frame(FINAL | PING, b"p", MASK) * 3
    came: list[float] = []

    def serve(connection: socket.socket, got: bytes) -> None:
        size = len(ASKS + ASKS + pings)
        got += read_exactly(connection, size - len(got))
        came.append(time.monotonic())
        assert got == ASKS + ASKS + pings
        connection.sendall(b"x")

    with (
        agreeing(serve) as url,
        Proxy(routes={HOST: url}) as proxy,
        upgraded(proxy) as client,
    ):
        proxy.recorder.ack_delay_s = 0.15
        began = time.monotonic()
        for piece in (ASKS + ASKS[:20], ASKS[20:], pings):
            client.sendall(piece)
            time.sleep(0.01)
        assert client.recv(1) == b"x"
        proxy.recorder.wait(2)
    assert came[0] - began > 0.14


def test_what_waits_when_the_account_is_closed_is_not_sent() -> None:
    seen: list[bytes] = []

    with (
        agreeing(lambda connection, got: seen.append(got + read_all(connection))) as url,
        Proxy(routes={HOST: url}) as proxy,
        upgraded(proxy) as client,
    ):
        proxy.recorder.ack_delay_s = 0.15
        client.sendall(ASKS)
        wait_until(lambda: bool(proxy.recorder.starts))
        proxy.close_account()
        with contextlib.suppress(ConnectionResetError):
            assert read_all(client) == b""
        ((_, end),) = proxy.recorder.wait()
    assert seen == [b""]
    assert end.outcome == "lost"


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
