"""The proxy on the wire: bytes pass unchanged, calls are read, the rest is let through."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest

from tests.e2e.bench import BODY, wait_until
from tests.proxy.harness import Proxy
from tokenproxy.simulator import tls
from tokenproxy.simulator.server import Simulator
from tokenproxy.simulator.tunnel import Tunnel

ENCODINGS = ["", "+gzip", "+deflate", "+deflate-raw", "+br", "+zstd"]
CHUNKS = ["", "+bytes", "+random:7", "+whole"]
HEADERS = {
    "X-Odd-Case": "Kept",
    "content-type": "application/json",
    "accept-encoding": "gzip, deflate, br, zstd",
    "x-claude-code-session-id": "5e551011",
    "user-agent": "claude-cli/2.1.330 (external, cli)",
}


def post(
    port: int, path: str, body: object, headers: dict[str, str] | None = None
) -> http.client.HTTPResponse:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    client.request("POST", path, json.dumps(body), headers or HEADERS)
    return client.getresponse()


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("chunks", CHUNKS)
def test_a_stream_passes_byte_for_byte_and_is_read(encoding: str, chunks: str) -> None:
    with (
        Simulator(f"stream{encoding}{chunks}") as sim,
        Proxy(routes={"api.anthropic.com": sim.url}) as proxy,
    ):
        answer = post(proxy.port, "/anthropic/v1/messages?beta=true", {**BODY, "stream": True})
        assert answer.read() == bytes(sim.calls[0].sent)
        ((start, end),) = proxy.recorder.wait()
        request = sim.requests[0]
    assert (end.outcome, end.error) == ("complete", None)
    (part,) = end.reading.parts
    assert part.cache_read_input_tokens == 15_000
    assert part.output_tokens == 547
    assert end.response_bytes == len(sim.calls[0].sent)
    assert request.path == "/v1/messages?beta=true"
    assert ("X-Odd-Case", "Kept") in request.headers
    assert proxy.recorder.bodies[start.call_id] == request.body
    assert start.attribution.session_id == "5e551011"
    assert (start.server_address, start.server_port) == ("api.anthropic.com", 443)
    assert end.first_content_ns is not None
    assert start.started_ns < end.first_content_ns <= end.ended_ns


def test_a_compressed_request_passes_as_it_is_and_is_handed_on_with_its_encoding() -> None:
    with Simulator("plain") as sim, Proxy(routes={"api.anthropic.com": sim.url}) as proxy:
        body = gzip.compress(json.dumps(BODY).encode())
        client = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
        client.request("POST", "/v1/messages", body, {"content-encoding": "gzip"})
        client.getresponse().read()
        ((start, _),) = proxy.recorder.wait()
        assert sim.requests[0].body == body
    assert proxy.recorder.bodies[start.call_id] == body
    assert proxy.recorder.encodings[start.call_id] == "gzip"


def test_headers_of_the_answer_pass_in_order_and_case() -> None:
    with Simulator("plain") as sim, Proxy(routes={"api.anthropic.com": sim.url}) as proxy:
        answer = post(proxy.port, "/v1/messages", BODY)
        answer.read()
        sent = sim.calls[0].head
    assert answer.getheaders() == list(sent)


def test_what_is_no_call_passes_and_leaves_nothing() -> None:
    with Simulator("plain") as sim, Proxy(routes={"api.anthropic.com": sim.url}) as proxy:
        answer = post(proxy.port, "/anthropic/api/event_logging/v2/batch", {"events": []})
        assert answer.status == 200
        assert answer.read() == bytes(sim.exchanges[0].sent)
        assert proxy.recorder.starts == {}


def test_a_path_of_no_provider_is_refused_in_words() -> None:
    with Proxy() as proxy:
        answer = post(proxy.port, "/v9/unknown", {})
        assert answer.status == 404
        assert "tokenproxy" in json.loads(answer.read())["error"]["message"]
        client = http.client.HTTPConnection("127.0.0.1", proxy.port)
        client.request("GET", "/healthz")
        assert client.getresponse().status == 200


def _through_connect(proxy: Proxy, ca: Path) -> ssl.SSLContext:
    ca.write_text(proxy.ca_pem)
    return ssl.create_default_context(cafile=str(ca))


def test_forward_opens_the_providers_host_only(tmp_path: Path) -> None:
    with Simulator("plain") as sim, Proxy(routes={"api.anthropic.com": sim.url}) as proxy:
        context = _through_connect(proxy, tmp_path / "ca.pem")
        client = http.client.HTTPSConnection("127.0.0.1", proxy.port, context=context, timeout=10)
        client.set_tunnel("api.anthropic.com", 443)
        client.request("POST", "/v1/messages", json.dumps(BODY), HEADERS)
        answer = client.getresponse()
        assert answer.read() == bytes(sim.calls[0].sent)
        ((start, end),) = proxy.recorder.wait()
        assert end.outcome == "complete"
        assert start.server_address == "api.anthropic.com"
        assert client.sock is not None
        assert isinstance(client.sock, ssl.SSLSocket)
        certificate = client.sock.getpeercert()
        assert certificate is not None
        assert certificate["subjectAltName"] == (("DNS", "api.anthropic.com"),)
        client.close()


def test_the_upstreams_certificate_is_verified(tmp_path: Path) -> None:
    """An upstream with an unknown certificate is refused; with its root trusted it is served."""
    leaf = tls.throwaway(tmp_path)
    for trusted in (None, str(leaf.ca)):
        with Simulator("plain", tls=leaf.context()) as sim:
            route = f"https://127.0.0.1:{sim.port}"
            with Proxy(routes={"api.anthropic.com": route}, upstream_ca=trusted) as proxy:
                if trusted:
                    assert post(proxy.port, "/v1/messages", BODY).read()
                else:
                    with pytest.raises(http.client.RemoteDisconnected):
                        post(proxy.port, "/v1/messages", BODY)
                ((_, end),) = proxy.recorder.wait()
        assert end.outcome == ("complete" if trusted else "error")


def test_a_client_that_distrusts_the_ca_is_reported() -> None:
    with Proxy() as proxy:
        client = http.client.HTTPSConnection("127.0.0.1", proxy.port, timeout=10)
        client.set_tunnel("api.anthropic.com", 443)
        with pytest.raises(ssl.SSLCertVerificationError):
            client.request("GET", "/")
        for _ in range(200):
            if proxy.warnings:
                break
            threading.Event().wait(0.01)
    assert "api.anthropic.com" in proxy.warnings[0]


def test_an_unreachable_upstream_is_a_row_of_its_own() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with Proxy(routes={"api.anthropic.com": f"http://127.0.0.1:{port}"}) as proxy:
        with pytest.raises(http.client.RemoteDisconnected):  # no made-up answer
            post(proxy.port, "/v1/messages", BODY)
        ((_, end),) = proxy.recorder.wait()
    assert (end.outcome, end.error, end.status_code) == ("error", "upstream_unreachable", None)


def test_a_stuck_journal_does_not_hold_the_call() -> None:
    with Simulator("plain") as sim, Proxy(routes={"api.anthropic.com": sim.url}) as proxy:
        proxy.recorder.ack_delay_s = 5.0
        assert post(proxy.port, "/v1/messages", BODY).status == 200


def test_an_answer_in_an_unknown_encoding_passes_and_is_not_called_truncated() -> None:
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: rot13\r\n"
        b"content-length: 4\r\nconnection: close\r\n\r\n"
    )

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            request = b""
            while b"\r\n\r\n" not in request:
                request += connection.recv(65536)
            connection.sendall(head + b"qngn")
            connection.recv(65536)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with Proxy(routes={"api.anthropic.com": url}) as proxy:
            assert post(proxy.port, "/v1/messages", {**BODY, "stream": True}).read() == b"qngn"
            ((_, end),) = proxy.recorder.wait()
    assert (end.outcome, end.error, end.reading.completeness) == ("complete", None, "none")
    assert end.reading.notes == ("undecodable_response",)


def test_a_parser_fault_does_not_harm_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    from tokenproxy.wire import routes

    class Broken:
        def __getattr__(self, name: str) -> object:
            raise RuntimeError(name)

    with Simulator("stream") as sim, Proxy(routes={"api.anthropic.com": sim.url}) as proxy:
        real = routes.dialect("anthropic.messages")
        monkeypatch.setattr(type(real), "open_response", lambda *_a, **_k: Broken())
        answer = post(proxy.port, "/v1/messages", {**BODY, "stream": True})
        assert answer.status == 200
        assert answer.read() == bytes(sim.calls[0].sent)
        ((_, end),) = proxy.recorder.wait()
    assert end.outcome == "truncated"


def test_the_users_own_proxy_is_chained_for_calls(tmp_path: Path) -> None:
    leaf = tls.throwaway(tmp_path)
    with (
        Simulator("plain", tls=leaf.context()) as sim,
        Tunnel(sim.port) as own,
        Proxy(
            upstream_proxy=own.url.replace("//", "//user:pa%40ss@"), upstream_ca=str(leaf.ca)
        ) as proxy,
    ):
        assert post(proxy.port, "/v1/messages", BODY).status == 200
        proxy.recorder.wait()
    assert own.heads[0].startswith(b"CONNECT api.anthropic.com:443 ")
    assert b"proxy-authorization: basic dxnlcjpwyubzcw==" in own.heads[0].lower()


def test_a_plain_gateway_is_not_reached_through_https_proxy() -> None:
    with Simulator("plain") as sim, Tunnel(sim.port) as own:
        routes = {"api.anthropic.com": sim.url}
        with Proxy(routes=routes, upstream_proxy=own.url) as proxy:
            assert post(proxy.port, "/v1/messages", BODY).status == 200
    assert own.heads == []


def test_the_users_own_proxy_is_chained_for_tunnels() -> None:
    with (
        Simulator("plain") as sim,
        Tunnel(sim.port) as own,
        Proxy(upstream_proxy=own.url) as proxy,
    ):
        got = subprocess.run(
            ["curl", "-sS", "-m", "5", "-p", "-x", proxy.url, "http://unresolvable.example/"],
            capture_output=True, check=False,
        )  # fmt: skip
    assert got.returncode == 0, got.stderr
    assert own.heads[0].startswith(b"CONNECT unresolvable.example:80 ")


def test_a_gateway_may_be_an_ipv6_address() -> None:
    heads: list[bytes] = []

    def answer(server: socket.socket) -> None:
        client, _ = server.accept()
        with client:
            heads.append(client.recv(65536))
            client.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")

    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        port = server.getsockname()[1]
        threading.Thread(target=answer, args=(server,), daemon=True).start()
        with Proxy(upstreams={"anthropic": f"http://[::1]:{port}"}) as proxy:
            assert post(proxy.port, "/anthropic/v1/messages", BODY).status == 200
    assert b"\r\nhost: [::1]:%d\r\n" % port in heads[0].lower()


def test_requests_after_the_end_do_not_go_upstream() -> None:
    """A connection may outlive the account; what comes on it then would have no row."""
    with Simulator("plain") as sim:
        with Proxy(routes={"api.anthropic.com": sim.url}) as proxy:
            client = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
            client.request("POST", "/v1/messages", json.dumps(BODY), HEADERS)
            assert client.getresponse().read()
            proxy.close_account()
            client.request("POST", "/v1/messages", json.dumps(BODY), HEADERS)
            with pytest.raises((http.client.HTTPException, OSError)):
                client.getresponse()
        assert len(sim.calls) == len(proxy.recorder.ends) == 1


@pytest.mark.parametrize("lane", [True, False])
def test_what_waits_for_its_journal_entry_at_the_end_goes_nowhere(lane: bool) -> None:
    with (
        Simulator("plain") as sim,
        Proxy(routes={"api.anthropic.com": sim.url}, lane=lane) as proxy,
    ):
        proxy.recorder.ack_delay_s = 0.2
        client = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
        client.request("POST", "/v1/messages", json.dumps(BODY), HEADERS)
        wait_until(lambda: proxy.recorder.starts)
        proxy.close_account()
        with pytest.raises((http.client.HTTPException, OSError)):
            client.getresponse()
        ((_, end),) = proxy.recorder.wait()
    assert end.outcome == "lost"
    assert sim.requests == []


@pytest.mark.parametrize("stays", [False, True])
def test_an_http2_client_that_takes_back_a_request_has_left(tmp_path: Path, stays: bool) -> None:
    """curl resets the stream of a request that takes too long; after the last it closes."""
    urls = ["https://api.anthropic.com/v1/messages"] * (2 if stays else 1)
    with Simulator("stall") as sim, Proxy(routes={"api.anthropic.com": sim.url}) as proxy:
        ca = tmp_path / "ca.pem"
        ca.write_text(proxy.ca_pem)
        words = ["curl", "-sS", "--http2", "-m", "1", "-x", proxy.url, "--cacert", str(ca)]
        data = json.dumps({**BODY, "stream": True})
        subprocess.run([*words, "-d", data, *urls], capture_output=True, check=False)
        ended = proxy.recorder.wait(len(urls))
        assert sim.calls[0].request.body == data.encode()
    assert {(end.outcome, end.error) for _, end in ended} == {("aborted", "client_disconnected")}
