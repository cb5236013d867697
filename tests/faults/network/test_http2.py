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

import h2.config
import h2.connection
import h2.errors
import h2.events
import pytest

from tests.faults.network.test_upstream import FIRST, LAST, SECOND
from tests.proxy.harness import Proxy
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

    def __init__(self, fault: str, certificates: Certificates) -> None:
        self._fault = fault
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
            self._listener.shutdown(socket.SHUT_RDWR)  # or accept() would go on
            self._listener.close()
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
                        return
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
            connection.reset_stream(stream, h2.errors.ErrorCodes.INTERNAL_ERROR)
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
        ((_, end),) = proxy.recorder.wait()
    assert provider.spoken[:1] == ["h2"]
    assert asked.stderr.endswith(b"2" if got else b"0")
    assert provider.requests == 1
    assert (end.outcome, end.error) == (outcome, error)
    assert (asked.returncode == 0) is (outcome == "complete")
    assert asked.stdout == got
