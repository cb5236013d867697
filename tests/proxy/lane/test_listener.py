"""What is heard of a WebSocket in the lane, and that hearing it changes nothing."""

from __future__ import annotations

import contextlib
import json
import socket
import time
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.e2e.bench import wait_until
from tests.proxy.harness import Proxy
from tests.proxy.lane.sockets import (
    AGREED,
    ANSWER,
    ASKS,
    BEGUN,
    DONE,
    HOST,
    MASK,
    SAID,
    TOLD,
    agreeing,
    read_exactly,
    upgraded,
)
from tests.proxy.lane.test_hard_cases import read_all
from tests.simulator.test_websocket import create
from tests.wire.framing.test_websocket import CLOSE, COMPRESSED, FINAL, PING, TEXT, frame
from tests.wire.strategies import chunked, cuts
from tokenproxy.wire.framing import message, websocket
from tokenproxy.wire.framing.websocket import FrameReader
from tokenproxy.wire.openai.websocket import ResponsesSocket


@settings(max_examples=20)
@given(st.data())
def test_bytes_pass_as_they_are(data: st.DataObject) -> None:
    told = b"".join(TOLD)
    said_cuts, told_cuts = data.draw(cuts(len(SAID))), data.draw(cuts(len(told)))
    seen: list[bytes] = []

    def serve(connection: socket.socket, got: bytes) -> None:
        seen.append(got + read_exactly(connection, len(SAID) - len(got)))
        for piece in chunked(told, told_cuts):
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_WR)
        seen.append(read_all(connection))

    with (
        agreeing(serve) as url,
        Proxy(routes={HOST: url}) as proxy,
        upgraded(proxy) as client,
    ):
        for piece in chunked(SAID, said_cuts):
            client.sendall(piece)
        assert read_all(client) == told
        client.sendall(b"last words")  # to a side that still listens
        client.shutdown(socket.SHUT_WR)
        ((start, end),) = proxy.recorder.wait()
    assert seen == [SAID, b"last words"]
    assert (end.outcome, end.status_code, end.reading.response_id) == ("complete", 101, "resp_1")
    assert proxy.recorder.asks[start.call_id].model == create()["model"]
    assert end.request_bytes == len(json.dumps(create()))
    assert end.response_bytes == len(json.dumps(BEGUN) + json.dumps(DONE))


def test_frames_that_come_with_the_request_for_the_upgrade() -> None:
    def serve(connection: socket.socket, got: bytes) -> None:
        assert got + read_exactly(connection, len(ASKS) - len(got)) == ASKS
        connection.sendall(ANSWER)
        read_all(connection)

    with (
        agreeing(serve) as url,
        Proxy(routes={HOST: url}) as proxy,
        upgraded(proxy, behind=ASKS) as client,
    ):
        assert read_exactly(client, len(ANSWER)) == ANSWER
        ((_, end),) = proxy.recorder.wait()
    assert end.outcome == "complete"


def test_frames_that_come_with_the_answer() -> None:
    first, rest = ANSWER[:70], ANSWER[70:]
    with (
        agreeing(lambda connection, _: connection.sendall(rest), AGREED % b"" + first) as url,
        Proxy(routes={HOST: url}) as proxy,
        upgraded(proxy) as client,
    ):
        assert read_all(client) == ANSWER
        ((_, end),) = proxy.recorder.wait()
    assert (end.outcome, end.reading.response_id) == ("complete", "resp_1")


@pytest.mark.parametrize("by", ["client", "provider"])
def test_what_is_no_frame_passes_and_is_not_read(by: str, caplog: pytest.LogCaptureFixture) -> None:
    garbage = b"\xf3 this is no frame" * 100
    said = garbage if by == "client" else b""
    told = garbage if by == "provider" else b""

    def serve(connection: socket.socket, got: bytes) -> None:
        size = len(ASKS + said + ASKS)
        assert got + read_exactly(connection, size - len(got)) == ASKS + said + ASKS
        connection.sendall(told)
        connection.sendall(ANSWER)
        assert read_all(connection) == b"bye"

    with (
        agreeing(serve) as url,
        Proxy(routes={HOST: url}) as proxy,
        upgraded(proxy) as client,
    ):
        for piece in (ASKS, said, ASKS):
            client.sendall(piece)
            time.sleep(0.05)
        assert read_exactly(client, len(told + ANSWER)) == told + ANSWER
        client.sendall(b"bye")
        client.close()
        ends = proxy.recorder.wait(1 if by == "client" else 2)
    outcomes = ["complete"] if by == "client" else ["aborted", "aborted"]
    assert [end.outcome for _, end in ends] == outcomes
    assert "not read further: what came is no frame" in caplog.text


