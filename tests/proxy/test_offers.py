"""An upgrade on a call's own route is an offer: the server may leave it, and answer the call."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from tests.proxy.harness import Proxy
from tests.proxy.lane.sockets import AGREED, DONE, HOST, agreeing, asking, read_exactly
from tests.proxy.lane.test_hard_cases import read_all

pytestmark = pytest.mark.usefixtures("both_ways")

RESPONSE: dict[str, Any] = DONE["response"]  # type: ignore[assignment] # of that event
BODY = json.dumps({**RESPONSE, "object": "response"}).encode()
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
REPLAY = asking(b"/openai/v1/responses/resp_1")
OFFER = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
ASKED = b'{"model":"gpt-6-sol","input":"hello"}'
POST = (
    b"POST /openai/v1/responses HTTP/1.1\r\nHost: api.openai.com\r\n"
    + OFFER
    + b"Sec-WebSocket-Key: x\r\nContent-Length: %d\r\n\r\n%s" % (len(ASKED), ASKED)
)


def left(connection: socket.socket, got: bytes) -> None:
    """The upgrade is left; nothing more is said."""
    connection.settimeout(10)
    del got


@pytest.mark.parametrize(
    ("request_", "kind"), [(REPLAY, "replay"), (POST, "inference")], ids=["replay", "call"]
)
def test_an_offer_that_is_left_is_answered_as_any_call(request_: bytes, kind: str) -> None:
    answer = ANSWER % (len(BODY), BODY)
    with (
        agreeing(left, answer) as url,
        Proxy(routes={HOST: url}) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client,
    ):
        client.sendall(request_)
        assert read_exactly(client, len(answer)) == answer
        ((start, end),) = proxy.recorder.wait()
    assert (start.kind, end.outcome, end.status_code) == (kind, "complete", 200)
    reading = end.items[0] if kind == "replay" else end.reading
    assert reading.parts[0].output_tokens == 42
    assert proxy.recorder.unread == []


@pytest.mark.parametrize("status", [400, 426, 404])
def test_an_offer_that_is_refused_is_an_attempt(status: int) -> None:
    refusal = b"HTTP/1.1 %d No\r\nContent-Length: 2\r\n\r\n{}" % status
    with (
        agreeing(left, refusal) as url,
        Proxy(routes={HOST: url}) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client,
    ):
        client.sendall(POST)
        assert read_exactly(client, len(refusal)) == refusal
        ((start, end),) = proxy.recorder.wait()
    assert (start.kind, end.outcome, end.status_code) == ("inference", "error", status)
    assert proxy.recorder.bodies[start.call_id] == ASKED


@pytest.mark.parametrize("request_", [REPLAY, POST], ids=["replay", "call"])
def test_an_offer_that_is_taken_has_its_end_there(request_: bytes) -> None:
    agreed = AGREED % b""
    with (
        agreeing(left, agreed) as url,
        Proxy(routes={HOST: url}) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client,
    ):
        client.sendall(request_)
        assert read_exactly(client, len(agreed)) == agreed
        ((_, end),) = proxy.recorder.wait()
        read_all(client)
    assert end.status_code == 101
    assert end.reading.parts == ()


def test_a_socket_that_is_answered_as_a_page_is_an_attempt() -> None:
    answer = ANSWER % (len(BODY), BODY)
    with (
        agreeing(left, answer) as url,
        Proxy(routes={HOST: url}) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client,
    ):
        client.sendall(asking(b"/openai/v1/responses"))
        assert read_exactly(client, len(answer)) == answer
        ((start, end),) = proxy.recorder.wait()
    assert (start.operation, end.status_code) == ("responses", 200)


def test_a_refused_socket_names_the_model_that_its_path_names() -> None:
    refusal = b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n"
    with (
        agreeing(left, refusal) as url,
        Proxy(routes={HOST: url}) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client,
    ):
        client.sendall(asking(b"/openai/v1/realtime?model=gpt-realtime"))
        assert read_exactly(client, len(refusal)) == refusal
        ((start, end),) = proxy.recorder.wait()
    assert (start.path_model, end.status_code) == ("gpt-realtime", 426)
