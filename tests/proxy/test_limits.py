"""What a client may cost a gateway, on both ways through it."""

from __future__ import annotations

import json
import re
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.e2e.bench import BODY, wait_until
from tests.proxy.harness import Proxy
from tests.proxy.raw_socket import RawServer
from tests.proxy.test_websocket import echo
from tests.simulator.sockets import Client as Socket
from tokenproxy.config import Admission, Limits
from tokenproxy.proxy.lane import farewell
from tokenproxy.proxy.lane import lane as lane_module
from tokenproxy.simulator.server import Simulator

BOTH = pytest.mark.parametrize("lane", [True, False], ids=["lane", "mitmproxy"])
ASK = json.dumps(BODY).encode()


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_module, "LOOK_S", 0.05)


def limited(sim: Simulator, *, lane: bool = True, **limits: float) -> Proxy:
    return Proxy(
        routes={"api.anthropic.com": sim.url},
        gateway=True,
        only_opened=True,
        limits=Limits(**{"head_s": 30, "idle_s": 60, **limits}),  # type: ignore[arg-type] # by name
        lane=lane,
    )


def connected(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=20)


def request(path: str = "/v1/messages", *fields: str, body: bytes = ASK) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "host: h", *fields]
    if "transfer-encoding: chunked" not in fields:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def rest(connection: socket.socket) -> bytes:
    """All that comes until the other end closes; a reset is an end too."""
    received = b""
    try:
        while data := connection.recv(65536):
            received += data
    except ConnectionResetError:
        pass
    return received


