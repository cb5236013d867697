from __future__ import annotations

import asyncio
import http.client
import json
import socket
import ssl
import time
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.simulator.wire import ask, connect, decoded, sse
from tokenproxy.simulator import tls
from tokenproxy.simulator.reply import Piece, Reply
from tokenproxy.simulator.server import Simulator


def raw(sim: Simulator, data: bytes) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", sim.port), timeout=5)
    client.sendall(data)
    return client


def read_until(client: socket.socket, mark: bytes) -> bytes:
    got = b""
    while mark not in got:
        data = client.recv(65536)
        assert data, got
        got += data
    return got


def request(body: bytes, *extra: str) -> bytes:
    head = ["POST /v1/messages HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *extra]
    return "\r\n".join([*head, "", ""]).encode() + body


def test_requests_are_kept_exactly() -> None:
    head = (
        b"POST /v1/messages?beta=true&x=%20 HTTP/1.1\r\n"
        b"hOsT: x\r\nX-B: 1\r\nx-a:  2 \r\nX-B: \xe9\r\n"
    )
    with Simulator() as sim:
        before = time.time_ns()
        with raw(sim, head + b"Content-Length: 5\r\n\r\n\x00\xff{}\n") as client:
            read_until(client, b"}")
        (got,) = sim.requests
        assert before <= got.arrived_ns <= time.time_ns()
    assert (got.number, got.method, got.path, got.body) == (
        1,
        "POST",
        "/v1/messages?beta=true&x=%20",
        b"\x00\xff{}\n",
    )
    assert got.headers == (
        ("hOsT", "x"),
        ("X-B", "1"),
        ("x-a", "2"),
        ("X-B", "\xe9"),
        ("Content-Length", "5"),
    )
    assert (got.header("x-b"), got.header("X-C"), got.json, got.route) == (
        "1",
        None,
        {},
        "/v1/messages",
    )


def test_chunked_request_and_pipelining() -> None:
    chunked = (
        b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'3\r\n{"a\r\n4\r\n":1}\r\n0\r\n\r\n'
    )
    with Simulator("plain+each:50") as sim, raw(sim, chunked + request(b'{"b":2}')) as client:
        sim.wait_for(lambda s: len(s.requests) == 2)
        got = read_until(client, b"\r\n\r\n")
        while got.count(b"end_turn") < 2:
            got += client.recv(65536)
        assert [r.json for r in sim.requests] == [{"a": 1}, {"b": 2}]


def test_expect_continue() -> None:
    with Simulator() as sim:
        client = raw(
            sim,
            b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
            b"Expect: 100-continue\r\n\r\n",
        )
        with client:
            assert read_until(client, b"\r\n\r\n").startswith(b"HTTP/1.1 100")
            assert sim.requests == []
            client.sendall(b"{}")
            assert read_until(client, b"\r\n\r\n").startswith(b"HTTP/1.1 200")


def test_keep_alive_serves_many_on_one_connection() -> None:
    with Simulator() as sim:
        connection = connect(sim)
        for number in range(3):
            connection.request("POST", "/v1/messages", json.dumps({"stream": number % 2 == 0}))
            assert connection.getresponse().read()
        connection.request("HEAD", "/")
        assert connection.getresponse().read() == b""
        connection.request("GET", "/v1/nothing")
        response = connection.getresponse()
        assert (response.status, json.load(response)["error"]["type"]) == (404, "not_found_error")
        assert [r.method for r in sim.requests] == ["POST", "POST", "POST", "HEAD", "GET"]
        assert len(sim.calls) == 3
        connection.close()


def test_many_connections_at_once() -> None:
    with Simulator("plain+each:20") as sim:
        connections = [connect(sim) for _ in range(40)]
        started = time.monotonic()
        for connection in connections:
            connection.request("POST", "/v1/messages", b'{"stream": true}')
        for connection in connections:
            assert b"message_stop" in connection.getresponse().read()
            connection.close()
        took_ns = (time.monotonic() - started) * 1e9
        sent = [call.chunk_sent_ns for call in sim.calls]
        assert sum(times[-1] - times[0] for times in sent) > 2 * took_ns  # not one after the other
        assert {call.ended for call in sim.calls} == {"complete"}


def test_a_head_counts_as_soon_as_it_is_there() -> None:
    """What reached the API, whatever became of the request's body."""
    with Simulator() as sim:
        with raw(sim, request(b'{"a":1}')[:-3]):
            sim.wait_for(lambda s: len(s.heads) == 1)
            assert sim.requests == []
        with raw(sim, request(b'{"a":1}')) as client:
            read_until(client, b"end_turn")
        assert [(head.path, head.body) for head in sim.heads] == [("/v1/messages", b"")] * 2
        assert len(sim.requests) == 1


def test_a_head_can_be_late() -> None:
    late = Reply(head_delay_s=0.2, pieces=(Piece(b"{}"),), sized=True)
    with Simulator(lambda _: late) as sim, raw(sim, request(b"{}")) as client:
        sim.wait_for(lambda s: len(s.requests) == 1)
        begun = time.monotonic()
        read_until(client, b"{}")
        assert time.monotonic() - begun > 0.1


def test_garbage_is_refused() -> None:
    with Simulator() as sim, raw(sim, b"\x16\x03\x01\x02\x00nonsense\r\n\r\n") as client:
        got = b""
        while data := client.recv(65536):
            got += data
        assert got.startswith(b"HTTP/1.1 400")
        assert b"invalid_request_error" in got
        assert sim.requests == []


def test_response_headers_are_the_apis() -> None:
    with Simulator() as sim:
        response, _ = ask(sim, stream=False)
        assert response.headers["request-id"].startswith("req_")
        assert response.headers["anthropic-organization-id"]
        assert response.headers["anthropic-ratelimit-input-tokens-remaining"] == "1999000"
        assert response.headers["content-length"]
        sent = dict(sim.calls[0].head)
        assert sent["request-id"] == response.headers["request-id"]


@pytest.mark.parametrize("chunks", ["bytes", "whole", "random:5", "random:6"])
def test_chunk_boundaries_on_the_wire(chunks: str) -> None:
    body = request(b'{"stream": true}', "Connection: close")
    with Simulator(f"stream+{chunks}") as sim, raw(sim, body) as client:
        got = b""
        while data := client.recv(65536):
            got += data
        _, rest = got.split(b"\r\n\r\n", 1)
        sizes, content = [], b""
        while True:
            size, rest = rest.split(b"\r\n", 1)
            if size == b"0":
                break
            sizes.append(int(size, 16))
            content += rest[: sizes[-1]]
            rest = rest[sizes[-1] + 2 :]
        (call,) = sim.calls
        assert sizes == call.chunk_sizes
        assert content == bytes(call.sent)
        assert sse(content)[-1][0] == "message_stop"
        assert {"bytes": max(sizes) == 1, "whole": len(sizes) == 1}.get(chunks, len(sizes) > 9)


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "deflate", "deflate-raw"])
@pytest.mark.parametrize("stream", [True, False])
def test_encodings(encoding: str, *, stream: bool) -> None:
    with Simulator(f"stream+{encoding}") as sim:
        name = encoding.removesuffix("-raw")
        response, body = ask(sim, stream=stream, headers={"Accept-Encoding": f"{name}, identity"})
        assert response.headers["content-encoding"] == name
        assert body == bytes(sim.calls[0].sent)
        plain = decoded(body, encoding)
        assert b"Good morning" in plain
        response, body = ask(sim, stream=stream)
        assert "content-encoding" not in response.headers
        assert len(body) > len(bytes(sim.calls[0].sent))


