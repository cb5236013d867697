"""A listener that other machines reach: model APIs, and no way to anywhere else."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import string
from collections.abc import Iterator

import h2.config
import h2.connection
import h2.events
import pytest

from tests.e2e.bench import BODY
from tests.proxy.harness import Proxy
from tests.proxy.lane.test_tunnels import tunnel
from tokenproxy.simulator.server import Simulator

type Served = tuple[Simulator, Proxy]


@pytest.fixture
def served() -> Iterator[Served]:
    with (
        Simulator("stream") as sim,
        Proxy(routes={"api.anthropic.com": sim.url}, gateway=True, only_opened=True) as proxy,
    ):
        yield sim, proxy


def client(proxy: Proxy) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)


def trusting(proxy: Proxy) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=proxy.ca_pem)


def test_a_model_api_is_served_both_ways(served: Served) -> None:
    sim, proxy = served
    reverse = client(proxy)
    reverse.request("POST", "/anthropic/v1/messages", json.dumps(BODY))
    assert reverse.getresponse().status == 200
    forward = http.client.HTTPSConnection(
        "127.0.0.1", proxy.port, timeout=10, context=trusting(proxy)
    )
    forward.set_tunnel("API.anthropic.com", 443)
    forward.request("POST", "/v1/messages", json.dumps(BODY))
    assert forward.getresponse().status == 200
    assert len(sim.calls) == 2


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "api.anthropic.com.example"])
def test_a_tunnel_to_elsewhere_is_refused(served: Served, host: str) -> None:
    sim, proxy = served
    tunnel = client(proxy)
    tunnel.set_tunnel(host, sim.port)
    with pytest.raises(OSError, match="403"):
        tunnel.request("POST", "/v1/messages", json.dumps(BODY))
    assert sim.requests == []


def test_a_plain_request_to_elsewhere_is_refused(served: Served) -> None:
    sim, proxy = served
    plain = client(proxy)
    plain.request("POST", f"{sim.url}/v1/messages", json.dumps(BODY))
    answer = plain.getresponse()
    assert answer.status == 403
    assert json.loads(answer.read())["error"]["type"] == "permission_error"
    assert sim.requests == []


def test_neither_a_request_in_an_opened_tunnel_nor_tls_to_ourselves_leads_elsewhere(
    served: Served,
) -> None:
    _, proxy = served
    with Simulator("stream") as elsewhere:
        inside = http.client.HTTPSConnection(
            "127.0.0.1", proxy.port, timeout=10, context=trusting(proxy)
        )
        inside.set_tunnel("api.anthropic.com", 443)
        inside.request("POST", f"{elsewhere.url}/v1/messages", json.dumps(BODY))
        inside.getresponse().read()
        with (
            socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as raw,
            trusting(proxy).wrap_socket(raw, server_hostname="api.anthropic.com") as wrapped,
        ):
            wrapped.sendall(f"GET /x HTTP/1.1\r\nhost: 127.0.0.1:{elsewhere.port}\r\n\r\n".encode())
            assert wrapped.recv(1000).split(b" ")[1] == b"403"
        assert elsewhere.requests == []


POST = "POST {} HTTP/1.{}\r\n{}content-length: 2\r\nconnection: close\r\n\r\n{{}}"
HOST, OTHER = "api.anthropic.com", "api.openai.com"
ELSEWHERE = {
    "the host": POST.format("/v1/messages", 1, f"host: {OTHER}\r\n"),
    "by HTTP/1.0": POST.format("/v1/messages", 0, f"host: {OTHER}\r\n"),
    "one of two hosts": POST.format("/v1/messages", 1, f"host: {HOST}\r\nhost: {OTHER}\r\n"),
    "a list": POST.format("/v1/messages", 1, f"host: {HOST}, {OTHER}\r\n"),
    "behind a user's name": POST.format("/v1/messages", 1, f"host: {HOST}:443@{OTHER}\r\n"),
    "behind a path": POST.format("/v1/messages", 1, f"host: {HOST}/{OTHER}\r\n"),
    "the URL": POST.format(f"https://{OTHER}/v1/messages", 1, f"host: {HOST}\r\n"),
    "not the URL": POST.format(f"https://{HOST}/v1/messages", 1, f"host: {OTHER}\r\n"),
    "a socket's": f"GET /v1/responses HTTP/1.1\r\nhost: {OTHER}\r\nconnection: upgrade\r\n"
    "upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: eA==\r\n\r\n",
}
"""Requests in a tunnel to ``HOST`` that say in some way that they are for another."""
THERE = {
    "as it is": POST.format("/v1/messages", 1, f"host: {HOST}\r\n"),
    "in capitals": POST.format("/v1/messages", 1, f"host: {string.capwords(HOST, '.')}\r\n"),
    "with a port": POST.format("/v1/messages", 1, f"host: {HOST}:443\r\n"),
    "with the root": POST.format("/v1/messages", 1, f"host: {HOST}.\r\n"),
    "by nothing": POST.format("/v1/messages", 0, ""),
    "by the URL": POST.format(f"https://{HOST}/v1/messages", 1, f"host: {HOST}\r\n"),
}


def in_tunnel(proxy: Proxy, request: str) -> bytes:
    """The answer's status to a request in an opened tunnel to ``HOST``."""
    with trusting(proxy).wrap_socket(tunnel(proxy, HOST), server_hostname=HOST) as inside:
        inside.sendall(request.encode())
        return inside.recv(1000).split(b" ")[1]


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize("only_opened", [True, False])
def test_a_request_in_a_tunnel_goes_where_that_leads_or_nowhere(only_opened: bool) -> None:
    with (
        Simulator("plain") as there,
        Simulator("plain") as elsewhere,
        Proxy(
            hosts=(HOST, OTHER),
            routes={HOST: there.url, OTHER: elsewhere.url},
            gateway=True,
            only_opened=only_opened,
        ) as proxy,
    ):
        told = {how: in_tunnel(proxy, request) for how, request in ELSEWHERE.items()}
        if only_opened:
            assert told == dict.fromkeys(ELSEWHERE, b"403")
            assert there.requests == []
        # Where each is its own user's, it is as without us: whom the tunnel leads to decides.
        assert elsewhere.requests == []
        seen = len(there.requests)
        told = {how: in_tunnel(proxy, request) for how, request in THERE.items()}
        assert told == dict.fromkeys(THERE, b"200")
        assert len(there.requests) == seen + len(THERE)
        assert {start.server_address for start in proxy.recorder.starts.values()} == {HOST}


