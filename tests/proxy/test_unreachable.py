"""Nobody answers: the client is told what it would be told, and the user why."""

from __future__ import annotations

import http.client
import socket
from pathlib import Path

import pytest

from tests.proxy.harness import Proxy
from tokenproxy.simulator import tls
from tokenproxy.simulator.server import Simulator

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