@pytest.mark.parametrize(("scenario", "failure"), [("cut-fin", None), ("cut-reset", OSError)])
@pytest.mark.parametrize("encoding", ["", "+gzip"])
def test_cut_streams_are_cut(scenario: str, failure: type[OSError] | None, encoding: str) -> None:
    headers = "Accept-Encoding: gzip" if encoding else "X-None: 1"
    with Simulator(scenario + encoding) as sim:
        with raw(sim, request(b'{"stream": true}', headers)) as client:
            got, error = b"", None
            try:
                while data := client.recv(65536):
                    got += data
            except OSError as caught:
                error = type(caught)
        assert error is (None if failure is None else ConnectionResetError)
        assert not got.endswith(b"0\r\n\r\n")
        sim.settle()
        (call,) = sim.calls
        assert call.ended == "cut"
        assert got.endswith(bytes(call.sent[-call.chunk_sizes[-1] :]) + b"\r\n")
        assert not call.sent.endswith(b"\n\n")  # in the middle of an event
        (known,) = call.known.parts if call.known else ()
        assert (known.input, known.output) == (12, 7)  # the placeholder of message_start
        assert call.billed[0].output == 547


def test_cut_is_seen_by_an_http_client() -> None:
    with Simulator("cut-fin") as sim, pytest.raises(http.client.IncompleteRead):
        ask(sim)
    with Simulator("dropped") as sim:
        with pytest.raises(ConnectionResetError):
            ask(sim)
        sim.settle()
        assert (sim.calls[0].ended, sim.calls[0].known, bytes(sim.calls[0].sent)) == (
            "cut",
            None,
            b"",
        )