def answered(connection: socket.socket) -> bytes:
    """One whole answer."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(re.findall(rb"(?i)content-length: (\d+)", head)[0])
    while len(body) < length:
        body += connection.recv(65536)
    return body


@BOTH
@pytest.mark.parametrize("chunks", [1, 20])
def test_a_head_has_an_end(lane: bool, chunks: int) -> None:
    head = request("/v1/messages", f"x: {'y' * 200_000}")
    with Simulator("plain") as sim, limited(sim, lane=lane) as proxy, connected(proxy) as client:
        step = len(head) // chunks + 1
        try:
            for at in range(0, len(head), step):
                client.sendall(head[at : at + step])
                time.sleep(0.005)
        except OSError:
            pass  # it has heard enough
        said = rest(client)
        assert said == b"" or said.startswith(b"HTTP/1.1 431 ")
        assert sim.requests == []


@BOTH
def test_a_body_that_says_it_is_too_long(lane: bool) -> None:
    with (
        Simulator("plain") as sim,
        limited(sim, lane=lane, body_bytes=len(ASK) - 1) as proxy,
        connected(proxy) as client,
    ):
        client.sendall(request("/v1/messages", "connection: close"))
        assert rest(client).startswith(b"HTTP/1.1 413 ")
        assert sim.requests == []
        assert proxy.recorder.starts == {}


@pytest.mark.parametrize("limit", [{"idle_s": 0.3}, {"body_bytes": 2000}], ids=str)
def test_a_websocket_is_no_request(limit: dict[str, float]) -> None:
    """It may be silent as long as its ends like, and carry as much."""
    with RawServer(echo) as server:
        proxy = Proxy(
            upstreams={"openai": server.url + "/v1"},
            gateway=True,
            limits=Limits(**limit),  # type: ignore[arg-type] # by name
        )
        with proxy, Socket(proxy, "/openai/v1/responses") as client:
            for _ in range(3):
                client.send({"type": "session.update", "x": "y" * 900})
                assert client.message()["type"] == "session.update"
                time.sleep(0.4)


@BOTH
def test_a_body_that_turns_out_to_be_too_long(lane: bool) -> None:
    piece = b"400\r\n" + b" " * 1024 + b"\r\n"
    with (
        Simulator("plain") as sim,
        limited(sim, lane=lane, body_bytes=100_000) as proxy,
        connected(proxy) as client,
    ):
        client.sendall(request("/v1/messages", "transfer-encoding: chunked", body=b""))
        with suppress(ConnectionError):
            while True:
                client.sendall(piece)
        ((_, end),) = proxy.recorder.wait()
        assert end.outcome == "aborted"


@BOTH
def test_a_body_as_long_as_it_may_be(lane: bool) -> None:
    with (
        Simulator("plain") as sim,
        limited(sim, lane=lane, body_bytes=len(ASK)) as proxy,
        connected(proxy) as client,
    ):
        for _ in range(2):
            client.sendall(request())
            assert b"msg_" in answered(client)
        assert len(sim.requests) == 2


def test_so_many_connections_and_no_more() -> None:
    with Simulator("plain") as sim, limited(sim, connections=3) as proxy:
        held = [connected(proxy) for _ in range(3)]
        for client in held:
            client.sendall(request())
            assert b"msg_" in answered(client)
        with connected(proxy) as fourth:
            assert rest(fourth).startswith(b"HTTP/1.1 503 ")
        held.pop().close()
        held[0].sendall(request())
        assert b"msg_" in answered(held[0])
        with connected(proxy) as again:
            again.sendall(request())
            assert b"msg_" in answered(again)
        for client in held:
            client.close()


def drip(client: socket.socket, data: bytes) -> None:
    """One byte now and then, until nobody listens."""
    try:
        for at in range(len(data)):
            client.sendall(data[at : at + 1])
            time.sleep(0.05)
    except OSError:
        pass


@pytest.mark.parametrize("sent", [b"", b"P", request()[:40]], ids=["nothing", "P", "half"])
def test_a_head_that_does_not_come(sent: bytes) -> None:
    with (
        Simulator("plain") as sim,
        limited(sim, head_s=0.3) as proxy,
        connected(proxy) as slow,
    ):
        slow.sendall(sent)
        assert rest(slow).startswith(b"HTTP/1.1 408 ")


@BOTH
def test_a_head_that_comes_by_the_byte(lane: bool) -> None:
    with (
        Simulator("plain") as sim,
        limited(sim, lane=lane, head_s=0.3) as proxy,
        connected(proxy) as slow,
    ):
        drip(slow, request()[:100])
        said = rest(slow)
        assert said == b"" or said.startswith(b"HTTP/1.1 408 ")
        assert sim.requests == []


def test_a_tunnel_in_which_nobody_greets() -> None:
    with Simulator("plain") as sim, limited(sim, head_s=0.3) as proxy, connected(proxy) as client:
        client.sendall(b"CONNECT api.anthropic.com:443 HTTP/1.1\r\nhost: h\r\n\r\n")
        assert rest(client) == b"HTTP/1.1 200 Connection established\r\n\r\n"


def greeting() -> bytes:
    """What a client of TLS says first."""
    told = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(
        ssl.MemoryBIO(), told, server_hostname="api.anthropic.com"
    )
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return told.read()


@pytest.mark.parametrize("how", ["half", "by the byte", "whole"])
def test_a_tunnel_in_which_a_greeting_comes_to_nothing(how: str) -> None:
    """Half of it, a byte now and then, or all of it and no answer to ours."""
    with Simulator("plain") as sim, limited(sim, head_s=0.3) as proxy, connected(proxy) as client:
        client.sendall(b"CONNECT api.anthropic.com:443 HTTP/1.1\r\nhost: h\r\n\r\n")
        assert b" 200 " in client.recv(1000)
        said = greeting()
        if how == "by the byte":
            drip(client, said[:100])
        else:
            client.sendall(said if how == "whole" else said[:100])
        rest(client)  # comes to its end
        assert sim.requests == []


@pytest.mark.parametrize(
    "token",
    [b"", b"\xc3\xbc\xff", b"a" * 23, b"a" * 25, b"a" * 100_000, b"\x00" * 24],
    ids=["none", "no ASCII", "shorter", "longer", "very long", "zeros"],
)
@pytest.mark.parametrize("field", [b"x-tokenproxy-token: ", b"proxy-authorization: Bearer "])
def test_an_odd_token_is_none(token: bytes, field: bytes) -> None:
    with (
        Simulator("plain") as sim,
        Proxy(
            routes={"api.anthropic.com": sim.url},
            gateway=True,
            admission=Admission(secret="a" * 24),
        ) as proxy,
        connected(proxy) as client,
    ):
        head = b"GET /v1/models HTTP/1.1\r\nhost: h\r\n%s%s\r\nconnection: close\r\n\r\n"
        client.sendall(head % (field, token))
        assert rest(client).split(b" ")[1] in {b"401", b"407", b"431", b"400"}
        assert sim.requests == []


def test_nobody_is_hurried_whose_tunnel_takes_long_to_lay() -> None:
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as full,
        Proxy(gateway=True, limits=Limits(head_s=0.2, idle_s=0.2)) as proxy,
        connected(proxy) as client,
    ):
        waiting = [socket.socket() for _ in range(4)]
        for other in waiting:
            other.setblocking(False)  # noqa: FBT003 - socket's own
            other.connect_ex(full.getsockname())
        port = full.getsockname()[1]
        client.sendall(f"CONNECT localhost:{port} HTTP/1.1\r\nhost: h\r\n\r\n".encode())
        client.settimeout(1)
        with pytest.raises(TimeoutError):
            client.recv(100)
        for other in waiting:
            other.close()


def test_a_client_that_has_no_more_questions() -> None:
    with Simulator("plain") as sim, limited(sim, idle_s=0.3) as proxy, connected(proxy) as client:
        client.sendall(request())
        assert b"msg_" in rest(client)


def test_a_body_that_stops() -> None:
    with Simulator("plain") as sim, limited(sim, idle_s=0.3) as proxy, connected(proxy) as client:
        client.sendall(request()[:-5])
        rest(client)
        ((_, end),) = proxy.recorder.wait()
        assert end.outcome == "aborted"


def test_nobody_is_hurried_who_waits_for_an_answer() -> None:
    with Simulator("slow") as sim, limited(sim, idle_s=0.2, head_s=0.2) as proxy:
        with connected(proxy) as client:
            client.sendall(request("/v1/messages", "connection: close"))
            assert rest(client)
        ((_, end),) = proxy.recorder.wait()
        assert end.outcome == "complete"


def test_a_run_has_no_limits() -> None:
    with (
        Simulator("plain") as sim,
        Proxy(routes={"api.anthropic.com": sim.url}) as proxy,
        connected(proxy) as client,
    ):
        head = request("/v1/messages", f"x: {'y' * 30_000}")
        for piece in (head[:1], head[1:20_000], head[20_000:]):
            client.sendall(piece)
            time.sleep(0.3)
        assert b"msg_" in answered(client)


def test_those_that_are_turned_away_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """And leave nothing behind."""
    monkeypatch.setattr(farewell, "MOST", 2)
    with Simulator("plain") as sim, limited(sim, connections=1) as proxy, connected(proxy) as one:
        one.sendall(request())
        assert b"msg_" in answered(one)
        more = [connected(proxy) for _ in range(5)]
        for client in more:
            assert rest(client).startswith(b"HTTP/1.1 503 ")
            client.close()
        wait_until(lambda: not proxy.leaving)


# -- health -------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_health_is_told_to_whoever_asks(lane: bool, method: str) -> None:
    from tokenproxy import __version__

    with Simulator("plain") as sim, limited(sim, lane=lane) as proxy, connected(proxy) as client:
        client.sendall(
            f"{method} /healthz HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n".encode()
        )
        head, _, body = rest(client).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        if method == "GET":
            assert json.loads(body) == {"status": "ok", "version": __version__}
        else:
            assert body == b""


# -- who says where it goes ---------------------------------------------------------------


@pytest.fixture(params=["lane", "h2", "mitmproxy"])
def inside(request: pytest.FixtureRequest) -> Iterator[tuple[Simulator, ssl.SSLSocket]]:
    """The inside of a tunnel to a model API, by each way."""
    way = request.param
    with Simulator("plain") as sim, limited(sim, lane=way != "mitmproxy") as proxy:
        context = ssl.create_default_context(cadata=proxy.ca_pem)
        if way == "h2":
            context.set_alpn_protocols(["h2", "http/1.1"])
        raw = connected(proxy)
        raw.sendall(b"CONNECT api.anthropic.com:443 HTTP/1.1\r\nhost: h\r\n\r\n")
        assert b" 200 " in raw.recv(1000)
        with context.wrap_socket(raw, server_hostname="api.anthropic.com") as wrapped:
            yield sim, wrapped


def answer(connection: ssl.SSLSocket, host: str) -> int:
    """The status of a request that says that it is for ``host``."""
    if connection.selected_alpn_protocol() == "h2":
        return answer_h2(connection, host)
    connection.sendall(request().replace(b"host: h", b"host: " + host.encode()))
    return int(connection.recv(65536).split()[1])


def answer_h2(connection: ssl.SSLSocket, host: str, *more: tuple[str, str]) -> int:
    import h2.config
    import h2.connection
    import h2.events

    config = h2.config.H2Configuration(validate_outbound_headers=False)
    h2c = h2.connection.H2Connection(config)
    h2c.initiate_connection()
    fields = [(":method", "POST"), (":path", "/v1/messages"), (":scheme", "https"),
              (":authority", host), *more, ("content-length", str(len(ASK)))]  # fmt: skip
    h2c.send_headers(1, fields)
    h2c.send_data(1, ASK, end_stream=True)
    connection.sendall(h2c.data_to_send())
    while True:
        for event in h2c.receive_data(connection.recv(65536)):
            if isinstance(event, h2.events.ResponseReceived):
                return int(dict(event.headers)[b":status"])
        connection.sendall(h2c.data_to_send())


@pytest.mark.parametrize(
    "host", ["api.anthropic.com", "API.Anthropic.com:443", "api.anthropic.com."]
)
def test_a_tunnels_own_host(inside: tuple[Simulator, ssl.SSLSocket], host: str) -> None:
    assert answer(inside[1], host) == 200


@pytest.mark.parametrize(
    "host",
    ["elsewhere.example", "api.openai.com", "api.anthropic.com.example", "127.0.0.1"],
)
def test_another_host_inside_a_tunnel(inside: tuple[Simulator, ssl.SSLSocket], host: str) -> None:
    """Big networks lead a request by its Host field, whatever server the tunnel was for."""
    sim, connection = inside
    assert answer(connection, host) == 403
    assert sim.requests == []


def test_two_hosts_inside_a_tunnel(inside: tuple[Simulator, ssl.SSLSocket]) -> None:
    sim, connection = inside
    if connection.selected_alpn_protocol() == "h2":
        status = answer_h2(connection, "api.anthropic.com", ("host", "elsewhere.example"))
    else:
        asked = request("/v1/messages", "host: elsewhere.example")
        connection.sendall(asked.replace(b"host: h", b"host: api.anthropic.com"))
        status = int(connection.recv(65536).split()[1])
    assert status in (400, 403)
    assert sim.requests == []


def test_a_websocket_to_another_host_inside_a_tunnel(
    inside: tuple[Simulator, ssl.SSLSocket],
) -> None:
    sim, connection = inside
    if connection.selected_alpn_protocol() == "h2":
        return
    fields = ("connection: Upgrade", "upgrade: websocket", "sec-websocket-version: 13",
              "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==")  # fmt: skip
    asked = request("/v1/messages", *fields, body=b"").replace(b"POST", b"GET")
    connection.sendall(asked.replace(b"host: h", b"host: elsewhere.example"))
    assert connection.recv(65536).split()[1] == b"403"
    assert sim.requests == []


@BOTH
def test_another_host_in_a_tunnels_greeting(lane: bool) -> None:
    with Simulator("plain") as sim, limited(sim, lane=lane) as proxy:
        context = ssl.create_default_context(cadata=proxy.ca_pem)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        raw = connected(proxy)
        raw.sendall(b"CONNECT api.anthropic.com:443 HTTP/1.1\r\nhost: h\r\n\r\n")
        assert b" 200 " in raw.recv(1000)
        with context.wrap_socket(raw, server_hostname="elsewhere.example") as wrapped:
            assert answer(wrapped, "api.anthropic.com") == 403
        assert sim.requests == []


@BOTH
def test_what_is_no_tls_in_a_tunnel_goes_nowhere(lane: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        port = elsewhere.getsockname()[1]
        with (
            Proxy(hosts=("localhost",), gateway=True, only_opened=True, lane=lane) as proxy,
            connected(proxy) as client,
        ):
            client.sendall(f"CONNECT localhost:{port} HTTP/1.1\r\nhost: h\r\n\r\n".encode())
            assert b" 200 " in client.recv(1000)
            client.sendall(b"\x00\x01\x02 whatever this is\r\n\r\n")
            assert rest(client) == b""
        elsewhere.settimeout(0.2)
        with pytest.raises(TimeoutError):
            elsewhere.accept()


def test_where_all_is_served_a_host_is_the_clients_business() -> None:
    with Simulator("plain") as sim, Proxy(routes={"api.anthropic.com": sim.url}) as proxy:
        context = ssl.create_default_context(cadata=proxy.ca_pem)
        raw = connected(proxy)
        raw.sendall(b"CONNECT api.anthropic.com:443 HTTP/1.1\r\nhost: h\r\n\r\n")
        assert b" 200 " in raw.recv(1000)
        with context.wrap_socket(raw, server_hostname="api.anthropic.com") as wrapped:
            assert answer(wrapped, "elsewhere.example") == 200
