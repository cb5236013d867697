from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.framing.sse_streams import SOUGHT, STREAM, told
from tokenproxy.wire.framing.runs import Runs
from tokenproxy.wire.framing.sse import Event, SSEReader

MOST = 30
PING = b"event: ping\ndata: 1\n\n"
BOTH = b"event: ping\r\ndata: 1\r\n\r\n"


def runs(chunk: bytes, most: int = MOST) -> Runs:
    return Runs(chunk, most, has_cr=b"\r" in chunk)


@pytest.mark.parametrize(
    ("chunk", "end"),
    [
        (b"", 0),
        (3 * PING, len(3 * PING)),
        (3 * BOTH, len(3 * BOTH)),
        (PING + BOTH, len(PING + BOTH)),
        (PING + PING[:-1], len(PING)),
        (PING + b"event: pings\ndata: 1\n\n", len(PING)),
        (PING + b"event: ping \ndata: 1\n\n", len(PING)),
        (PING + b"event: ping\ndata:1\n\n", len(PING)),
        (PING + b"event: ping\ndata: 1\ndata: 2\n\n", len(PING)),
        (PING + b"event: ping\ndata: 1\nevent: a\n\n", len(PING)),
        (PING + b"\n" + PING, len(PING)),
        (PING + b"event: ping\ndata: 1\revent: a\n\n", 0),
        (BOTH + b"event: ping\r", len(BOTH)),
    ],
)
def test_of_a_name(chunk: bytes, end: int) -> None:
    assert runs(chunk).named(b"ping", 0) == end


def test_names_are_no_patterns() -> None:
    chunk = b"event: a.b\ndata: 1\n\nevent: aXb\ndata: 1\n\n"
    assert runs(chunk).named(b"a.b", 0) == len(chunk) // 2


def test_of_objects() -> None:
    plain, sought = b'data: {"b":"a"}\n\n', b'data: {"b":1,"a":2}\r\n\r\n'
    chunk = 2 * plain + sought + plain + sought
    seen = runs(chunk)
    assert seen.without(SOUGHT, 0) == len(2 * plain)
    assert seen.without(SOUGHT, len(2 * plain)) == len(2 * plain)
    behind = len(2 * plain + sought)
    assert seen.without(SOUGHT, behind) == behind + len(plain)
    assert seen.without(re.compile(b'"b"'), 0) == 0
    assert seen.without(re.compile(b'"c"'), 0) == len(chunk)


def test_of_small_objects_alone() -> None:
    small, large = b"data: {" + b"x" * 28 + b"}\n\n", b"data: {" + b"x" * 29 + b"}\n\n"
    assert runs(small + large).without(SOUGHT, 0) == len(small)
    assert runs(small, most=1).without(SOUGHT, 0) == 0


@settings(max_examples=500)
@given(body=STREAM, data=st.data())
def test_a_run_is_events_of_which_nothing_is_told(body: bytes, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(body)))
    seen = runs(body)
    named = body[position : seen.named(b"ping", position)]
    reader = SSEReader()
    assert all(event.name == b"ping" for event in reader.feed(named))
    assert reader.close() == []
    objects = body[position : seen.without(SOUGHT, position)]
    reader = SSEReader(limit=MOST)
    assert told(reader.feed(objects)) == []
    assert (reader.close(), reader.oversized) == ([], 0)
    assert not objects or reader.feed(b"data: 1\n\n") == [Event(b"", b"1")]


def test_looking_for_runs_takes_no_longer_the_more_there_are() -> None:
    """What lies before what was found is not searched again."""

    class Counting:
        searched = 0

        def search(self, chunk: bytes, position: int) -> re.Match[bytes] | None:
            self.searched += 1
            return SOUGHT.search(chunk, position)

    counting = Counting()
    odd = b"data: {}\nid: 1\n\n"
    chunk = 50 * odd + b'data: {"a":1}\n\n'
    seen = runs(chunk)
    for number in range(50):
        at = number * len(odd)
        assert seen.without(counting, at) == at  # type: ignore[arg-type] # all that it asks of it
    assert counting.searched == 1
