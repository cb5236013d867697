"""What holds for any bytes in any chunks: the promises that everything above the wire rests on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.fixtures.anthropic import (
    CHEAP,
    MODEL,
    OVERLOADED,
    PING,
    STOP,
    STRICT,
    block,
    counts,
    delta,
    entry,
    event,
    fallback,
    message,
    open_parser,
    read_stream,
    start,
    text,
)
from tests.wire.fixtures.encodings import ENCODERS
from tests.wire.strategies import chunked, cuts, garbage
from tokenproxy.wire.anthropic.reading import MessageReading
from tokenproxy.wire.decoding import open_decoder
from tokenproxy.wire.usage import Reading

NUMBER = st.integers(0, 200_000)
MODELS = st.sampled_from([MODEL, CHEAP, STRICT])


@st.composite
def usages(draw: st.DrawFn) -> dict[str, Any]:
    five, hour = draw(NUMBER), draw(NUMBER)
    split = {"ephemeral_5m_input_tokens": five, "ephemeral_1h_input_tokens": hour}
    usage = counts(draw(NUMBER), draw(NUMBER), read=draw(NUMBER), created=five + hour)
    if draw(st.booleans()):
        usage["cache_creation"] = split
    if draw(st.booleans()):
        kinds = st.sampled_from(["message", "compaction", "advisor_message", "fallback_message"])
        usage["iterations"] = [
            entry(draw(kinds), draw(NUMBER), draw(NUMBER), draw(MODELS))
            for _ in range(draw(st.integers(0, 3)))
        ]
    return usage


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """An orderly stream: begun, content with pings, one or more deltas, ended or failed."""
    content = st.sampled_from(
        [
            PING,
            text("a\u2028b", "c"),
            block("tool_use", id="toolu_1", name="Bash", input={}),
            fallback(STRICT, CHEAP, trigger={"type": "refusal", "category": "cyber"}),
            event("something_new", {"type": "something_new"}),
        ]
    )
    middle = draw(st.lists(content, max_size=4))
    deltas = [delta(draw(usages()), stop_reason=None) for _ in range(draw(st.integers(0, 2)))]
    last = delta(draw(usages()))
    end = draw(st.sampled_from([STOP, OVERLOADED, b""]))
    line_end = draw(st.sampled_from([b"\n", b"\r\n", b"\r"]))
    body = b"".join([start(draw(usages())), *middle, *deltas, last, end])
    return body.replace(b"\n", line_end)


@given(body=streams(), name=st.sampled_from(list(ENCODERS)), data=st.data())
def test_any_chunking_of_any_encoding_gives_the_same_reading(
    body: bytes, name: str, data: st.DataObject
) -> None:
    encoding, encode = ENCODERS[name]
    encoded = encode(body)
    decoder = open_decoder(encoding)
    parser = open_parser(content_type="text/event-stream")
    for chunk in chunked(encoded, data.draw(cuts(len(encoded)))):
        parser.feed(decoder.feed(chunk))
    parser.close()
    assert parser.reading == read_stream(body)
    assert parser.reading.completeness == "final"


@given(usage=usages(), model=MODELS, name=st.sampled_from(list(ENCODERS)), data=st.data())
def test_a_document_reads_the_same_in_any_chunks(
    usage: dict[str, Any], model: str, name: str, data: st.DataObject
) -> None:
    encoding, encode = ENCODERS[name]
    encoded = encode(json.dumps(message(usage, model=model)).encode())
    decoder = open_decoder(encoding)
    parser = open_parser(content_type="application/json")
    for chunk in chunked(encoded, data.draw(cuts(len(encoded)))):
        parser.feed(decoder.feed(chunk))
    parser.close()
    assert parser.reading.usage == [usage]
    assert parser.reading.completeness == "final"


@given(uncached=NUMBER, output=st.integers(10, 5000), read=NUMBER, data=st.data())
def test_a_cut_stream_never_says_more_than_the_whole(
    uncached: int, output: int, read: int, data: st.DataObject
) -> None:
    """Wherever it is cut, what is known is a lower bound and is called final only if it is."""
    body = (
        start(counts(uncached, 1, read=read)) + text("ab") + delta({"output_tokens": output}) + STOP
    )
    cut = read_stream(body[: data.draw(st.integers(0, len(body)))])
    whole = read_stream(body)
    for part in cut.parts:
        assert part.uncached_input_tokens == uncached
        assert part.cache_read_input_tokens == read
        assert part.output_tokens in (1, output)
    if cut.completeness == "final":
        assert cut.parts == whole.parts
    assert cut.ended is False or cut == whole


@given(
    body=garbage(),
    before=st.sampled_from([b"", start(counts(25, 8)), start(counts(25, 8)) + text("a")]),
    status=st.sampled_from([200, 204, 302, 400, 413, 529, 999]),
    content_type=st.sampled_from(["", "text/event-stream", "application/json", "\xff;;"]),
    operation=st.sampled_from(["chat", "count_tokens", "batch_results", ""]),
    data=st.data(),
)
def test_garbage_never_raises(
    *,
    body: bytes,
    before: bytes,
    status: int,
    content_type: str,
    operation: str,
    data: st.DataObject,
) -> None:
    parser = open_parser(status=status, content_type=content_type, operation=operation)
    body = before + body
    for chunk in chunked(body, data.draw(cuts(len(body)))):
        parser.feed(chunk)
    parser.close()
    parser.close()
    for reading in [parser.reading, *parser.take_items()]:
        stored = msgspec.json.encode(reading)
        assert msgspec.json.decode(stored, type=Reading) == reading
        for part in reading.parts:
            for number in (part.uncached_input_tokens, part.output_tokens):
                assert number is None or number >= 0


@given(streams())
def test_a_reading_survives_the_journal(body: bytes) -> None:
    reading = read_stream(body)
    assert msgspec.json.decode(msgspec.json.encode(reading), type=Reading) == reading


@given(body=streams(), data=st.data())
def test_a_bill_is_made_anew_whenever_it_must_be(body: bytes, data: st.DataObject) -> None:
    """Settling makes no second bill of what has not changed: to the same result."""
    parser = open_parser(content_type="text/event-stream")
    anew = open_parser(content_type="text/event-stream")
    for chunk in chunked(body, data.draw(cuts(len(body)))):
        with always_billed():
            anew.feed(chunk)
        parser.feed(chunk)
        assert parser.reading == anew.reading
    with always_billed():
        anew.close()
    parser.close()
    assert parser.reading == anew.reading


@contextmanager
def always_billed() -> Iterator[None]:
    settle = MessageReading.settle

    def forgetful(self: MessageReading) -> None:
        self._billed = False
        settle(self)

    with patch.object(MessageReading, "settle", forgetful):
        yield
