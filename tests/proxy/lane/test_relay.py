"""The lane beside mitmproxy's own relay: the same bytes arrive on both sides, the same is told."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.proxy.lane.wire import Seen, pass_through, payload
from tokenproxy.record.call import CallEnd

QUESTION = json.dumps({"model": "claude-opus-5-5", "max_tokens": 9, "messages": []}).encode()
ANSWER = json.dumps(
    {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-5-5",
        "content": [{"type": "text", "text": "Hello, and \u00fc."}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 12, "output_tokens": 42},
    }
).encode()
EVENTS = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","type":"message",'
    b'"role":"assistant","model":"claude-opus-5-5","content":[],"usage":{"input_tokens":12,'
    b'"output_tokens":1}}}\n\n'
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":'
    b'"text_delta","text":"Hello"}}\n\n'
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},'
    b'"usage":{"output_tokens":42}}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n'
)
FIELDS = b"Host: x\r\nX-Odd: Kept\r\ncontent-type: application/json\r\nConnection: close\r\n"


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def asked(framing: str, places: list[int]) -> list[bytes]:
    line = b"POST /v1/messages?beta=true HTTP/1.1\r\n" + FIELDS
    if framing == "length":
        whole = line + b"content-length: %d\r\n\r\n%s" % (len(QUESTION), QUESTION)
    else:
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in cut(QUESTION, places) if p)
        whole = line + b"transfer-encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    return cut(whole, places)


def answered(framing: str, body: bytes, places: list[int]) -> list[bytes]:
    kind = b"text/event-stream" if body is EVENTS else b"application/json"
    head = (
        b"HTTP/1.1 200 OK\r\nRequest-Id: r1\r\nX-Two: a\r\nx-two: b\r\ncontent-type: %s\r\n" % kind
    )
    if framing == "length":
        whole = head + b"content-length: %d\r\n\r\n%s" % (len(body), body)
    elif framing == "chunked":
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in cut(body, places) if p)
        whole = head + b"transfer-encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    else:
        whole = head + b"connection: close\r\n\r\n" + body
    return cut(whole, places)


def told(end: CallEnd) -> tuple[object, ...]:
    """What must be the same: all but times."""
    return (
        end.outcome,
        end.error,
        end.status_code,
        end.stream,
        end.request_bytes,
        end.response_bytes,
        end.reading.parts,
        end.reading.usage,
        end.response,
        end.first_content_ns is None,
    )


def same(one: Seen, other: Seen) -> None:
    assert payload(one.client) == payload(other.client)
    assert payload(one.provider)[1] == payload(other.provider)[1]
    assert [told(end) for end in one.ends] == [told(end) for end in other.ends]


def fields(message: bytes) -> list[tuple[bytes, bytes]]:
    lines = message.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    return [(name, value.strip()) for name, _, value in (line.partition(b":") for line in lines)]


INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
PLACES = st.lists(st.integers(0, 2000), max_size=6)


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from(["length", "chunked"]),
    st.sampled_from(["length", "chunked", "close"]),
    st.sampled_from([ANSWER, EVENTS]),
    PLACES,
    PLACES,
)
def test_an_exchange_however_it_is_cut(
    request_framing: str, framing: str, body: bytes, asks: list[int], answers: list[int]
) -> None:
    request = asked(request_framing, asks)
    answer = answered(framing, body, answers)
    after = QUESTION[-1:] if request_framing == "length" else b"0\r\n\r\n"
    seen = [pass_through(request, answer, after=after, lane=lane) for lane in (True, False)]
    same(*seen)
    short, long = seen
    assert short.client == b"".join(answer)  # not only the same to a reader: the same bytes
    assert payload(short.client)[1] == body
    assert fields(short.provider)[1:] == fields(long.provider)[1:]
    assert fields(short.provider)[0][0] == fields(long.provider)[0][0] == b"Host"
    assert short.provider.split(b"\r\n")[0] == long.provider.split(b"\r\n")[0]
    assert short.ends[0].outcome == "complete"


@pytest.mark.parametrize("kept", [0, 1, 60, 150, 260, 330, 480])
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_an_answer_that_breaks_off(framing: str, kept: int) -> None:
    whole = b"".join(answered(framing, EVENTS, [300]))
    answer = [whole[:kept]] if kept else []
    request = asked("length", [])
    seen = [pass_through(request, answer, after=QUESTION[-1:], lane=lane) for lane in (True, False)]
    assert seen[0].client == b"".join(answer)
    if b"\r\n\r\n" not in whole[:kept]:
        assert seen[1].client == b""  # half a head is none to mitmproxy
        seen[0].client = b""
    same(*seen)
    assert seen[0].ends[0].outcome in ("error", "truncated")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 500 Oh\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 204 None\r\n\r\n",
        b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        INTERIM + b"HTTP/1.1 429 No\r\ncontent-length: 0\r\nretry-after: 9\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;x=y\r\n{}\r\n0\r\n\r\n",
    ],
)
def test_answers_of_all_kinds(answer: bytes) -> None:
    request = asked("length", [])
    seen = [
        pass_through(request, [answer], after=QUESTION[-1:], lane=lane) for lane in (True, False)
    ]
    same(*seen)


def test_broken_chunks_are_the_clients_business() -> None:
    """It sees what the provider sent; the call is told as broken off."""
    answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\nzz\r\n{}\r\n"
    seen = pass_through(asked("length", []), [answer], after=QUESTION[-1:], lane=True)
    assert seen.client == answer
    assert seen.ends[0].outcome == "truncated"


@pytest.mark.parametrize(
    "answer",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: nine\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n{}",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ],
)
def test_an_odd_head_is_the_clients_business_too(answer: bytes) -> None:
    seen = pass_through(asked("length", []), [answer], after=QUESTION[-1:], lane=True)
    assert seen.client == answer
    assert seen.ends[0].outcome == "error"
