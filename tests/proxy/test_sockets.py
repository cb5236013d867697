"""WebSockets through the proxy: messages pass as they are, and each answer is a call."""

from __future__ import annotations

import json
import socket
import threading
import time

import pytest

from tests.proxy.harness import Proxy
from tests.proxy.lane.sockets import BEGUN, DONE
from tests.proxy.raw_socket import Peer, RawServer
from tests.simulator.sockets import CLOSE, Client
from tests.simulator.test_websocket import create
from tokenproxy.simulator.server import Simulator
from tokenproxy.wire.openai.websocket import ResponsesSocket

pytestmark = pytest.mark.usefixtures("both_ways")

PATH = "/openai/v1/responses"


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("boundaries", ["", "+random:3"])
def test_several_answers_on_one_connection(deflate: bool, boundaries: str) -> None:
    with (
        Simulator("plain" + boundaries) as sim,
        Proxy(upstreams={"openai": sim.url + "/v1"}) as proxy,
        Client(proxy, PATH, deflate=deflate) as client,
    ):
        assert (client.status, client.deflated) == (101, deflate)
        for model in ("gpt-6-sol", "gpt-6-luna"):
            client.send(create(model=model))
            events = client.events()
            assert events[0]["type"] == "response.created"
        ended = proxy.recorder.wait(2)
        assert [call.request.method for call in sim.calls] == ["WS", "WS"]
    for (start, end), model in zip(ended, ("gpt-6-sol", "gpt-6-luna"), strict=True):
        assert (start.operation, start.kind) == ("responses", "inference")
        assert proxy.recorder.asks[start.call_id].model == model
        assert (end.outcome, end.status_code, end.stream) == ("complete", 101, True)
        [part] = end.reading.parts
        assert (part.uncached_input_tokens or 0) + (part.cache_read_input_tokens or 0) > 0
        assert end.reading.completeness == "final"
        assert end.request_bytes > 0
        assert end.response_bytes > 0
        assert end.first_content_ns is not None
        assert start.started_ns < end.first_content_ns <= end.ended_ns


def test_lanes_are_calls_of_their_own() -> None:
    with (
        Simulator("stream") as sim,
        Proxy(upstreams={"openai": sim.url + "/v1"}) as proxy,
        Client(proxy, PATH) as client,
    ):
        client.send(create(stream_id="a"), create(stream_id="b"), create(stream_id="a"))
        client.events(until=3)
        ended = proxy.recorder.wait(3)
        billed = sim.billed()["gpt-6-sol"]
    assert {end.outcome for _, end in ended} == {"complete"}
    assert sum(end.reading.parts[0].output_tokens or 0 for _, end in ended) == billed.output
    assert len({end.reading.response_id for _, end in ended}) == 3


@pytest.mark.parametrize(
    ("scenario", "status"), [("websocket-refused", 426), ("unauthorized", 401)]
)
def test_a_refused_connection_is_an_attempt(scenario: str, status: int) -> None:
    with (
        Simulator(scenario) as sim,
        Proxy(upstreams={"openai": sim.url + "/v1"}) as proxy,
        Client(proxy, PATH) as client,
    ):
        assert client.status == status
        assert client.body()["error"]
        ((_, end),) = proxy.recorder.wait()
    assert (end.outcome, end.status_code) == ("error", status)
    assert end.reading.parts == ()


def test_a_refusal_has_begun_when_the_connection_was_asked_for() -> None:
    def refuse(server: socket.socket) -> None:
        client, _ = server.accept()
        with client:
            client.recv(4096)
            time.sleep(0.2)  # the delay that the row must show
            client.sendall(b"HTTP/1.1 426 Upgrade Required\r\ncontent-length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=refuse, args=(server,), daemon=True).start()
        upstreams = {"openai": f"http://127.0.0.1:{server.getsockname()[1]}/v1"}
        with Proxy(upstreams=upstreams) as proxy, Client(proxy, PATH) as client:
            assert client.status == 426
            ((start, end),) = proxy.recorder.wait()
    assert end.ended_ns - start.started_ns >= 200_000_000


@pytest.mark.parametrize("method", ["client_message", "server_message", "close"])
def test_a_fault_of_ours_harms_no_connection(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(ResponsesSocket, method, fail)
    with (
        Simulator("plain") as sim,
        Proxy(upstreams={"openai": sim.url + "/v1"}) as proxy,
    ):
        with Client(proxy, PATH) as client:
            for _ in range(2):
                client.send(create())
                assert client.events()[-1]["type"] == "response.completed"
            client.frame(CLOSE, b"\x03\xe8")
            assert client.receive() == (CLOSE, b"\x03\xe8")
        if method != "client_message":
            proxy.recorder.wait(2 if method == "close" else 1)
    assert proxy.recorder.starts.keys() == proxy.recorder.ends.keys()
    assert "is not read further" in caplog.text


def test_an_unused_connection_is_no_call() -> None:
    with (
        Simulator("plain") as sim,
        Proxy(upstreams={"openai": sim.url + "/v1"}) as proxy,
        Client(proxy, PATH) as client,
    ):
        client.frame(CLOSE, b"\x03\xe8")
        assert client.receive() == (CLOSE, b"\x03\xe8")
        assert proxy.recorder.starts == {}


@pytest.mark.parametrize("by_client", [True, False])
def test_who_breaks_off_is_told(by_client: bool) -> None:
    with (
        Simulator("stall" if by_client else "cut-fin") as sim,
        Proxy(upstreams={"openai": sim.url + "/v1"}) as proxy,
    ):
        with Client(proxy, PATH) as client:
            client.send(create())
            assert json.loads(client.receive()[1])["type"] == "response.created"  # type: ignore[index] # it answers
            if not by_client:
                while client.receive() is not None:
                    pass
        ((_, end),) = proxy.recorder.wait()
    assert end.outcome == ("aborted" if by_client else "truncated")
    assert end.reading.completeness == "none"


def test_calls_that_are_open_at_the_end_are_accounted_for() -> None:
    with (
        Simulator("stall") as sim,
        Proxy(upstreams={"openai": sim.url + "/v1"}) as proxy,
        Client(proxy, PATH) as client,
    ):
        client.send(create())
        client.receive()
        proxy.close_account()
        ((_, end),) = proxy.recorder.wait()
    assert (end.outcome, end.error) == ("lost", "proxy_stopped")


def test_what_comes_when_the_account_is_closed_is_no_call_more() -> None:
    """The provider's next words would begin the same answer anew: a second row of it."""
    go_on = threading.Event()

    def serve(peer: Peer) -> None:
        peer.read()
        peer.frame(0x81, json.dumps(BEGUN).encode())
        assert go_on.wait(10)
        peer.frame(0x81, json.dumps(DONE).encode())
        peer.read()

    with (
        RawServer(serve) as server,
        Proxy(upstreams={"openai": server.url + "/v1"}) as proxy,
        Client(proxy, PATH) as client,
    ):
        client.send(create())
        client.receive()
        proxy.close_account()
        ((_, end),) = proxy.recorder.wait()
        go_on.set()
        assert client.receive() is not None  # it passes all the same
    assert end.outcome == "lost"
    assert len(proxy.recorder.starts) == 1


def test_a_call_is_journaled_before_it_is_sent() -> None:
    with (
        Simulator("plain") as sim,
        Proxy(upstreams={"openai": sim.url + "/v1"}) as proxy,
        Client(proxy, PATH) as client,
    ):
        proxy.recorder.ack_delay_s = 0.15
        begun = time.monotonic()
        client.send(create())
        client.events()
        assert time.monotonic() - begun > 0.14
        proxy.recorder.wait()
