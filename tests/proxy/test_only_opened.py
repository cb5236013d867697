"""A listener that other machines reach: model APIs, and no way to anywhere else."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Iterator

import pytest

from tests.e2e.bench import BODY
from tests.proxy.harness import Proxy
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


def test_nothing_is_refused_where_only_this_machine_listens() -> None:
    with Simulator("stream") as sim, Proxy(gateway=True) as proxy:
        tunnel = client(proxy)
        tunnel.set_tunnel("127.0.0.1", sim.port)
        tunnel.request("POST", "/v1/messages", json.dumps(BODY))
        assert tunnel.getresponse().status == 200
