from __future__ import annotations

import socket
from urllib.parse import urlsplit

from tokenproxy.simulator.server import Simulator
from tokenproxy.simulator.tunnel import Tunnel


def test_brings_any_host_to_one_port() -> None:
    with Simulator() as sim, Tunnel(sim.port) as tunnel:
        address = ("127.0.0.1", urlsplit(tunnel.url).port or 0)
        with socket.create_connection(address, timeout=5) as client:
            client.sendall(b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200")
            client.sendall(b"GET /through HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 404")
        assert sim.requests[0].path == "/through"
        assert tunnel.heads[0].startswith(b"CONNECT example.com:443")
        with socket.create_connection(address, timeout=5) as client:
            client.sendall(b"GET http://example.com/ HTTP/1.1\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 405")
