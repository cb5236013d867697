"""Both APIs' parsers beyond the cases of the providers' table."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.fixtures import anthropic
from tests.wire.fixtures.bedrock import (
    BEGUN,
    CACHED,
    CLAUDE,
    CLAUDE_STREAM,
    STREAM,
    chunk,
    chunks,
    ended,
    events,
    metrics,
    text_block,
    tool_block,
    usage,
)
from tests.wire.fixtures.eventstream import error, event, exception, frame
from tests.wire.strategies import chunked, cuts, garbage
from tokenproxy.wire import notes
from tokenproxy.wire.bedrock import CONVERSE, INVOKE
from tokenproxy.wire.dialect import Dialect, Head, ResponseParser
from tokenproxy.wire.usage import Reading, ResponseFacts, UsagePart

LARGE = 9 * 1024 * 1024


def open_parser(dialect: Dialect, *, operation: str = "chat", status: int = 200) -> ResponseParser:
    head = Head(
        status=status,
        content_type=STREAM["content-type"],
        headers=STREAM,
        operation=operation,
        model=CLAUDE,
    )
    return dialect.open_response(head)


def read(dialect: Dialect, body: bytes) -> Reading:
    parser = open_parser(dialect)
    parser.feed(body)
    parser.close()
    parser.close()
    return parser.reading


def test_headers() -> None:
    facts = ResponseFacts(request_id="11-22", retry_after_s=3.0)
    for dialect in (INVOKE, CONVERSE):
        assert (
            dialect.read_response_headers({"x-amzn-requestid": "11-22", "retry-after": "3"})
            == facts
        )


@pytest.mark.parametrize("dialect", [INVOKE, CONVERSE])
@pytest.mark.parametrize(
    ("last", "word"),
    [
        (exception("serviceUnavailableException"), "serviceUnavailableException"),
        (error("InternalFailure", "It broke."), "InternalFailure"),
        (exception("a sentence of words"), "error"),
    ],
)
def test_what_ends_a_stream_before_its_time(dialect: Dialect, last: bytes, word: str) -> None:
    reading = read(dialect, last)
    assert (reading.error, reading.ended, reading.completeness) == (word, False, "none")


def test_a_large_event_costs_itself_only() -> None:
    large = events(("contentBlockDelta", {"delta": {"text": "x" * LARGE}}))
    reading = read(CONVERSE, events(BEGUN) + large + events(*ended(usage(12, 55))))
    assert reading.completeness == "final"
    assert reading.notes == (notes.EVENT_TOO_LARGE,)


@pytest.mark.parametrize("dialect", [INVOKE, CONVERSE])
def test_what_cannot_be_read_is_noted(dialect: Dialect) -> None:
    wire = {INVOKE: chunks(CLAUDE_STREAM, metrics(3, 500)), CONVERSE: events(*ended(CACHED))}
    body = wire[dialect]
    bad = bytearray(event("chunk", {"bytes": "e30="}))
    bad[-1] ^= 1
    for odd in (
        bytes(bad),
        event("chunk", [1]) + event("messageStart", "x"),
        event("chunk", {"bytes": "not base64!"}) + event("messageStart", [1]),
    ):
        reading = read(dialect, odd + body)
        assert reading.completeness == "final"
        assert reading.notes == (notes.EVENT_UNREADABLE,)


def test_events_that_nobody_knows_are_passed_over() -> None:
    odd = frame() + event("somethingNew", {"usage": 7})
    assert read(CONVERSE, odd + events(*ended(CACHED))).notes == ()
    assert read(INVOKE, odd + chunks(CLAUDE_STREAM)).notes == ()


@pytest.mark.parametrize(
    ("dialect", "begun", "content"),
    [
        (CONVERSE, events(BEGUN), events(*text_block())),
        (INVOKE, chunks(anthropic.start(anthropic.counts(12, 1))), chunks(anthropic.text("a"))),
    ],
)
def test_the_first_content_is_seen_at_once(dialect: Dialect, begun: bytes, content: bytes) -> None:
    parser = open_parser(dialect)
    seen = [(parser.feed(body), parser.reading.content_started) for body in (begun, content)]
    assert seen == [(True, False), (False, True)]


def test_an_error_among_anthropics_events() -> None:
    reading = read(INVOKE, chunks(anthropic.start(anthropic.counts(12, 1)) + anthropic.OVERLOADED))
    assert (reading.error, reading.completeness) == ("overloaded_error", "partial")


def test_a_llama_chunk_is_news_only_when_new_kinds_of_counts_come() -> None:
    parser = open_parser(INVOKE)
    first = chunk({"generation": "a", "prompt_token_count": 9, "generation_token_count": 1})
    assert parser.feed(first) is True
    assert parser.feed(chunk({"generation": "b", "generation_token_count": 2})) is False
    assert parser.reading.parts[0].output_tokens == 2


@st.composite
def streams(draw: st.DrawFn) -> tuple[Dialect, bytes]:
    last = draw(st.sampled_from([exception("throttlingException"), error("X"), b"", frame()]))
    if draw(st.booleans()):
        metered = draw(st.sampled_from([metrics(3, 500), metrics(9, 9), None]))
        return INVOKE, chunks(CLAUDE_STREAM, metered) + last
    blocks = [each for each in (text_block(), tool_block("t", "Bash")) if draw(st.booleans())]
    counts = draw(st.sampled_from([CACHED, usage(1, 2), {}, {"inputTokens": "x"}]))
    named = [BEGUN, *(each for block in blocks for each in block), *ended(counts)]
    return CONVERSE, events(*named) + last


@pytest.mark.parametrize(
    ("stream", "notes_left"),
    [
        # A guardrail's own answer, and a gateway's that states no usage at its end.
        (anthropic.STOP, (notes.FINAL_USAGE_MISSING,)),
        (
            anthropic.start(anthropic.counts(12, 1)) + anthropic.delta(None) + anthropic.STOP,
            (notes.FINAL_USAGE_MISSING,),
        ),
    ],
)
def test_metrics_stand_in_for_a_usage_that_did_not_come(
    stream: bytes, notes_left: tuple[str, ...]
) -> None:
    reading = read(INVOKE, chunks(stream, metrics(12, 55)))
    assert reading.parts == (UsagePart(uncached_input_tokens=12, output_tokens=55),)
    assert (reading.completeness, reading.notes) == ("final", notes_left)


def test_metrics_do_not_stand_in_for_what_is_known() -> None:
    stated = anthropic.delta(anthropic.counts(12, 55)) + anthropic.STOP
    reading = read(
        INVOKE, chunks(anthropic.start(anthropic.counts(12, 1)) + stated, metrics(12, 7))
    )
    assert reading.parts[0].output_tokens == 55
    assert reading.notes == (notes.METRICS_MISMATCH,)


@given(made=streams(), data=st.data())
def test_any_chunking_reads_the_same(made: tuple[Dialect, bytes], data: st.DataObject) -> None:
    dialect, body = made
    parser = open_parser(dialect)
    for piece in chunked(body, data.draw(cuts(len(body)))):
        parser.feed(piece)
    parser.close()
    assert parser.reading == read(dialect, body)
    assert msgspec.json.decode(msgspec.json.encode(parser.reading), type=Reading) == parser.reading


@given(made=streams(), data=st.data())
def test_a_cut_stream_never_says_more_than_the_whole(
    made: tuple[Dialect, bytes], data: st.DataObject
) -> None:
    dialect, body = made
    whole = read(dialect, body)
    cut = read(dialect, body[: data.draw(st.integers(0, len(body)))])
    if cut.completeness == "final":
        assert cut.parts == whole.parts
    for part, full in zip(cut.parts, whole.parts, strict=False):
        assert (part.output_tokens or 0) <= (full.output_tokens or 0)


ODD = st.one_of(
    garbage(),
    garbage().map(lambda body: event("chunk", {"bytes": body.decode("latin-1")})),
    garbage().map(lambda body: frame((), body)),
    st.sampled_from([chunk([1]), chunk({"usage": []}), chunk({"choices": [{}], "type": "x"})]),
)


@given(
    pieces=st.lists(ODD, max_size=5),
    dialect=st.sampled_from([INVOKE, CONVERSE]),
    before=st.sampled_from([b"", chunks(CLAUDE_STREAM), events(BEGUN, *text_block())]),
    status=st.sampled_from([200, 302, 400, 599]),
    operation=st.sampled_from(["chat", "count_tokens"]),
    data=st.data(),
)
def test_garbage_never_raises(
    *,
    pieces: list[bytes],
    dialect: Dialect,
    before: bytes,
    status: int,
    operation: str,
    data: st.DataObject,
) -> None:
    body = before + b"".join(pieces)
    parser = open_parser(dialect, operation=operation, status=status)
    for piece in chunked(body, data.draw(cuts(len(body)))):
        parser.feed(piece)
    parser.close()
    parser.close()
    reading = parser.reading
    assert msgspec.json.decode(msgspec.json.encode(reading), type=Reading) == reading
    for part in reading.parts:
        assert (part.uncached_input_tokens or 0) >= 0
        assert (part.output_tokens or 0) >= 0


def test_an_event_of_a_type_that_nobody_knows_yet_is_passed_over() -> None:
    new = anthropic.event("something_new", {"type": "something_new"})
    whole = anthropic.PLAIN.replace(anthropic.PING, new)
    assert whole != anthropic.PLAIN
    reading = read(INVOKE, chunks(whole))
    assert reading == read(INVOKE, chunks(anthropic.PLAIN))
    assert (reading.completeness, reading.ended) == ("final", True)
