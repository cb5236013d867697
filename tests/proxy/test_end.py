"""When a call ended: with its last bytes' arrival, whoever was let go on first."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tests.proxy.harness import Proxy, Remembered
from tests.proxy.lane import sockets
from tests.proxy.lane.test_hard_cases import read_all
from tests.proxy.lane.test_relay import ANSWER, EVENTS, QUESTION, answered, asked
from tests.proxy.lane.wire import pass_through
from tokenproxy.proxy.lane.client import Client
from tokenproxy.proxy.settle import UPSTREAM_LEFT
from tokenproxy.proxy.tap import Tap
from tokenproxy.record.call import CallStart


class Writes:
    """What is written to sockets, each of which takes the processor away as soon as it is done."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._begun: list[tuple[bytes, int]] = []
        for kind in (Client, asyncio.StreamWriter):
            monkeypatch.setattr(kind, "write", self._slow(kind.write))

    def _slow(self, write: Callable[[Any, bytes], None]) -> Callable[[Any, bytes], None]:
        def slow(writer: object, data: bytes) -> None:
            self._begun.append((data, time.time_ns()))
            write(writer, data)
            time.sleep(0.01)

        return slow

    def began(self, end: bytes) -> int:
        """When the write began that ends so, nanoseconds since the epoch."""
        (when,) = [when for data, when in self._begun if data.endswith(end)]
        return when


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> Writes:
    return Writes(monkeypatch)


@pytest.mark.parametrize("body", [ANSWER, EVENTS], ids=["document", "stream"])
def test_no_client_has_an_answer_before_its_end(
    body: bytes, both_ways: bool, writes: Writes
) -> None:
    answer = answered("length", body, [])
    seen = pass_through(asked("length", []), answer, after=QUESTION[-1:], lane=both_ways)
    (end,) = seen.ends
    assert end.outcome == "complete"
    assert end.ended_ns <= writes.began(body[-20:])
    assert end.first_content_ns == (end.ended_ns if body is EVENTS else None)


def test_nor_a_message(writes: Writes) -> None:
    def serve(connection: socket.socket, got: bytes) -> None:
        sockets.read_exactly(connection, len(sockets.ASKS) - len(got))
        connection.sendall(sockets.ANSWER)

    with (
        sockets.agreeing(serve) as url,
        Proxy(routes={sockets.HOST: url}) as proxy,
        sockets.upgraded(proxy) as client,
    ):
        client.sendall(sockets.ASKS)
        assert read_all(client) == sockets.ANSWER
        ((_, end),) = proxy.recorder.wait()
    assert end.outcome == "complete"
    assert end.ended_ns <= writes.began(sockets.ANSWER[-20:])


class Telling:
    """A tap that is told of an answer, by a clock of the test's and a loop that runs when told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0
        monkeypatch.setattr("tokenproxy.proxy.tap.time", SimpleNamespace(time_ns=lambda: self.now))
        self._soon: list[tuple[Any, ...]] = []
        self._recorder = Remembered()
        start = CallStart(
            call_id="c-1", trace_id="a" * 32, span_id="b" * 16, started_ns=1,
            provider="anthropic", dialect="anthropic.messages", operation="chat",
            server_address="api.anthropic.com", server_port=443,
        )  # fmt: skip
        self.tap = Tap(start, self._recorder, lambda *call: self._soon.append(call))
        self.tap.response_headers(200, {"content-type": "text/event-stream"})

    def turn(self) -> None:
        """The loop's next turn."""
        soon, self._soon = self._soon, []
        for call, *arguments in soon:
            call(*arguments)

    def ended(self, broken: str | None) -> int:
        self.tap.over(broken)
        self.turn()
        return self._recorder.ends["c-1"].ended_ns


@pytest.fixture
def telling(monkeypatch: pytest.MonkeyPatch) -> Telling:
    return Telling(monkeypatch)


@pytest.mark.parametrize(("broken", "end"), [(None, 10), (UPSTREAM_LEFT, 30)])
def test_the_end_came_with_the_last_piece(telling: Telling, broken: str | None, end: int) -> None:
    telling.now = 10
    telling.tap.response_chunk(EVENTS)
    telling.now = 20
    telling.tap.response_chunk(b"")
    telling.turn()
    telling.now = 30  # mitmproxy has asked its addons
    assert telling.ended(broken) == end


def test_the_end_came_by_itself(telling: Telling) -> None:
    telling.now = 10
    telling.tap.response_chunk(EVENTS)
    telling.turn()
    telling.now = 20
    telling.tap.response_chunk(b"")
    telling.now = 30
    assert telling.ended(None) == 20


def test_an_empty_piece_in_between_is_not_the_end(telling: Telling) -> None:
    for telling.now, piece in ((10, EVENTS[:50]), (20, b""), (30, EVENTS[50:]), (40, b"")):
        telling.tap.response_chunk(piece)
        telling.turn()
    assert telling.ended(None) == 40
