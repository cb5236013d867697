"""Nobody answers: the client is told what it would be told, and the user why."""

from __future__ import annotations

import contextlib
import http.client
import socket
from pathlib import Path

import pytest

from tests.proxy.harness import Proxy
from tokenproxy.simulator import tls
from tokenproxy.simulator.server import Simulator
from tokenproxy.wire import routes
from tokenproxy.wire.bodyreader import read_facts

PATH = "/openai/v1/chat/completions"


def ask(proxy: Proxy) -> None:
    client = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
    client.request("POST", PATH, "{}")
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        client.getresponse()


def told(proxy: Proxy) -> str:
    ((_, end),) = proxy.recorder.wait()
    assert (end.outcome, end.error) == ("error", "upstream_unreachable")
    [sentence] = proxy.warnings
    return sentence


def test_a_refused_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with Proxy(routes={"api.openai.com": f"http://127.0.0.1:{port}"}) as proxy:
        ask(proxy)
        sentence = told(proxy)
    assert sentence.startswith("api.openai.com")
    assert "could not be reached: " in sentence
    assert "refused" in sentence or "Connect call failed" in sentence  # as the event loop says it


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize("size", [0, 100_000, 1_000_000])
@pytest.mark.parametrize("behind", [True, False], ids=["whole", "cut"])
def test_the_model_that_was_asked_for_is_known_as_far_as_it_came(size: int, behind: bool) -> None:
    body = b'{"model":"gpt-6-sol","messages":[{"role":"user","content":"%s' % (b"x" * size)
    whole = body + b'"}]}'
    head = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with (
        Proxy(routes={"api.openai.com": f"http://127.0.0.1:{port}"}) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client,
    ):
        with contextlib.suppress(ConnectionError):  # all of it is not waited for
            client.sendall(head % (PATH.encode(), len(whole)) + (whole if behind else body))
            while client.recv(65536):
                pass
        ((start, end),) = proxy.recorder.wait()
    assert (end.outcome, end.error) == ("error", "upstream_unreachable")
    facts = read_facts(routes.dialect(start.dialect), proxy.recorder.bodies[start.call_id])
    assert facts.model == "gpt-6-sol"


def test_a_name_that_nobody_has() -> None:
    with Proxy(upstreams={"openai": "http://nowhere.invalid/v1"}) as proxy:
        ask(proxy)
        assert told(proxy).startswith("nowhere.invalid could not be reached: ")


def test_a_certificate_that_is_not_trusted(tmp_path: Path) -> None:
    context = tls.throwaway(tmp_path).context()
    with (
        Simulator("plain", tls=context) as sim,
        Proxy(upstreams={"openai": f"{sim.url}/v1"}) as proxy,
    ):
        ask(proxy)
        assert "could not be reached: Certificate verify failed" in told(proxy)
