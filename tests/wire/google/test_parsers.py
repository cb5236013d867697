from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.fixtures.google import (
    FORGETFUL,
    QUOTA,
    STREAM,
    STREAMED,
    array,
    chunk,
    counts,
    document,
    error,
    open_parser,
    read,
    sse,
)
from tests.wire.strategies import chunked, cuts, garbage
from tokenproxy.wire import notes
from tokenproxy.wire.framing.document import DocumentParser
from tokenproxy.wire.framing.sniff import SniffingParser
from tokenproxy.wire.usage import Reading

BODIES = [
    sse(*STREAM),
    sse(*FORGETFUL),
    array(*STREAM),
    document(STREAM[-1]),
    document(QUOTA),
    document([QUOTA]),
    sse(*STREAM[:2]) + document(QUOTA) + b"\r\n",
    sse(*STREAM[:2]) + document([QUOTA]),
    array(*STREAM[:2], QUOTA),
    array(*STREAM)[:-9],
    sse(*STREAM)[:-9],
]
TYPES = ["text/event-stream", "application/json; charset=UTF-8", "", "text/html"]


@pytest.mark.parametrize("content_type", TYPES)
@pytest.mark.parametrize("body", [sse(*STREAM), array(*STREAM), document(STREAM[-1])])
def test_a_body_is_what_it_looks_like(body: bytes, content_type: str) -> None:
    reading = read(b" \r\n" + body, content_type)
    assert reading.parts == (STREAMED,)
    assert (reading.completeness, reading.ended) == ("final", True)


@given(st.data(), st.sampled_from(BODIES), st.sampled_from(TYPES))
def test_any_chunking_reads_the_same(data: st.DataObject, body: bytes, content_type: str) -> None:
    whole = read(body, content_type)
    parser = open_parser(content_type)
    for piece in chunked(body, data.draw(cuts(len(body)))):
        parser.feed(piece)
    parser.close()
    parser.close()
    assert parser.reading == whole


_PIECES = st.one_of(
    garbage(),
    st.sampled_from(
        [
            b"data: ",
            b"\r\n\r\n",
            b"\n{",
            b"\n[",
            b"]",
            b",",
            b'{"response":',
            b'{"candidates":[{"finishReason":"STOP"}]}',
            b'{"usageMetadata":{"promptTokenCount":8,"totalTokenCount":"9"}}',
            b'{"error":{"status":"INTERNAL"}}',
            b"[DONE]",
        ]
    ),
)


@given(
    st.lists(_PIECES, max_size=12),
    st.sampled_from(TYPES),
    st.sampled_from([(200, "generate_content"), (200, "count_tokens"), (503, "generate_content")]),
)
def test_garbage_never_raises(
    pieces: list[bytes], content_type: str, head: tuple[int, str]
) -> None:
    parser = open_parser(content_type, status=head[0], operation=head[1])
    for piece in pieces:
        parser.feed(piece)
    parser.close()
    whole = read(b"".join(pieces), content_type, status=head[0], operation=head[1])
    assert parser.reading == whole
    assert whole.completeness == "none" or whole.parts


@given(st.data(), st.sampled_from([sse(*STREAM), array(*STREAM)]))
def test_a_stream_cut_anywhere_is_never_more_than_the_whole(
    data: st.DataObject, body: bytes
) -> None:
    cut = read(body[: data.draw(st.integers(0, len(body)))])
    output = cut.parts[0].output_tokens if cut.parts else 0
    assert (output or 0) <= (STREAMED.output_tokens or 0)
    assert cut.error is None


def test_events_without_a_blank_line_at_the_end_are_whole() -> None:
    reading = read(sse(*STREAM).rstrip(), "text/event-stream")
    assert (reading.completeness, reading.ended) == ("final", True)


def test_events_of_several_lines_and_an_end_mark() -> None:
    printed = document(STREAM[-1]).replace(b"\n", b"\ndata: ")
    reading = read(b"data: " + printed + b"\n\ndata: [DONE]\n\n", "text/event-stream")
    assert (reading.parts, reading.ended, reading.notes) == ((STREAMED,), True, ())


def test_an_event_that_cannot_be_read() -> None:
    reading = read(b"data: {oops\n\n" + sse(*STREAM), "text/event-stream")
    assert reading.parts == (STREAMED,)
    assert reading.notes == (notes.EVENT_UNREADABLE,)


def test_an_error_as_an_event() -> None:
    reading = read(sse(STREAM[0], error(500, "INTERNAL")), "text/event-stream")
    assert (reading.error, reading.ended, reading.completeness) == ("internal", False, "partial")


def test_an_error_instead_of_events() -> None:
    for body in (document(QUOTA), document([QUOTA])):
        reading = read(body, "text/event-stream")
        assert (reading.error, reading.ended) == ("resource_exhausted", True)
        assert reading.notes == ("retry_delay:34.074824224s",)


def test_an_answer_that_follows_events_as_bare_json() -> None:
    reading = read(sse(*STREAM[:3]) + document(STREAM[3]), "text/event-stream")
    assert (reading.parts, reading.ended) == ((STREAMED,), True)


def test_braces_within_strings_are_no_bare_json() -> None:
    text = chunk({"content": {"parts": [{"text": "\n{\n["}]}}, usage=counts(8, 1, 9))
    body = b"data: " + json.dumps(text).encode() + b"\n\n" + sse(*STREAM)
    assert read(body, "text/event-stream").parts == (STREAMED,)


def test_an_empty_body() -> None:
    for content_type in TYPES:
        assert read(b"", content_type) == Reading()


def test_documents_that_cannot_be_read() -> None:
    for body in (b"<html>", b'{"candidates": [', b"7"):
        reading = read(body, "application/json")
        assert (reading.notes, reading.ended) == ((notes.BODY_UNREADABLE,), False)


def test_errors_by_status() -> None:
    reading = read(b"<html>Bad gateway", "text/html", status=502)
    assert (reading.error, reading.ended) == ("http_502", False)
    assert reading.notes == (notes.BODY_UNREADABLE,)
    assert read(b"", status=503) == Reading(error="http_503")
    assert read(document({}), status=500) == Reading(error="http_500", ended=True)


def test_counting_tokens() -> None:
    counted = document({"totalTokens": 31, "totalBillableCharacters": 96})
    assert read(counted, operation="count_tokens") == Reading(ended=True)
    assert read(counted[:-3], operation="count_tokens") == Reading(notes=(notes.BODY_UNREADABLE,))


@pytest.mark.parametrize(
    ("status", "operation", "parser"),
    [
        (200, "generate_content", SniffingParser),
        (400, "generate_content", DocumentParser),
        (200, "count_tokens", DocumentParser),
        (429, "count_tokens", DocumentParser),
    ],
)
def test_open_response(status: int, operation: str, parser: type) -> None:
    opened = open_parser(status=status, operation=operation)
    assert type(opened) is parser
    assert opened.take_items() == []


def test_a_large_picture_in_a_stream_costs_no_memory_and_no_count() -> None:
    picture = chunk(
        {"content": {"parts": [{"inlineData": {"data": "A" * 3_000_000}}]}, "finishReason": "STOP"},
        usage=counts(8, 1290, 1298),
    )
    for body in (sse(picture), array(picture), document(picture)):
        reading = read(body, step=65_536)
        assert reading.parts[0].output_tokens == 1290
        assert reading.completeness == "final"
