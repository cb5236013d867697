"""A burst of events reads as its events do one by one, in every dialect that has a stream."""

from __future__ import annotations

import re
import sys

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.cases import Case, all_cases
from tests.wire.strategies import chunked, cuts
from tokenproxy.wire.dialect import Head
from tokenproxy.wire.framing.runs import Runs
from tokenproxy.wire.routes import dialect

STREAMED = [case for case in all_cases() if re.match(rb"event: |data: \{", case.body)]
DIALECTS = sorted({case.dialect for case in STREAMED})

ODDITIES = (
    b"", b": so\n", b"id: 7\n", b"\n", b"data:\n\n", b"event: ping\ndata: {}\n\n",
    b"event: content_block_delta\ndata: {}\nevent: message_stop\n\n",
    b"event: response.output_text.delta\ndata: event: error\\ndata: {}\n\n",
    b'data: {"text":"\\"usage\\":{}","usage" :null}\n\n', b'data: {"usage":\t{}}\n\n',
    b'data: {"error":\ndata: {}}\n\n', b"data: {}\r\n\r\n", b"data: {\r}\n\n", b"data: [DONE]\n\n",
)  # fmt: skip


@st.composite
def bursts(draw: st.DrawFn, name: str) -> bytes:
    """A stream of this dialect's in which events come again and again, with oddities between."""
    case: Case = draw(st.sampled_from([case for case in STREAMED if case.dialect == name]))
    events = re.split(rb"(?<=\n\n)", case.body.replace(b"\r\n", b"\n"))
    times = draw(st.lists(st.integers(0, 4), min_size=len(events), max_size=len(events)))
    odd = draw(st.lists(st.sampled_from(ODDITIES), min_size=len(events), max_size=len(events)))
    body = b"".join(
        event * (number or len(events)) + between
        for event, number, between in zip(events, times, odd, strict=True)
    )
    if draw(st.booleans()):
        body = body.replace(b"data: ", b"data:", 3)
    return body.replace(b"\n", draw(st.sampled_from([b"\n", b"\n", b"\r\n", b"\r"])))


def seen(name: str, chunks: list[bytes]) -> list[object]:
    """Everything that is told of a stream: after each chunk, and at its end."""
    parser = dialect(name).open_response(Head(status=200, content_type="text/event-stream"))
    told: list[object] = []
    for chunk in chunks:
        news = parser.feed(chunk)
        told.append((news, msgspec.json.encode(parser.reading)))
    parser.close()
    return [*told, msgspec.json.encode(parser.reading)]


def test_all_dialects_that_stream_events_are_here() -> None:
    assert {"anthropic.messages", "openai.chat", "openai.responses", "cohere.chat"} <= set(DIALECTS)


@pytest.mark.parametrize("name", DIALECTS)
@settings(max_examples=60)
@given(data=st.data())
def test_a_burst_reads_as_its_events_do_one_by_one(name: str, data: st.DataObject) -> None:
    body = data.draw(bursts(name))
    chunks = chunked(body, data.draw(cuts(len(body))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Runs, "named", lambda _self, _name, position: position)
        patch.setattr(Runs, "without", lambda _self, _sought, position: position)
        one_by_one = seen(name, chunks)
    assert seen(name, chunks) == one_by_one


CONTENT = {
    "anthropic.messages": b'event: content_block_delta\ndata: {"n":%d}\n\n',
    "openai.responses": b'event: response.output_text.delta\ndata: {"n":%d}\n\n',
    "openai.chat": b'data: {"id":"i","model":"m","choices":[{"delta":{"content":"%d"}}]}\n\n',
    "groq.chat": b'data: {"id":"i","model":"m","choices":[{"delta":{"content":"%d"}}]}\n\n',
    "cohere.chat": b'event: content-delta\ndata: {"n":%d}\n\n',
}


@pytest.mark.parametrize("name", CONTENT)
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_content_in_a_burst_is_passed_over_at_once(name: str, end: bytes) -> None:
    """No more steps are taken for a thousand events than for ten."""
    content = CONTENT[name].replace(b"\n", end)

    def steps(number: int) -> int:
        parser = dialect(name).open_response(Head(status=200, content_type="text/event-stream"))
        body = b"".join(content % each for each in range(number))
        taken = 0

        def count(*_: object) -> None:
            nonlocal taken
            taken += 1

        before = sys.getprofile()
        sys.setprofile(count)
        try:
            parser.feed(body)
        finally:
            sys.setprofile(before)
        assert parser.reading.content_started
        return taken

    steps(10)
    assert steps(1000) == steps(10)
