"""Tunnels that the far end breaks off: not opened ones, and the way through a user's proxy."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.faults.network.scene import PAUSE_S, connected, read, reset
from tests.faults.network.test_upstream import REQUEST, SSE
from tests.proxy.harness import Proxy
from tests.proxy.lane.test_relay import EVENTS, QUESTION
from tokenproxy.simulator import tls

SAID = b"220 ready\r\n"
CUT = SSE + b"connection: close\r\n\r\n" + EVENTS[:300]


@contextmanager
def breaking(said: bytes) -> Iterator[int]:
    """A far end that says something and resets the connection. Its port."""

    def serve(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.sendall(said)
                threading.Event().wait(PAUSE_S)
                reset(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("lane", [True, False], ids=["lane", "mitmproxy"])
def test_a_tunnel_that_is_not_opened_is_reset(lane: bool) -> None:
    with breaking(SAID) as port, Proxy(lane=lane) as proxy, connected(proxy.port) as client:
        client.sendall(f"CONNECT localhost:{port} HTTP/1.1\r\n\r\n".encode())
        seen = read(client)
    assert seen.got == b"HTTP/1.1 200 Connection established\r\n\r\n" + SAID
    assert seen.end == "reset"


@contextmanager
def corporate(certificates: tls.Certificates) -> Iterator[str]:
    """A user's own proxy, and the provider behind it, which breaks off in its answer. Its URL."""

    def serve(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                while not connection.recv(65536).endswith(b"\r\n\r\n"):
                    pass
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                with certificates.context().wrap_socket(connection, server_side=True) as inside:
                    got = b""
                    while QUESTION not in got:
                        got += inside.recv(65536)
                    inside.sendall(CUT)
                    threading.Event().wait(PAUSE_S)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def test_an_answer_that_is_broken_off_behind_a_users_proxy_does_not_look_whole(
    tmp_path: Path,
) -> None:
    certificates = tls.throwaway(tmp_path, "provider.example")
    with (
        corporate(certificates) as url,
        Proxy(
            routes={"api.anthropic.com": "https://provider.example"},
            upstream_proxy=url,
            upstream_ca=str(certificates.ca),
        ) as proxy,
        connected(proxy.port) as client,
    ):
        client.sendall(REQUEST)
        seen = read(client)
        ((_, end),) = proxy.recorder.wait()
    assert seen.got.endswith(EVENTS[:300])
    assert seen.end == "reset"
    assert (end.outcome, end.error) == ("truncated", "upstream_disconnected")
