"""What is compressed is read by parts: others have their turn, and the call is told the same."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.proxy.test_unread import START, Loop
from tests.wire.fixtures.anthropic import PLAIN, text_delta
from tests.wire.strategies import chunked, cuts
from tokenproxy.proxy import backlog
from tokenproxy.proxy.backlog import AT_THE_END, PART, Backlog
from tokenproxy.proxy.request_body import REQUEST_KEPT
from tokenproxy.proxy.settle import STOPPED
from tokenproxy.proxy.tap import Tap
from tokenproxy.record.call import CallEnd
from tokenproxy.wire import notes
from tokenproxy.wire.decoding import open_decoder

LARGE = PLAIN.replace(
    b"event: message_stop", text_delta("x" * 1000) * 5000 + b"event: message_stop"
)
"""An answer of some megabytes that a few kB tell."""


class Tapped:
    """A call whose answer is compressed, and the turns of its loop."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.told: list[Tap] = []
        self.tap, self.recorder = self.loop.tap()
        self.tap._told = self.told.append
        headers = {"content-type": "text/event-stream", "content-encoding": "gzip"}
        self.tap.response_headers(200, headers)

    def end(self) -> CallEnd | None:
        return self.recorder.ends.get(START.call_id)

    def run(self) -> CallEnd:
        """Take turns until nothing is left."""
        while self.loop.soon or self.loop.later:
            self.loop.turn()
            self.loop.time_passes()
        end = self.end()
        assert end is not None
        return end


def test_others_have_their_turn_in_between() -> None:
    tapped = Tapped()
    tapped.tap.response_chunk(gzip.compress(LARGE), 1)
    tapped.tap.over(None, 5)
    turns = 0
    while tapped.end() is None:
        assert tapped.told == []
        turns += 1
        tapped.loop.turn()
    assert turns >= len(LARGE) // (2 * PART)
    assert tapped.told == [tapped.tap]
    end = tapped.run()
    assert (end.outcome, end.ended_ns, end.first_content_ns) == ("complete", 5, 1)
    assert end.reading.parts


@settings(max_examples=100)
@given(data=st.data())
def test_a_call_is_the_same_by_parts(data: st.DataObject) -> None:
    body = gzip.compress(PLAIN[: data.draw(st.integers(1, len(PLAIN)))])
    chunks = [chunk for chunk in chunked(body, data.draw(cuts(len(body)))) if chunk]
    eager = Tapped()
    for at, chunk in enumerate(chunks, 1):
        eager.tap.response_chunk(chunk, at)
        eager.loop.turn()
        eager.loop.time_passes()
    eager.tap.over(None, 1000)
    slow = Tapped()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backlog, "PART", 1)
        for at, chunk in enumerate(chunks, 1):
            slow.tap.response_chunk(chunk, at)
            if data.draw(st.booleans()):
                slow.loop.turn()
        slow.tap.over(None, 1000)
        assert slow.run() == eager.run()


def test_the_process_s_end_reads_the_rest_at_once_and_the_first_word_counts() -> None:
    tapped = Tapped()
    tapped.tap.response_chunk(gzip.compress(LARGE), 1)
    tapped.tap.over(None, 5)
    tapped.loop.turn()
    tapped.tap.over(STOPPED, 9)
    tapped.loop.turn()
    end = tapped.end()
    assert end is not None
    assert (end.outcome, end.ended_ns) == ("complete", 5)
    assert tapped.run() is end
    assert tapped.told == [tapped.tap]


def test_what_takes_too_long_at_the_process_s_end_is_left() -> None:
    tapped = Tapped()
    for _ in range(2):
        tapped.tap.response_chunk(gzip.compress(PLAIN.ljust(AT_THE_END * 2 // 3)), 1)
    tapped.tap.over(STOPPED, 9)
    tapped.loop.turn()
    end = tapped.end()
    assert end is not None
    assert notes.UNDECODABLE in end.reading.notes


def asking(*, over: bool = True) -> Tapped:
    """A call whose request is compressed, too large to be kept, and some megabytes."""
    said = b'{"model":"claude-opus-5-5","x":"%s"}' % os.urandom(REQUEST_KEPT).hex().encode()
    tapped = Tapped()
    tapped.tap.request_headers({"content-encoding": "gzip"})
    tapped.tap.request_chunk(gzip.compress(said, 1))
    if over:
        tapped.tap.request_over()
    return tapped


def test_others_have_their_turn_while_a_large_request_is_read() -> None:
    tapped = asking()
    turns = 0
    while not tapped.recorder.bodies:
        turns += 1
        tapped.loop.turn()
    assert turns >= 2 * REQUEST_KEPT // (2 * PART)
    body = tapped.recorder.bodies[START.call_id]
    assert json.loads(body or b"")["model"] == "claude-opus-5-5"
    assert tapped.recorder.encodings == {START.call_id: ""}


@pytest.mark.parametrize("order", ["asked first", "asked last", "never asked"])
def test_the_end_waits_for_a_large_request(order: str) -> None:
    tapped = asking(over=order == "asked first")
    tapped.tap.response_chunk(gzip.compress(PLAIN), 1)
    tapped.tap.over(None, 5)
    if order == "asked last":
        tapped.tap.request_over()
    while tapped.end() is None:
        assert not tapped.recorder.bodies
        assert tapped.loop.soon
        tapped.loop.turn()
    assert list(tapped.recorder.bodies) == [START.call_id]
    assert tapped.run().outcome == "complete"


def test_the_process_s_end_does_not_wait_for_a_large_request() -> None:
    tapped = asking()
    tapped.tap.over(STOPPED, 5)
    tapped.loop.turn()
    body = tapped.recorder.bodies[START.call_id]
    assert json.loads(body or b"")["model"] == "claude-opus-5-5"
    end = tapped.run()
    assert (end.outcome, tapped.told) == ("lost", [tapped.tap])


def read_by(chunks: list[bytes]) -> tuple[Backlog, list[bytes], Loop]:
    read: list[bytes] = []

    def feed(pieces: Iterable[tuple[bytes, int]]) -> bool:
        read.extend(piece for piece, _ in pieces)
        return True

    loop = Loop()
    made = Backlog(
        open_decoder("gzip").pieces, feed, loop.call_soon, lambda: read.append(b"caught up")
    )
    for at, chunk in enumerate(chunks):
        made.read(chunk, at)
    return made, read, loop


def test_no_more_waits_than_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = zlib.compressobj(wbits=31)
    content = bytes(2 * PART)
    chunks = [stream.compress(content) + stream.flush(zlib.Z_SYNC_FLUSH) for _ in range(20)]
    monkeypatch.setattr(backlog, "BEHIND", 3 * len(chunks[0]))
    made, read, loop = read_by(chunks)
    assert made._bytes > backlog.BEHIND
    loop.turn()
    assert made._bytes <= backlog.BEHIND
    while loop.soon:
        loop.turn()
    assert b"".join(read) == content * len(chunks) + b"caught up"
    assert not made.waits


def test_a_fault_while_reading_ends_it() -> None:
    read: list[bytes] = []

    def feed(pieces: Iterable[tuple[bytes, int]]) -> bool:
        read.append(next(iter(pieces))[0])
        return False

    loop = Loop()
    made = Backlog(open_decoder("gzip").pieces, feed, loop.call_soon, lambda: None)
    made.read(gzip.compress(bytes(4 * PART)), 1)
    assert not made.waits
    assert len(read) == 1