def test_slow_stream_is_not_held() -> None:
    with Simulator("slow") as sim, raw(sim, request(b'{"stream": true}')) as client:
        read_until(client, b"\r\n\r\n")
        arrivals = []
        for _ in range(4):
            data = client.recv(65536)
            arrivals.append((time.monotonic_ns(), data))
        gaps_ms = [(late[0] - early[0]) / 1e6 for early, late in pairwise(arrivals)]
        assert all(40 < gap < 400 for gap in gaps_ms), gaps_ms
        assert all(data.count(b"\n\n") == 1 for _, data in arrivals)
        assert [b"event: ping" in data for _, data in arrivals] == [False, True, False, True]
        (call,) = sim.calls
        for (at, _), sent in zip(arrivals, call.chunk_sent_ns, strict=False):
            assert 0 <= at - sent < 80e6


def test_a_client_that_leaves_is_noticed_at_once() -> None:
    with Simulator("stall") as sim:
        with raw(sim, request(b'{"stream": true}')) as client:
            read_until(client, b"content_block_delta")
            sim.wait_for(lambda s: len(s.calls[0].chunk_sizes) == 5)
            assert sim.calls[0].ended == "open"
        sim.wait_for(lambda s: s.calls[0].ended == "client_left", 1)
        (known,) = sim.calls[0].known.parts if sim.calls[0].known else ()
        assert known.output == 7


def test_stalled_exchange_ends_with_the_simulator() -> None:
    with Simulator("stall") as sim:
        client = raw(sim, request(b"{}"))
        sim.wait_for(lambda s: len(s.calls) == 1)
    assert sim.calls[0].ended == "stopped"
    client.close()


def test_delays_are_counted_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each sleep lasts too long by half, as on a busy machine: the next makes up for it."""
    now = 0.0
    slept: list[float] = []

    async def oversleep(wait_s: float) -> None:
        nonlocal now
        slept.append(wait_s)
        now += wait_s + 0.005
        await asyncio.sleep(0)

    clock = SimpleNamespace(**{**vars(time), "monotonic": lambda: now})
    loop = SimpleNamespace(**{**vars(asyncio), "sleep": oversleep})
    monkeypatch.setattr("tokenproxy.simulator.connection.time", clock)
    monkeypatch.setattr("tokenproxy.simulator.connection.asyncio", loop)
    reply = Reply(pieces=tuple(Piece(b"x", 0.01) for _ in range(30)))
    with Simulator(lambda _: reply) as sim:
        ask(sim)
    assert len(slept) == 30
    assert now == pytest.approx(30 * 0.01 + 0.005)


def test_over_tls(tmp_path: Path) -> None:
    certificates = tls.throwaway(tmp_path)
    with Simulator("stream+gzip", tls=certificates.context()) as sim:
        assert sim.url.startswith("https://127.0.0.1:")
        context = ssl.create_default_context(cafile=str(certificates.ca))
        connection = http.client.HTTPSConnection("127.0.0.1", sim.port, timeout=5, context=context)
        for _ in range(2):
            connection.request(
                "POST", "/v1/messages", b'{"stream": true}', {"Accept-Encoding": "gzip"}
            )
            assert b"message_stop" in decoded(connection.getresponse().read(), "gzip")
        connection.close()
    with (
        Simulator("cut-reset", tls=certificates.context()) as sim,
        socket.create_connection(("127.0.0.1", sim.port), timeout=5) as plain,
        context.wrap_socket(
            plain, server_hostname="api.anthropic.com", suppress_ragged_eofs=False
        ) as client,
    ):
        client.sendall(request(b'{"stream": true}'))
        # Python 3.12 reports the reset as the protocol violation that it also is.
        with pytest.raises(OSError, match=r"reset|EOF occurred in violation of protocol"):
            read_until(client, b"never sent")