def test_an_extension_that_nobody_knows_is_not_read(caplog: pytest.LogCaptureFixture) -> None:
    def serve(connection: socket.socket, got: bytes) -> None:
        assert got + read_exactly(connection, len(ASKS) - len(got)) == ASKS
        connection.sendall(ANSWER)

    with (
        agreeing(serve, AGREED % b"Sec-WebSocket-Extensions: x-own\r\n") as url,
        Proxy(routes={HOST: url}) as proxy,
        upgraded(proxy) as client,
    ):
        client.sendall(ASKS)
        assert read_all(client) == ANSWER
    assert proxy.recorder.starts == {}
    assert "not read further: it uses x-own" in caplog.text


@pytest.mark.parametrize("faulty", [ResponsesSocket, FrameReader])
def test_a_fault_of_ours_before_the_first_message_harms_nothing(
    faulty: type, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a fault of ours")

    def serve(connection: socket.socket, got: bytes) -> None:
        assert got + read_exactly(connection, len(ASKS) - len(got)) == ASKS
        connection.sendall(ANSWER)

    monkeypatch.setattr(faulty, "__init__", fail)
    with (
        agreeing(serve) as url,
        Proxy(routes={HOST: url}) as proxy,
        upgraded(proxy) as client,
    ):
        client.sendall(ASKS)
        assert read_all(client) == ANSWER
    assert proxy.recorder.starts == {}
    assert "a WebSocket to api.openai.com is not read" in caplog.text


@pytest.mark.parametrize("by", ["client", "provider"])
def test_a_fault_of_our_frame_reader_harms_nothing(
    by: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    feed = FrameReader.feed_some

    def fail(reader: FrameReader, data: bytes) -> object:
        if (data == ASKS) == (by == "client"):
            raise RuntimeError("a fault of ours")
        return feed(reader, data)

    def serve(connection: socket.socket, got: bytes) -> None:
        assert got + read_exactly(connection, len(ASKS) - len(got)) == ASKS
        connection.sendall(ANSWER)

    monkeypatch.setattr(FrameReader, "feed_some", fail)
    with (
        agreeing(serve) as url,
        Proxy(routes={HOST: url}) as proxy,
        upgraded(proxy) as client,
    ):
        client.sendall(ASKS)
        assert read_all(client) == ANSWER
        ((_, end),) = proxy.recorder.wait()
    assert end.outcome == ("complete" if by == "client" else "truncated")
    assert "not read further" in caplog.text


BEGINS = frame(FINAL | TEXT, json.dumps(BEGUN).encode())
CLOSES = frame(FINAL | CLOSE, b"\x03\xe8", MASK)
SERVER_CLOSES = frame(FINAL | CLOSE, b"\x03\xf3")
"""1011: but for the client, who left before, it would be an error."""


@pytest.mark.parametrize("last", [SERVER_CLOSES, b""], ids=["close frame", "end"])
@pytest.mark.parametrize("by", ["a close frame", "an end"])
def test_an_answer_that_ends_after_its_client_has_closed_is_whole(
    by: str, last: bytes, both_ways: bool
) -> None:
    """The last word on its counts is under way when the client has had enough."""
    if by == "an end" and not both_ways:
        pytest.skip("to mitmproxy, who sends no more is gone")
    closes = CLOSES if by == "a close frame" else b""

    def serve(connection: socket.socket, got: bytes) -> None:
        got += read_exactly(connection, len(ASKS) - len(got))
        connection.sendall(BEGINS)
        if closes:
            got += read_exactly(connection, len(ASKS + closes) - len(got))
        else:
            got += read_all(connection)
        assert got == ASKS + closes or not both_ways  # mitmproxy masks anew
        connection.sendall(ANSWER[len(BEGINS) :] + last)

    with (
        agreeing(serve) as url,
        Proxy(routes={HOST: url}) as proxy,
        upgraded(proxy) as client,
    ):
        client.sendall(ASKS)
        got = client.recv(1)
        client.sendall(closes)
        if not closes:
            client.shutdown(socket.SHUT_WR)
        assert got + read_all(client) == ANSWER + last
        ((_, end),) = proxy.recorder.wait()
    assert (end.outcome, end.error) == ("complete", None)
    assert end.reading.parts[0].output_tokens == 42


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize("last", [SERVER_CLOSES, b""], ids=["close frame", "end"])
def test_an_answer_that_does_not_end_after_its_client_has_closed_is_aborted(last: bytes) -> None:
    def serve(connection: socket.socket, got: bytes) -> None:
        read_exactly(connection, len(ASKS + CLOSES) - len(got))
        connection.sendall(BEGINS + last)

    with (
        agreeing(serve) as url,
        Proxy(routes={HOST: url}) as proxy,
        upgraded(proxy) as client,
    ):
        client.sendall(ASKS + CLOSES)
        assert read_all(client) == BEGINS + last
        ((_, end),) = proxy.recorder.wait()
    assert (end.outcome, end.error) == ("aborted", "client_disconnected")
    assert end.reading.response_id == "resp_1"


def test_who_closes_and_is_gone_is_not_waited_for(both_ways: bool) -> None:
    def serve(connection: socket.socket, got: bytes) -> None:
        got += read_all(connection)
        assert got == ASKS + CLOSES or (len(got) == len(ASKS + CLOSES) and not both_ways)

    with agreeing(serve) as url, Proxy(routes={HOST: url}) as proxy:
        with upgraded(proxy) as client:
            client.sendall(ASKS + CLOSES)
        ((_, end),) = proxy.recorder.wait()
        wait_until(lambda: not proxy.clients)
    assert (end.outcome, end.error) == ("aborted", "client_disconnected")


def test_what_waits_for_the_journal_is_sent_in_order() -> None:
    pings = frame(FINAL | PING, b"p", MASK) * 3
    came: list[float] = []

    def serve(connection: socket.socket, got: bytes) -> None:
        size = len(ASKS + ASKS + pings)
        got += read_exactly(connection, size - len(got))
        came.append(time.monotonic())
        assert got == ASKS + ASKS + pings
        connection.sendall(b"x")

    with (
        agreeing(serve) as url,
        Proxy(routes={HOST: url}) as proxy,
        upgraded(proxy) as client,
    ):
        proxy.recorder.ack_delay_s = 0.15
        began = time.monotonic()
        for piece in (ASKS + ASKS[:20], ASKS[20:], pings):
            client.sendall(piece)
            time.sleep(0.01)
        assert client.recv(1) == b"x"
        proxy.recorder.wait(2)
    assert came[0] - began > 0.14


def test_what_waits_when_the_account_is_closed_is_not_sent() -> None:
    seen: list[bytes] = []

    with (
        agreeing(lambda connection, got: seen.append(got + read_all(connection))) as url,
        Proxy(routes={HOST: url}) as proxy,
        upgraded(proxy) as client,
    ):
        proxy.recorder.ack_delay_s = 0.15
        client.sendall(ASKS)
        wait_until(lambda: bool(proxy.recorder.starts))
        proxy.close_account()
        with contextlib.suppress(ConnectionResetError):
            assert read_all(client) == b""
        ((_, end),) = proxy.recorder.wait()
    assert seen == [b""]
    assert end.outcome == "lost"


LARGE = json.dumps({**create(), "input": "x" * 20_000_000}).encode()
DEFLATES = AGREED % b"Sec-WebSocket-Extensions: permessage-deflate\r\n"


def deflated(*messages: bytes) -> bytes:
    """Messages of one stream, a frame each."""
    stream = zlib.compressobj(wbits=-15)
    return b"".join(
        frame(
            FINAL | COMPRESSED | TEXT,
            (stream.compress(message) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4],
        )
        for message in messages
    )


def test_a_large_message_of_few_bytes_is_read_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of both sides: the next message, and the connection's end, come behind it."""
    worked: list[int] = []
    work = message.Growing.work

    def noted(self: message.Growing, most: int) -> int:
        worked.append(work(self, most))
        return worked[-1]

    monkeypatch.setattr(message.Growing, "work", noted)
    asked = deflated(LARGE, json.dumps(create(model="other")).encode())
    large = {"type": "response.output_text.delta", "delta": "y" * 20_000_000}
    answer = deflated(*(json.dumps(event).encode() for event in (BEGUN, large, DONE)))

    def serve(connection: socket.socket, got: bytes) -> None:
        assert got + read_exactly(connection, len(asked) - len(got)) == asked
        connection.sendall(answer)

    with (
        agreeing(serve, DEFLATES) as url,
        Proxy(routes={HOST: url}) as proxy,
        upgraded(proxy) as client,
    ):
        client.sendall(asked)
        assert read_all(client) == answer
        ended = proxy.recorder.wait(2)
    assert [facts.model for facts in proxy.recorder.asks.values()] == [create()["model"], "other"]
    assert [end.outcome for _, end in ended] == ["complete", "truncated"]
    assert ended[0][1].request_bytes == len(LARGE)
    assert max(worked) <= websocket.WORK + 256 * 1024
    assert sum(worked) > 40_000_000


def test_what_waits_behind_a_large_message_when_the_client_leaves() -> None:
    asked = deflated(LARGE)

    def serve(connection: socket.socket, got: bytes) -> None:
        with contextlib.suppress(ConnectionResetError):
            got += read_all(connection)
        assert got in (b"", asked)

    with agreeing(serve, DEFLATES) as url, Proxy(routes={HOST: url}) as proxy:
        with upgraded(proxy) as client:
            client.sendall(asked)
        ((_, end),) = proxy.recorder.wait()
        wait_until(lambda: not proxy.clients)
    assert (end.outcome, end.error) == ("aborted", "client_disconnected")
