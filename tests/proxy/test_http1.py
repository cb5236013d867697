"""Where mitmproxy's own HTTP would change what passes."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from tests.e2e.bench import BODY
from tests.proxy.harness import Proxy
from tokenproxy.simulator.server import Simulator


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_server_that_speaks_first_is_heard_through_a_tunnel(host: str) -> None:
    server = socket.create_server(("127.0.0.1", 0))

    def greet() -> None:
        client, _ = server.accept()
        client.sendall(b"220 ready\r\n")
        client.recv(10)
        client.close()

    threading.Thread(target=greet, daemon=True).start()
    port = server.getsockname()[1]
    with server, Proxy() as proxy, socket.create_connection(("127.0.0.1", proxy.port)) as client:
        client.settimeout(5)
        client.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\n\r\n".encode())
        got = b""
        while b"220 ready" not in got:
            piece = client.recv(4096)
            assert piece, got
            got += piece
    assert got.startswith(b"HTTP/1.1 200")


def test_an_http2_client_gets_no_made_up_answer_either(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with Proxy(routes={"api.anthropic.com": f"http://127.0.0.1:{port}"}) as proxy:
        ca = tmp_path / "ca.pem"
        ca.write_text(proxy.ca_pem)
        got = subprocess.run(
            ["curl", "-sS", "--http2", "-m", "5", "-x", proxy.url, "--cacert", str(ca),
             "-d", "{}", "https://api.anthropic.com/v1/messages"],
            capture_output=True, check=False,
        )  # fmt: skip
        ((_, end),) = proxy.recorder.wait()
    assert got.returncode != 0
    assert got.stdout == b""
    assert end.error == "upstream_unreachable"


@pytest.mark.parametrize("gateway", [False, True])
def test_a_request_for_another_host_never_goes_to_a_provider(gateway: bool) -> None:
    """In absolute form, as to a proxy: its key is for that host alone."""
    with (
        Simulator("plain") as provider,
        Simulator("plain") as other,
        Proxy(routes={"api.anthropic.com": provider.url}, gateway=gateway) as proxy,
    ):
        got = subprocess.run(
            ["curl", "-sS", "-m", "5", "-x", proxy.url, "--noproxy", "", "-H", "x-api-key: theirs",
             "-d", "{}", f"{other.url}/v1/messages"],
            capture_output=True, check=False,
        )  # fmt: skip
        assert got.returncode == 0
        assert (len(provider.requests), len(other.requests)) == (0, 1)
        [start] = proxy.recorder.starts.values()
        assert start.server_address == "127.0.0.1"


def _raw_upstream(*pieces: bytes) -> socket.socket:
    """A server that answers one request with these pieces, a moment apart."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        client, _ = server.accept()
        with client:
            client.recv(65536)
            for piece in pieces:
                client.sendall(piece)
                threading.Event().wait(0.05)
            client.recv(65536)

    threading.Thread(target=serve, daemon=True).start()
    return server


JSON_BODY = (
    b'{"type":"message","model":"m","stop_reason":"end_turn",'
    b'"usage":{"input_tokens":3,"output_tokens":5}}'
)
JSON_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
JSON_ANSWER = JSON_HEAD + b"content-length: %d\r\n\r\n%s" % (len(JSON_BODY), JSON_BODY)


def _exchange(proxy: Proxy, answer_ends: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", proxy.port)) as client:
        body = json.dumps(BODY).encode()
        head = "POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n"
        client.sendall(head.format(len(body)).encode() + body)
        client.settimeout(5)
        got = b""
        while answer_ends not in got:
            piece = client.recv(65536)
            assert piece, got
            got += piece
        return got


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
def test_interim_responses_pass_and_the_real_one_is_read(together: bool, line_end: bytes) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n".replace(b"\r\n", line_end)
    pieces = [hints + hints + JSON_ANSWER] if together else [hints[:9], hints[9:], JSON_ANSWER]
    with _raw_upstream(*pieces) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with Proxy(routes={"api.anthropic.com": url}) as proxy:
            got = _exchange(proxy, b'"output_tokens":5}}')
            ((_, end),) = proxy.recorder.wait()
    assert got == b"".join(pieces)
    assert (end.outcome, end.status_code) == ("complete", 200)
    assert end.reading.parts[0].output_tokens == 5


def test_trailers_of_a_chunked_body_do_not_break_it() -> None:
    chunk = b"%x\r\n%s\r\n0\r\nx-checksum: 1\r\n\r\n" % (len(JSON_BODY), JSON_BODY)
    head = JSON_HEAD + b"transfer-encoding: chunked\r\n\r\n"
    with _raw_upstream(head + chunk) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with Proxy(routes={"api.anthropic.com": url}) as proxy:
            got = _exchange(proxy, b"0\r\nx-checksum: 1\r\n\r\n")
            ((_, end),) = proxy.recorder.wait()
    assert JSON_BODY in got
    assert end.outcome == "complete"