@pytest.mark.parametrize(
    ("named", "authority", "hosts"),
    [(OTHER, HOST, ()), (HOST, OTHER, ()), (HOST, HOST, (OTHER,)), (HOST, OTHER, (HOST,))],
    ids=["its certificate", "its authority", "its host", "its authority, not its host"],
)
def test_a_stream_of_http2_that_names_another_host_goes_nowhere(
    named: str, authority: str, hosts: tuple[str, ...]
) -> None:
    with (
        Simulator("plain") as sim,
        Proxy(
            hosts=(HOST, OTHER),
            routes={HOST: sim.url, OTHER: sim.url},
            gateway=True,
            only_opened=True,
        ) as proxy,
    ):
        context = trusting(proxy)
        context.set_alpn_protocols(["h2"])
        asked = h2.connection.H2Connection(
            h2.config.H2Configuration(validate_outbound_headers=False)
        )
        asked.initiate_connection()
        fields = [(":method", "POST"), (":scheme", "https"), (":path", "/v1/messages")]
        fields += [(":authority", authority), *(("host", host) for host in hosts)]
        asked.send_headers(1, fields)
        asked.send_data(1, b"{}", end_stream=True)
        told: list[object] = []
        with context.wrap_socket(tunnel(proxy, HOST), server_hostname=named) as inside:
            inside.sendall(asked.data_to_send())
            while not told:
                for event in asked.receive_data(inside.recv(65536)):
                    if isinstance(event, h2.events.ResponseReceived):
                        told += [dict(event.headers or ())[b":status"]]
        assert told == [b"403"]
        assert sim.requests == []


def test_nothing_is_refused_where_only_this_machine_listens() -> None:
    with Simulator("stream") as sim, Proxy(gateway=True) as proxy:
        tunnel = client(proxy)
        tunnel.set_tunnel("127.0.0.1", sim.port)
        tunnel.request("POST", "/v1/messages", json.dumps(BODY))
        assert tunnel.getresponse().status == 200
