"""One side of a WebSocket is read in order, and other work goes on between its parts."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable

import pytest

from tests.wire.framing.test_websocket import COMPRESSED, FINAL, TEXT, frame
from tokenproxy.proxy.lane import side
from tokenproxy.proxy.lane.side import Side
from tokenproxy.wire.framing.message import Message
from tokenproxy.wire.framing.websocket import FrameReader

MB = 1_000_000


class Loop:
    """Takes turns when it is told to."""

    def __init__(self) -> None:
        self.turns: deque[Callable[[], object]] = deque()
        self.said: list[str] = []
        self.side = Side(
            FrameReader(deflate=True),
            FrameReader.feed_some,
            self.call_soon,
            lambda: self.said.append("caught up"),
            self.give_up,
        )

    def call_soon(self, what: Callable[[], object]) -> None:
        self.turns.append(what)

    def give_up(self, reader: FrameReader) -> None:
        self.said.append("gave up")
        reader.fail()

    def read(self, data: bytes, name: str) -> bool:
        def done(messages: list[Message]) -> None:
            self.said.append(f"{name} {[message.size for message in messages]}")

        return self.side.read(data, done)

    def run(self) -> int:
        """Until nothing is left; how many turns that took."""
        turns = 0
        while self.turns:
            turns += 1
            self.turns.popleft()()
            assert len(self.turns) <= 1
        return turns


def wire(*sizes: int) -> list[bytes]:
    stream = zlib.compressobj(wbits=-15)
    payloads = [stream.compress(bytes(n)) + stream.flush(zlib.Z_SYNC_FLUSH) for n in sizes]
    return [frame(FINAL | COMPRESSED | TEXT, payload[:-4]) for payload in payloads]


def test_what_is_little_is_read_at_once() -> None:
    loop = Loop()
    for name, data in zip("abc", wire(10, 0, 100_000), strict=True):
        assert loop.read(data, name)
    assert loop.said == ["a [10]", "b [0]", "c [100000]"]
    assert not loop.turns
    assert not loop.side.behind


def test_what_is_much_is_read_by_turns_and_the_rest_behind_it() -> None:
    loop = Loop()
    first, second, third = wire(20 * MB, 10, 5 * MB)
    assert loop.read(first[:20], "a")
    assert not loop.read(first[20:], "b")
    assert loop.side.behind
    assert not loop.read(second, "c")
    assert not loop.read(third, "d")
    assert loop.said == ["a []"]
    assert loop.run() > 20
    assert loop.said == ["a []", "b [20000000]", "c [10]", "d [5000000]", "caught up"]
    assert not loop.side.behind


def test_what_comes_too_fast_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side, "BEHIND", 1000)
    loop = Loop()
    (large,) = wire(20 * MB)
    assert not loop.read(large, "a")
    for name in "bcd":
        assert not loop.read(bytes(600), name)
    assert loop.said == ["gave up"]
    assert loop.run() <= 5
    assert loop.said == ["gave up", "a []", "b []", "c []", "d []", "caught up"]
