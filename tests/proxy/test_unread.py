"""A tap tells the same of an answer, however its bytes come and whenever it reads them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.proxy.harness import Remembered
from tests.wire.fixtures.anthropic import PLAIN, text_delta
from tests.wire.strategies import chunked, cuts
from tokenproxy.proxy.tap import BURST_NS, READ_AT_ONCE, Tap
from tokenproxy.record.call import CallEnd, CallStart

START = CallStart(
    call_id="c-1", trace_id="a" * 32, span_id="b" * 16, started_ns=1,
    provider="anthropic", dialect="anthropic.messages", operation="chat",
    server_address="api.anthropic.com", server_port=443,
)  # fmt: skip
EVENTS = {"content-type": "text/event-stream"}


class Loop:
    """Keeps what it is to do until it is told to."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], Any]] = []
        self.later: list[Callable[[], Any]] = []

    def call_soon(self, work: Callable[..., Any], *arguments: Any) -> None:
        self.soon.append(lambda: work(*arguments))

    def turn(self) -> None:
        due, self.soon = self.soon, []
        for work in due:
            work()

    def time_passes(self) -> None:
        due, self.later = self.later, []
        for work in due:
            work()

    def tap(self) -> tuple[Tap, Remembered]:
        recorder = Remembered()
        tap = Tap(START, recorder, self.call_soon, None, self.later.append)
        tap.response_headers(200, EVENTS)
        return tap, recorder

    def end(self, tap: Tap, recorder: Remembered) -> CallEnd:
        tap.over(None, 1000)
        self.turn()
        return recorder.ends[START.call_id]


def eager(chunks: list[bytes], moments: list[int]) -> CallEnd:
    """The end of a call each of whose chunks is read before the next one comes."""
    loop = Loop()
    tap, recorder = loop.tap()
    for chunk, at in zip(chunks, moments, strict=True):
        tap.response_chunk(chunk, at)
        loop.turn()
        loop.time_passes()
    return loop.end(tap, recorder)


@settings(max_examples=200)
@given(data=st.data())
def test_a_call_is_the_same_whenever_it_is_read(data: st.DataObject) -> None:
    chunks = [chunk for chunk in chunked(PLAIN, data.draw(cuts(len(PLAIN)))) if chunk]
    pauses = data.draw(
        st.lists(
            st.lists(st.sampled_from(["turn", "time_passes"]), max_size=2),
            min_size=len(chunks), max_size=len(chunks),
        )
    )  # fmt: skip
    between = st.sampled_from([1, BURST_NS, BURST_NS + 1, 10**9])
    moments = [
        *accumulate(data.draw(st.lists(between, min_size=len(chunks), max_size=len(chunks))))
    ]
    loop = Loop()
    tap, recorder = loop.tap()
    for chunk, at, pause in zip(chunks, moments, pauses, strict=True):
        tap.response_chunk(chunk, at)
        for what in pause:
            getattr(loop, what)()
    end = loop.end(tap, recorder)
    assert end == eager(chunks, moments)
    assert end.first_content_ns in moments
    loop.turn()
    loop.time_passes()
    assert recorder.ends == {START.call_id: end}


def test_what_comes_behind_the_first_content_is_read_together() -> None:
    loop = Loop()
    tap, recorder = loop.tap()
    tap.response_chunk(PLAIN[:-1], 1)
    loop.turn()
    told = len(recorder.progress)
    assert told
    for _ in range(10):
        tap.response_chunk(PLAIN, 2)
    assert len(loop.later) == 1
    assert loop.soon == []
    loop.time_passes()
    assert len(recorder.progress) == told + 1


def test_what_comes_alone_is_read_at_once() -> None:
    loop = Loop()
    tap, _ = loop.tap()
    tap.response_chunk(PLAIN, 1)
    loop.turn()
    tap.response_chunk(text_delta("x"), 2)
    assert loop.soon == []
    tap.response_chunk(text_delta("x"), 3 + BURST_NS)
    assert len(loop.soon) == 1


def test_no_more_is_left_to_be_read_later_than_a_bound() -> None:
    loop = Loop()
    tap, _ = loop.tap()
    tap.response_chunk(PLAIN, 2)
    loop.turn()
    delta = text_delta("x" * 1000)
    for _ in range(READ_AT_ONCE // len(delta)):
        tap.response_chunk(delta, 3)
        assert loop.soon == []
    tap.response_chunk(delta, 3)
    assert len(loop.soon) == 1
    loop.turn()
    tap.response_chunk(delta, 3)
    assert loop.soon == []
