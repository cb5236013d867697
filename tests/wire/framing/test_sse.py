from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.framing.sse_streams import SOUGHT, STREAM, told
from tests.wire.strategies import chunked, cuts, garbage
from tokenproxy.wire.framing.jsonbody import JsonBody
from tokenproxy.wire.framing.runs import Runs
from tokenproxy.wire.framing.sse import Event, SSEReader

SKIP = (b"content_block_delta", b"ping")


def read(body: bytes, *, step: int = 1 << 20, limit: int = 1 << 20) -> list[Event]:
    reader = SSEReader(SKIP, limit)
    events = [
        event for at in range(0, len(body), step) for event in reader.feed(body[at : at + step])
    ]
    return events + reader.close()


CASES: list[tuple[str, bytes, list[Event]]] = [
    ("nothing", b"", []),
    ("one event", b"event: a\ndata: 1\n\n", [Event(b"a", b"1")]),
    ("no space after the colon", b"event:a\ndata:1\n\n", [Event(b"a", b"1")]),
    ("only one space is taken off", b"event: a\ndata:  1\n\n", [Event(b"a", b" 1")]),
    ("padding stays in the data", b"event: a\ndata: {}   \n\n", [Event(b"a", b"{}   ")]),
    ("padding leaves the name", b"event: a  \ndata: 1\n\n", [Event(b"a", b"1")]),
    ("CRLF", b"event: a\r\ndata: 1\r\n\r\n", [Event(b"a", b"1")]),
    ("CR", b"event: a\rdata: 1\r\r", [Event(b"a", b"1")]),
    (
        "line ends mixed",
        b"event: a\rdata: 1\n\r\ndata: 2\r\r\n",
        [Event(b"a", b"1"), Event(b"", b"2")],
    ),
    ("byte order mark", b"\xef\xbb\xbfevent: a\ndata: 1\n\n", [Event(b"a", b"1")]),
    ("byte order mark and data", b"\xef\xbb\xbfdata: 1\n\n", [Event(b"", b"1")]),
    ("only the first is a mark", b"data: 1\n\n\xef\xbb\xbfdata: 2\n\n", [Event(b"", b"1")]),
    ("comments", b": hello\nevent: a\n: so\ndata: 1\n:\n\n", [Event(b"a", b"1")]),
    ("other fields", b"id: 7\nretry: 3\nevent: a\nfoo\nbar: 2\ndata: 1\n\n", [Event(b"a", b"1")]),
    ("data lines join", b"data: 1\ndata: 2\ndata\ndata: 3\n\n", [Event(b"", b"1\n2\n\n3")]),
    ("no name", b"data: 1\n\n", [Event(b"", b"1")]),
    ("no data is no event", b"event: a\n\nevent: b\ndata: 1\n\n", [Event(b"b", b"1")]),
    ("empty data is data", b"event: a\ndata:\n\n", [Event(b"a", b"")]),
    ("name after data", b"data: 1\nevent: a\n\n", [Event(b"a", b"1")]),
    ("last name holds", b"event: a\nevent: b\ndata: 1\n\n", [Event(b"b", b"1")]),
    ("blank lines", b"\n\n\ndata: 1\n\n\n\ndata: 2\n\n", [Event(b"", b"1"), Event(b"", b"2")]),
    ("database is no data", b"database: 1\ndata: 2\n\n", [Event(b"", b"2")]),
    (
        "U+2028, U+0085, VT end no line",
        "data: a\u2028b\u0085c\x0bd\n\n".encode(),
        [Event(b"", "a\u2028b\u0085c\x0bd".encode())],
    ),
    ("not UTF-8", b"data: \xff\xfe\n\n", [Event(b"", b"\xff\xfe")]),
    ("skipped", b"event: ping\ndata: 1\n\ndata: 2\n\n", [Event(b"ping", None), Event(b"", b"2")]),
    ("skipped, CRLF", b"event: ping\r\ndata: 1\r\n\r\n", [Event(b"ping", None)]),
    ("skipped, oddly spaced", b"event:ping\ndata: 1\ndata: 2\n\n", [Event(b"ping", None)]),
    ("skipped, three lines", b"event: ping\ndata: 1\nid: 2\n\n", [Event(b"ping", None)]),
    ("skipped, without data", b"event: ping\n\ndata: 2\n\n", [Event(b"", b"2")]),
    ("skipped, with other fields", b"event: ping\nid: 2\n\ndata: 1\n\n", [Event(b"", b"1")]),
    ("skipped, named late", b"data: 1\nevent: ping\n\n", [Event(b"ping", None)]),
    (
        "two names, the second skipped",
        b"event: a\nevent: ping\ndata: 1\n\n",
        [Event(b"ping", None)],
    ),
    ("two names, the first skipped", b"event: ping\nevent: a\ndata: 1\n\n", [Event(b"a", b"1")]),
    (
        "a name that begins like a skipped one",
        b"event: pings\ndata: 1\n\n",
        [Event(b"pings", b"1")],
    ),
    ("cut after a line", b"event: a\ndata: 1\n", [Event(b"a", b"1", torn=True)]),
    ("cut in a line", b"event: a\ndata: 1", [Event(b"a", b"1", torn=True)]),
    ("cut before its data", b"event: a\n", []),
    ("cut in its name", b"event: mess", []),
]


