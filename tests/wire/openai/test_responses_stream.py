"""The Responses API's streams: what is read of which event, however it arrives."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.fixtures.encodings import ENCODERS
from tests.wire.fixtures.openai_responses import (
    CALL,
    ID,
    MODEL,
    SSE,
    STREAM,
    body,
    done,
    ending,
    event,
    item,
    open_parser,
    opening,
    read,
    response,
    text,
    usage,
)
from tests.wire.strategies import chunked, cuts, garbage
from tokenproxy.wire import notes
from tokenproxy.wire.decoding import open_decoder
from tokenproxy.wire.openai.responses_stream import SKIPPED
from tokenproxy.wire.usage import Reading, ToolUse

STREAMED = SSE["content-type"]
NUMBER = st.integers(0, 200_000)


def stream(sent: bytes, *, step: int | None = None) -> Reading:
    return read(sent, step=step, content_type=STREAMED)


def test_the_beginning_names_model_and_id() -> None:
    parser = open_parser(content_type=STREAMED)
    assert parser.feed(opening()) is True
    assert (parser.reading.response_id, parser.reading.model) == (ID, MODEL)
    assert (parser.reading.completeness, parser.reading.content_started) == ("none", False)


@pytest.mark.parametrize(
    ("sent", "started"),
    [
        (b"", False),
        (event("response.queued", response=response("queued")), False),
        (event("response.compaction.compacting", output_index=0), False),
        (event("response.output_item.added", item=CALL), True),
        (event("response.output_text.delta", delta="x"), True),
        (event("response.something_new.delta", delta="x"), True),
        (event("keepalive"), False),
    ],
)
def test_content_starts_with_the_first_item_or_delta(sent: bytes, *, started: bool) -> None:
    parser = open_parser(content_type=STREAMED)
    parser.feed(opening() + sent)
    assert parser.reading.content_started is started


def test_deltas_are_passed_over_unread() -> None:
    broken = b"".join(b"event: %s\ndata: {no json %s\n\n" % (name, b"x" * 99) for name in SKIPPED)
    assert stream(opening() + broken + ending(done(usage(5, 6)))).notes == ()


def test_events_without_names_are_known_by_their_type() -> None:
    nameless = b"".join(
        line + b"\n" for line in STREAM.split(b"\n") if not line.startswith(b"event:")
    )
    assert stream(nameless) == stream(STREAM)


def test_events_that_a_gateway_calls_messages_are_known_by_their_type() -> None:
    renamed = b"".join(
        (b"event: message" if line.startswith(b"event:") else line) + b"\n"
        for line in STREAM.split(b"\n")
    )
    assert stream(renamed) == stream(STREAM)


def test_done_is_an_end() -> None:
    last = event("response.done", response=done(usage(5, 6)))
    assert stream(opening() + last) == stream(opening() + ending(done(usage(5, 6))))


@pytest.mark.parametrize(
    ("again", "error"),
    [
        (ending(done(None)), None),
        (event("response.done", response={}), None),
        (event("response.failed", response=response("failed")), "server_error"),
        (b"event: response.completed\ndata: {\n\n", None),
    ],
)
def test_a_second_end_takes_no_usage_back(again: bytes, error: str | None) -> None:
    once = stream(opening() + ending(done(usage(5, 6))))
    twice = stream(opening() + ending(done(usage(5, 6))) + again)
    assert (twice.parts, twice.usage, twice.completeness) == (once.parts, once.usage, "final")
    assert twice.error == error


def test_the_last_event_has_the_last_word() -> None:
    reading = stream(
        opening(model="gpt-5.6-router", service_tier="auto")
        + ending(done(usage(5, 6), service_tier="priority"))
    )
    assert (reading.model, reading.parts[0].service_tier) == (MODEL, "priority")
    assert reading.usage == [usage(5, 6)]


def test_an_item_that_comes_twice_asks_once() -> None:
    reading = stream(opening() + item(CALL) + ending(done(usage(5, 6), CALL)))
    assert reading.tool_uses == (ToolUse("call_1", "shell"),)


def test_a_call_that_was_cut_asks_for_nothing() -> None:
    added = event("response.output_item.added", item=CALL)
    reading = stream(opening() + added)
    assert (reading.tool_uses, reading.ended) == ((), False)


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        ({"error": {"code": "server_error", "message": "x"}}, "server_error"),
        ({"code": "rate_limit_exceeded", "message": "x"}, "rate_limit_exceeded"),
        ({"error": {"type": "invalid_request_error", "code": None}}, "invalid_request_error"),
        ({}, "server_error"),
    ],
)
def test_an_error_event(sent: dict[str, Any], error: str) -> None:
    reading = stream(opening() + event("error", **sent))
    assert (reading.error, reading.ended, reading.completeness) == (error, False, "none")


def test_a_failure_may_state_usage() -> None:
    failed = response("failed", error={"code": "bio_policy"}, usage=usage(100, 3))
    reading = stream(opening() + ending(failed, "failed"))
    assert (reading.error, reading.stop_reason, reading.completeness) == (
        "bio_policy", "failed", "final",
    )  # fmt: skip


def test_a_cancelled_one_wants_no_usage() -> None:
    reading = stream(opening() + ending(response("cancelled"), "cancelled"))
    assert (reading.stop_reason, reading.error, reading.notes) == ("cancelled", None, ())


def test_an_end_without_usage_says_so() -> None:
    reading = stream(opening() + ending(done(None)))
    assert (reading.completeness, reading.notes) == ("none", (notes.USAGE_ABSENT,))


def test_an_end_that_cannot_be_read_is_an_end() -> None:
    reading = stream(opening() + b"event: response.completed\ndata: {oops\n\n")
    assert (reading.ended, reading.stop_reason) == (True, "completed")
    assert reading.notes == (notes.EVENT_UNREADABLE, notes.USAGE_ABSENT)


def test_a_background_response_goes_on_when_its_stream_is_cut() -> None:
    assert stream(opening(background=True) + text("a")).deferred is True
    assert stream(opening() + text("a")).deferred is False
    whole = opening(background=True) + ending(done(usage(5, 6), background=True))
    assert stream(whole).deferred is False


def test_a_resumed_stream_reads_like_the_first() -> None:
    """``GET ...?stream=true&starting_after=n`` begins in the middle."""
    reading = stream(text("ing.") + ending(done(usage(1200, 300))))
    assert (reading.response_id, reading.parts[0].output_tokens) == (ID, 300)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    used = usage(draw(NUMBER), draw(NUMBER), read=draw(NUMBER), reasoning=draw(NUMBER))
    middle = st.sampled_from([text("a\u2028b", "c"), item(CALL), event("response.new.thing")])
    kind = draw(st.sampled_from(["completed", "incomplete", "failed"]))
    end = draw(st.sampled_from([ending(done(used, CALL), kind), event("error", code="x"), b""]))
    line_end = draw(st.sampled_from([b"\n", b"\r\n", b"\r"]))
    whole = b"".join([opening(), *draw(st.lists(middle, max_size=4)), end])
    return whole.replace(b"\n", line_end)


@given(sent=streams(), name=st.sampled_from(list(ENCODERS)), draw=st.data())
def test_any_chunking_of_any_encoding_reads_the_same(
    sent: bytes, name: str, draw: st.DataObject
) -> None:
    encoding, encode = ENCODERS[name]
    encoded = encode(sent)
    decoder = open_decoder(encoding)
    parser = open_parser(content_type=STREAMED)
    for chunk in chunked(encoded, draw.draw(cuts(len(encoded)))):
        parser.feed(decoder.feed(chunk))
    parser.close()
    assert parser.reading == stream(sent)


@given(sent=streams(), draw=st.data())
def test_a_cut_stream_never_says_more_than_the_whole(sent: bytes, draw: st.DataObject) -> None:
    cut, whole = stream(sent[: draw.draw(st.integers(0, len(sent)))]), stream(sent)
    assert cut.parts in ((), whole.parts)
    assert set(cut.tool_uses) <= set(whole.tool_uses)
    assert cut.ended <= whole.ended


@given(
    sent=garbage(),
    before=st.sampled_from([b"", opening(), opening() + text("a")]),
    status=st.sampled_from([200, 204, 404, 429, 999]),
    content_type=st.sampled_from(["", STREAMED, "application/json", "\xff;;"]),
    operation=st.sampled_from(["responses", "compact", "count_tokens", ""]),
    draw=st.data(),
)
def test_garbage_never_raises(
    *, sent: bytes, before: bytes, status: int, content_type: str, operation: str,
    draw: st.DataObject,
) -> None:  # fmt: skip
    parser = open_parser(status=status, content_type=content_type, operation=operation)
    sent = before + sent
    for chunk in chunked(sent, draw.draw(cuts(len(sent)))):
        parser.feed(chunk)
    parser.close()
    parser.close()
    assert parser.take_items() == []
    stored = msgspec.json.encode(parser.reading)
    assert msgspec.json.decode(stored, type=Reading) == parser.reading


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


@given(key=st.sampled_from([*done(None), "tool_usage", "tools"]), value=JSON, used=NUMBER)
def test_one_wrong_field_costs_itself(key: str, value: Any, used: int) -> None:
    """A field of any value never costs the usage beside it."""
    end = {**done(usage(used, 6)), **({} if key == "usage" else {key: value})}
    parser = open_parser(content_type=STREAMED)
    parser.feed(opening() + b"event: response.completed\ndata: ")
    parser.feed(body({"type": "response.completed", "response": end}))
    parser.feed(b"\n\n")
    parser.close()
    assert parser.reading.parts[0].uncached_input_tokens == used
    assert parser.reading.ended is True
