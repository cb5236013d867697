"""HTTP/2 on both sides: a provider that breaks a stream, or the connection, off."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import h2.config
import h2.connection
import h2.errors
import h2.events
import pytest

from tests.e2e.bench import wait_until
from tests.faults.network.scene import Script, Upstream, read
from tests.faults.network.test_upstream import FIRST, LAST, SECOND
from tests.listening import let_go
from tests.proxy.harness import Proxy
from tests.proxy.lane.test_tunnels import tunnel
from tokenproxy.simulator.tls import Certificates, throwaway

ASKED = json.dumps({"model": "claude-opus-5-5", "stream": True, "messages": []})
HEAD = [(":status", "200"), ("content-type", "text/event-stream"), ("request-id", "r1")]
BEGUN, ALL = FIRST + SECOND, FIRST + SECOND + LAST

NOTHING = ("error", "upstream_disconnected", b"")
CUT = ("truncated", "upstream_disconnected", BEGUN)
FAULTS = {
    "whole": ("complete", None, ALL),
    "refused": NOTHING,
    "reset": CUT,
    "going away": CUT,
    "closed": CUT,
    "closed at once": NOTHING,
}
"""What a provider does -> outcome, error, what the client gets."""


class Provider:
    """Answers one request by HTTP/2, as far as it is told to."""

    def __init__(
        self,
        fault: str,
        certificates: Certificates,
        code: int = h2.errors.ErrorCodes.INTERNAL_ERROR,
    ) -> None:
        self._fault = fault
        self._code = code
        self.told: list[int] = []
        """Codes that its streams were reset with."""
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificates.chain)
        self._tls.set_alpn_protocols(["h2"])
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.spoken: list[str | None] = []
        self.requests = 0

    @contextmanager
    def serving(self) -> Iterator[None]:
        thread = threading.Thread(target=self._serve, daemon=True)
        thread.start()
        try:
            yield
        finally:
            let_go(self._listener)
            thread.join(5)

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                accepted, _ = self._listener.accept()
                with suppress(OSError), self._tls.wrap_socket(accepted, server_side=True) as client:
                    self.spoken.append(client.selected_alpn_protocol())
                    self._talk(client)

    def _talk(self, client: ssl.SSLSocket) -> None:
        config = h2.config.H2Configuration(client_side=False)
        connection = h2.connection.H2Connection(config)
        connection.initiate_connection()
        client.sendall(connection.data_to_send())
        while data := client.recv(65536):
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.StreamEnded) and event.stream_id:
                    self.requests += 1
                    goes_on = self._answer(connection, event.stream_id)
                    client.sendall(connection.data_to_send())
                    if not goes_on:
                        # A close with bytes unread would be a reset, which takes back what
                        # was sent and has not been read yet.
                        client.shutdown(socket.SHUT_WR)
                        while client.recv(65536):
                            pass
                        return
                elif isinstance(event, h2.events.StreamReset):
                    self.told.append(int(event.error_code or 0))
            client.sendall(connection.data_to_send())

    def _answer(self, connection: h2.connection.H2Connection, stream: int) -> bool:
        """False: the connection ends with it."""
        if self._fault == "closed at once":
            return False
        if self._fault == "refused":
            connection.reset_stream(stream, h2.errors.ErrorCodes.REFUSED_STREAM)
            return True
        connection.send_headers(stream, HEAD)
        connection.send_data(stream, ALL if self._fault == "whole" else BEGUN)
        if self._fault == "whole":
            connection.end_stream(stream)
        elif self._fault == "reset":
            connection.reset_stream(stream, self._code)
        elif self._fault == "going away":
            connection.close_connection(h2.errors.ErrorCodes.INTERNAL_ERROR, last_stream_id=0)
            return False
        return self._fault != "closed"


@pytest.mark.parametrize("fault", list(FAULTS))
def test_the_client_gets_what_came_and_one_row_says_so(tmp_path: Path, fault: str) -> None:
    outcome, error, got = FAULTS[fault]
    certificates = throwaway(tmp_path)
    provider = Provider(fault, certificates)
    routes = {"api.anthropic.com": f"https://127.0.0.1:{provider.port}"}
    with provider.serving(), Proxy(routes=routes, upstream_ca=str(certificates.ca)) as proxy:
        ca = tmp_path / "run-ca.pem"
        ca.write_text(proxy.ca_pem)
        asked = subprocess.run(
            ["curl", "-sS", "-N", "--http2", "-x", proxy.url, "--cacert", ca, "-m", "20",
             "-H", "content-type: application/json", "-d", ASKED,
             "-w", "%{stderr}%{http_version}", "https://api.anthropic.com/v1/messages"],
            capture_output=True, check=False,
        )  # fmt: skip
        ended = proxy.recorder.wait(provider.requests)
    assert provider.spoken[:1] == ["h2"]
    assert asked.stderr.endswith(b"2" if got else b"0")
    assert len(ended) == provider.requests
    assert (provider.requests > 1) is (fault == "refused")  # curl knows that it may ask again
    assert {(end.outcome, end.error) for _, end in ended} == {(outcome, error)}
    assert (asked.returncode == 0) is (outcome == "complete")
    assert asked.stdout == got


class Asker:
    """A client that speaks HTTP/2 through a tunnel."""

    def __init__(self, proxy: Proxy) -> None:
        context = ssl.create_default_context(cadata=proxy.ca_pem)
        context.set_alpn_protocols(["h2"])
        laid = tunnel(proxy, "api.anthropic.com")
        self.socket = context.wrap_socket(laid, server_hostname="api.anthropic.com")
        self.streams = h2.connection.H2Connection(h2.config.H2Configuration())
        self.streams.initiate_connection()
        self.got: dict[int, list[str | bytes | int]] = {}
        """Of each stream: the answer's status, its body, and its end: a reset's code or ``end``."""

    def ask(self) -> int:
        stream: int = self.streams.get_next_available_stream_id()
        fields = [(":method", "POST"), (":scheme", "https"), (":path", "/v1/messages")]
        self.streams.send_headers(stream, [*fields, (":authority", "api.anthropic.com")])
        self.streams.send_data(stream, ASKED.encode(), end_stream=True)
        self.socket.sendall(self.streams.data_to_send())
        self.got[stream] = []
        return stream

    def read(self, stream: int, until: str | bytes | int | None = None) -> list[str | bytes | int]:
        """What comes of a stream: all of it, or until something has."""
        got = self.got[stream]
        while not any(isinstance(piece, int) or piece in ("end", until) for piece in got):
            for event in self.streams.receive_data(self.socket.recv(65536)):
                self._take(event)
        return got

    def _take(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ResponseReceived(stream_id=int(stream), headers=list(fields)):
                self.got[stream].append(dict(fields)[b":status"].decode())
            case h2.events.DataReceived(stream_id=int(stream), data=bytes(data)) if data:
                self.got[stream].append(data)
            case h2.events.StreamEnded(stream_id=int(stream)):
                self.got[stream].append("end")
            case h2.events.StreamReset(stream_id=int(stream)):
                self.got[stream].append(int(event.error_code or 0))
            case _:
                pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


CODES = [*map(int, h2.errors.ErrorCodes), 0x1234]


@pytest.mark.parametrize("code", CODES)
def test_a_reset_has_the_providers_code(tmp_path: Path, code: int) -> None:
    certificates = throwaway(tmp_path)
    provider = Provider("reset", certificates, code)
    routes = {"api.anthropic.com": f"https://127.0.0.1:{provider.port}"}
    with (
        provider.serving(),
        Proxy(routes=routes, upstream_ca=str(certificates.ca)) as proxy,
        Asker(proxy) as client,
    ):
        for _ in range(2):  # the connection goes on
            assert client.read(client.ask()) == ["200", BEGUN, code]
        ended = proxy.recorder.wait(2)
    assert {(end.outcome, end.error) for _, end in ended} == {CUT[:2]}
    assert provider.spoken == ["h2"]


def test_a_reset_has_the_clients_code(tmp_path: Path) -> None:
    certificates = throwaway(tmp_path)
    provider = Provider("waits", certificates)
    routes = {"api.anthropic.com": f"https://127.0.0.1:{provider.port}"}
    with (
        provider.serving(),
        Proxy(routes=routes, upstream_ca=str(certificates.ca)) as proxy,
        Asker(proxy) as client,
    ):
        stream = client.ask()
        assert client.read(stream, until=BEGUN) == ["200", BEGUN]
        client.streams.reset_stream(stream, h2.errors.ErrorCodes.ENHANCE_YOUR_CALM)
        client.socket.sendall(client.streams.data_to_send())
        wait_until(lambda: bool(provider.told))
        ((_, end),) = proxy.recorder.wait()
    assert provider.told == [h2.errors.ErrorCodes.ENHANCE_YOUR_CALM]
    assert (end.outcome, end.error) == ("aborted", "client_disconnected")


def test_a_body_without_a_length_that_http1_breaks_off_does_not_look_whole() -> None:
    sse = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
    with (
        Upstream([Script([sse + BEGUN], "reset")]) as upstream,
        Proxy(routes={"api.anthropic.com": upstream.url}) as proxy,
        Asker(proxy) as client,
    ):
        assert client.read(client.ask()) == ["200", BEGUN, h2.errors.ErrorCodes.INTERNAL_ERROR]
        ((_, end),) = proxy.recorder.wait()
    assert (end.outcome, end.error) == CUT[:2]


def test_nor_does_it_in_a_tunnel_whose_tls_ends_with_the_lane() -> None:
    """The lane has opened it before it was seen that the request is mitmproxy's."""
    sse = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
    ask = b"POST /v1/messages HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n"
    ask += b"content-length: %d\r\n\r\n"
    host = "api.anthropic.com"
    with (
        Upstream([Script([sse + BEGUN], "reset")]) as upstream,
        Proxy(routes={host: upstream.url}) as proxy,
    ):
        context = ssl.create_default_context(cadata=proxy.ca_pem)
        with context.wrap_socket(tunnel(proxy, host), server_hostname=host) as client:
            client.sendall(ask % len(ASKED) + ASKED.encode())
            seen = read(client)
        ((_, end),) = proxy.recorder.wait()
    assert seen.end == "reset"
    assert seen.got.endswith(BEGUN)
    assert (end.outcome, end.error) == CUT[:2]