@pytest.mark.parametrize("step", [1, 2, 3, 5, 1 << 20])
@pytest.mark.parametrize(
    ("body", "events"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_events(body: bytes, events: list[Event], step: int) -> None:
    assert read(body, step=step) == events


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_an_event_comes_out_at_its_blank_line(end: bytes) -> None:
    reader = SSEReader()
    assert reader.feed(b"event: a\ndata: 1" + end[:-1]) == (
        [] if end != b"\r\n\r\n" else [Event(b"a", b"1")]
    )
    assert reader.feed(end[-1:]) == ([Event(b"a", b"1")] if end != b"\r\n\r\n" else [])
    assert reader.feed(b"event: b\ndata: 2\n\n") == [Event(b"b", b"2")]


@pytest.mark.parametrize("step", [1, 3, 1 << 20])
def test_an_event_too_large_is_passed_over_and_counted(step: int) -> None:
    reader = SSEReader(SKIP, limit=10)
    body = (
        b"event: big\ndata: 12345678901\ndata: x\n\n"
        b"event: bigger\ndata: 12345678901\n\n"
        b"event: ok\ndata: 1234567890\n\n"
        b"data: 12345678901\nevent: ping\n\n"
    )
    events = [e for at in range(0, len(body), step) for e in reader.feed(body[at : at + step])]
    assert events == [
        Event(b"big", None),
        Event(b"bigger", None),
        Event(b"ok", b"1234567890"),
        Event(b"ping", None),
    ]
    assert reader.oversized == 3


@pytest.mark.parametrize("step", [1000, 1 << 20])
def test_much_data_is_reduced(step: int) -> None:
    """A picture in an event must not cost the usage beside it."""
    image = b'{"b64_json":"' + b"A" * 9_000_000 + b'","usage":{}}'
    reduced = JsonBody()
    reduced.feed(image)
    kept = reduced.take()
    body = b"event: image\ndata: " + image + b"\n\ndata: 1\n\n"
    assert read(body, step=step) == [Event(b"image", kept), Event(b"", b"1")]
    assert len(kept) == 69
    assert read(b"data:" + image[:-1] + b"\ndata:}", step=step) == [
        Event(b"", kept[:-1] + b"\n}", torn=True)
    ]


@pytest.mark.parametrize("line", [b"data: ", b": ", b"event: ", b"noise ", b""])
def test_an_endless_line_is_not_kept(line: bytes) -> None:
    reader = SSEReader(limit=1000)
    reader.feed(line)
    for _ in range(1000):
        reader.feed(b"x" * 100)
    assert len(reader._line) < 2000
    if isinstance(reader._data, JsonBody):
        assert len(reader._data._body) < 2000
    assert reader.feed(b"\n\nevent: ok\ndata: 1\n\n")[-1] == Event(b"ok", b"1")


def test_data_of_a_skipped_event_is_not_kept() -> None:
    reader = SSEReader(SKIP)
    reader.feed(b"event: content_block_delta\ndata: ")
    for _ in range(100):
        reader.feed(b"x" * 10_000)
        assert len(reader._line) == 0
        assert reader._data is None
    assert reader.feed(b"\n\n") == [Event(b"content_block_delta", None)]
    assert reader.oversized == 0


@pytest.mark.parametrize("body", [b"event: a\ndata: {}\n\n", b"data: {}\n\n"])
def test_an_event_that_is_cut_once_is_taken_whole(body: bytes) -> None:
    for at in range(len(body)):
        reader = SSEReader()
        reader._take_line = None  # type: ignore[assignment,method-assign] # no line is looked at
        assert reader.feed(body + body[:at]) == reader.feed(body[at:]) != []


def test_what_is_cut_again_and_again_is_not_joined_each_time() -> None:
    reader = SSEReader()
    for byte in b"data: " + b"x" * 1000:
        reader.feed(bytes([byte]))
        assert len(reader._cut) <= 1
    assert reader.close() == [Event(b"", b"x" * 1000, torn=True)]


def test_what_is_cut_is_bounded() -> None:
    reader = SSEReader(limit=1000)
    reader.feed(b"data: " + b"x" * 995)
    assert reader._cut == b""


def test_a_name_without_end_is_cut_off() -> None:
    [event] = read(b"event: " + b"n" * 5000 + b"\ndata: 1\n\n", step=7)
    assert event.name == b"n" * 256
    assert read(b"event: " + b"n" * 5000 + b"\ndata: 1\n\n") == [event]


@given(data=st.data())
def test_any_chunking_gives_the_same_events(data: st.DataObject) -> None:
    body = data.draw(garbage())
    whole, cut = SSEReader(SKIP, limit=64), SSEReader(SKIP, limit=64)
    places = data.draw(cuts(len(body)))
    expected = whole.feed(body) + whole.close()
    events = [event for chunk in chunked(body, places) for event in cut.feed(chunk)] + cut.close()
    assert told(events) == told(expected)
    assert cut.oversized == whole.oversized


@given(
    lines=st.lists(
        st.tuples(st.sampled_from([b"a", b"ping"]), st.binary(max_size=20)).map(
            lambda pair: (pair[0], pair[1].replace(b"\n", b"").replace(b"\r", b""))
        ),
        max_size=8,
    ),
    end=st.sampled_from([b"\n", b"\r\n", b"\r"]),
)
def test_what_was_written_is_read(lines: list[tuple[bytes, bytes]], end: bytes) -> None:
    body = b"".join(
        b"event: " + name + end + b"data: " + value + end + end for name, value in lines
    )
    expected = [Event(name, None if name == b"ping" else value) for name, value in lines]
    assert told(read(body)) == told(expected)


@settings(max_examples=500)
@given(body=STREAM, data=st.data())
def test_whole_events_are_taken_as_line_by_line(body: bytes, data: st.DataObject) -> None:
    by_line = SSEReader(SKIP, 30)
    by_line._take_whole = lambda *_, **__: -1  # type: ignore[method-assign] # only the slow way
    by_event = SSEReader(SKIP, 30)
    lines, events = [], []
    for chunk in chunked(body, data.draw(cuts(len(body)))):
        lines += by_line.feed(chunk)
        events += by_event.feed(chunk)
        assert told(events) == told(lines)
    assert by_event.close() == by_line.close()
    assert by_event.oversized == by_line.oversized


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_usual_events_are_taken_whole(end: bytes) -> None:
    reader = SSEReader(SKIP)
    reader._take_line = None  # type: ignore[method-assign,assignment] # no line is looked at
    body = end.join([b"event: a", b"data: 1", b"", b"data: 2", b"", b"event: ping", b"data: 3"])
    assert reader.feed(body + end + end) == [
        Event(b"a", b"1"),
        Event(b"", b"2"),
        Event(b"ping", None),
    ]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_run_of_skipped_events_is_told_once(end: bytes) -> None:
    one = end.join([b"event: ping", b"data: 1", b"", b""])
    two = end.join([b"event: content_block_delta", b"data: 2", b"", b""])
    ping, delta = Event(b"ping", None), Event(b"content_block_delta", None)
    assert read(3 * one + 5 * two + one) == [ping, delta, ping]
    assert read(one + b": so" + end + one) == [ping, ping]


def test_what_is_to_be_passed_over_may_change_with_every_event() -> None:
    reader = SSEReader()
    events = reader.events(b'data: {}\n\ndata: {}\n\ndata: {"a":1}\n\ndata: {}\n\ndata: {}\n\n')
    assert next(events) == Event(b"", b"{}")
    reader.unless = re.compile(b'"a"')
    assert next(events) == Event(b"", b'{"a":1}')
    reader.unless = None
    assert list(events) == [Event(b"", b"{}")] * 2


def test_a_mark_is_one_at_the_very_start_alone_though_nothing_was_told() -> None:
    reader = SSEReader()
    reader.unless = re.compile(b'"a"')
    assert reader.feed(b'data: {}\n\n\xef\xbb\xbfdata: {"a":1}\n\n') == []


@settings(max_examples=500)
@given(body=STREAM, data=st.data())
def test_events_are_passed_over_as_one_by_one(body: bytes, data: st.DataObject) -> None:
    """Runs, wherever they begin and end, are what each of their events is by itself."""
    whole, cut = SSEReader(SKIP, 30), SSEReader(SKIP, 30)
    whole.unless = cut.unless = SOUGHT
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Runs, "named", lambda _self, _name, position: position)
        patch.setattr(Runs, "without", lambda _self, _sought, position: position)
        expected = whole.feed(body) + whole.close()
    chunks = chunked(body, data.draw(cuts(len(body))))
    events = [event for chunk in chunks for event in cut.feed(chunk)] + cut.close()
    assert told(events) == told(expected)
    assert cut.oversized == whole.oversized
