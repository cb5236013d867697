"""The known ways to count wrong, one test each, by their numbers in the project's list of traps."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import zstandard

from tests.wire.fixtures.anthropic import (
    CHEAP,
    MODEL,
    OVERLOADED,
    PING,
    PLAIN,
    SPLIT,
    STOP,
    STRICT,
    block,
    counts,
    delta,
    entry,
    fallback,
    open_parser,
    read_json,
    read_stream,
    run,
    start,
    text,
)
from tests.wire.fixtures.encodings import ENCODERS
from tokenproxy.wire import notes
from tokenproxy.wire.anthropic.messages import MESSAGES
from tokenproxy.wire.bodyreader import BodyReader
from tokenproxy.wire.decoding import open_decoder
from tokenproxy.wire.dialect import Head
from tokenproxy.wire.routes import match
from tokenproxy.wire.usage import Reading


def total(reading: Reading, field: str) -> int:
    return sum(getattr(part, field) or 0 for part in reading.parts)


def test_t01_delta_overrides_start() -> None:
    """message_delta's counts are totals, not increments."""
    usage = counts(12, 55, read=15_000, created=2048)
    reading = read_stream(
        start({**usage, "output_tokens": 3, "cache_creation": SPLIT}) + delta(usage) + STOP
    )
    assert total(reading, "uncached_input_tokens") == 12
    assert total(reading, "cache_read_input_tokens") == 15_000
    assert total(reading, "cache_creation_input_tokens") == 2048
    assert total(reading, "output_tokens") == 55


def test_t02_input_is_not_the_starts_alone() -> None:
    """A web search adds to the input after the message began."""
    reading = read_stream(
        start(counts(2679, 3))
        + delta(
            counts(10_682, 510, server_tool_use={"web_search_requests": 1}),
        )
        + STOP
    )
    assert total(reading, "uncached_input_tokens") == 10_682
    assert reading.parts[0].server_tool_use == {"web_search_requests": 1}


@pytest.mark.parametrize(
    ("update", "uncached", "said"),
    [
        ({"output_tokens": 9}, 25, ()),
        ({"output_tokens": 9, "input_tokens": None}, 25, ()),
        ({"output_tokens": 9, "input_tokens": 0}, 0, (notes.INPUT_ZEROED,)),
    ],
)
def test_t03_null_keeps_and_zero_overrides(
    update: dict[str, int | None], uncached: int, said: tuple[str, ...]
) -> None:
    """What the delta does not state stays; an explicit 0 is stated, and looked at twice."""
    reading = read_stream(start(counts(25, 1, read=7)) + delta(update) + STOP)
    assert reading.parts[0].uncached_input_tokens == uncached
    assert reading.parts[0].cache_read_input_tokens == 7
    assert reading.notes == said


@pytest.mark.parametrize("update", [{}, {"input_tokens": None}, {"input_tokens": 0}])
def test_t03_a_gateway_that_knows_no_input_does_not_take_it_back(update: dict[str, Any]) -> None:
    parser = open_parser(content_type="text/event-stream", first_party=False)
    body = start(counts(25, 1, read=7)) + delta({"output_tokens": 9, **update}) + STOP
    reading = run(parser, body)
    assert reading.parts[0].uncached_input_tokens == 25
    assert reading.completeness == "final"
    assert reading.notes == ((notes.INPUT_ZERO_IGNORED,) if update.get("input_tokens") == 0 else ())
    assert reading.usage[1] == {"output_tokens": 9, **update}


@pytest.mark.parametrize(
    ("begun", "update", "counted"),
    [
        # It knows nothing of the cache either.
        (counts(25, 1, read=7, created=3), counts(0, 9), (25, 7, 3, 9)),
        (counts(25, 1, read=7), counts(25, 9), (25, 7, 0, 9)),
        # An estimate at the start turns out to be all in the cache.
        (counts(15_000, 1), counts(0, 9, read=15_010), (0, 15_010, 0, 9)),
        (counts(25, 1, read=7), counts(0, 9, read=40), (0, 40, 0, 9)),
        (counts(0, 0), counts(25, 9, read=7), (25, 7, 0, 9)),
    ],
)
def test_t03_a_gateways_zero_is_believed_if_nothing_is_lost(
    begun: dict[str, Any], update: dict[str, Any], counted: tuple[int, ...]
) -> None:
    parser = open_parser(content_type="text/event-stream", first_party=False)
    [part] = run(parser, start(begun) + text("a") + delta(update) + STOP).parts
    assert counted == (
        part.uncached_input_tokens,
        part.cache_read_input_tokens,
        part.cache_creation_input_tokens,
        part.output_tokens,
    )


def test_t03_a_gateways_last_word_is_not_its_zero() -> None:
    parser = open_parser(content_type="text/event-stream", first_party=False)
    body = start(counts(25, 1)) + delta({"output_tokens": 55}) + delta({"output_tokens": 0}) + STOP
    reading = run(parser, body)
    assert reading.parts[0].output_tokens == 55
    assert reading.notes == (notes.INPUT_ZERO_IGNORED,)


def test_t03_a_model_that_answers_for_another_has_a_cache_of_its_own() -> None:
    parser = open_parser(content_type="text/event-stream", first_party=False)
    body = start(counts(25, 1, read=7), model=STRICT) + fallback(STRICT, CHEAP)
    [part] = run(parser, body + delta(counts(20, 9, read=0)) + STOP).parts
    assert (part.uncached_input_tokens, part.cache_read_input_tokens) == (20, 0)


@pytest.mark.parametrize(
    ("provider", "uncached"),
    [("anthropic", 0), ("gcp.vertex_ai", 0), ("deepseek", 25), ("openrouter", 25), (None, 0)],
)
def test_t03_who_speaks_as_claude_does_is_not_claude(provider: str | None, uncached: int) -> None:
    head = Head(status=200, content_type="text/event-stream", provider=provider)
    body = start(counts(25, 1)) + delta({"output_tokens": 9, "input_tokens": 0}) + STOP
    reading = run(MESSAGES.open_response(head), body)
    assert reading.parts[0].uncached_input_tokens == uncached


def test_t03_what_only_the_start_says_survives() -> None:
    usage = counts(
        12,
        1,
        created=2048,
        cache_creation=SPLIT,
        service_tier="priority",
        speed="fast",
        inference_geo="us",
    )
    [part] = read_stream(start(usage) + delta(counts(12, 55, created=2048)) + STOP).parts
    assert (part.service_tier, part.speed, part.inference_geo) == ("priority", "fast", "us")
    assert (part.cache_creation_5m_input_tokens, part.cache_creation_1h_input_tokens) == (2000, 48)


def test_t04_the_placeholder_is_not_the_output() -> None:
    """The first output_tokens of a message is a placeholder; the last counts."""
    reading = read_stream(
        start(counts(12, 1))
        + delta({"output_tokens": 40}, stop_reason=None)
        + delta({"output_tokens": 55})
        + STOP
    )
    assert total(reading, "output_tokens") == 55


def test_t04_a_final_count_below_the_placeholder_holds() -> None:
    reading = read_stream(start(counts(12, 8)) + text("Hi") + delta({"output_tokens": 3}) + STOP)
    assert total(reading, "output_tokens") == 3
    assert reading.completeness == "final"


def test_t05_a_message_of_many_blocks_counts_once() -> None:
    """Transcripts repeat a message's usage with each block of it; the wire tells it once."""
    blocks = (
        block("thinking", 0, thinking="")
        + block("text", 1, text="")
        + block("tool_use", 2, id="toolu_1", name="Bash", input={})
    )
    begun = start(counts(12, 1, read=15_000, created=2048))
    streamed = read_stream(begun + blocks + text("a", "b") + delta({"output_tokens": 55}) + STOP)
    whole = read_json(
        {
            "id": "msg_01",
            "type": "message",
            "model": MODEL,
            "content": [{"type": "text", "text": each} for each in "abc"],
            "usage": counts(12, 55, read=15_000, created=2048),
        }
    )
    for reading in (streamed, whole):
        assert [
            (part.uncached_input_tokens, part.cache_read_input_tokens, part.output_tokens)
            for part in reading.parts
        ] == [(12, 15_000, 55)]
        assert total(reading, "cache_creation_input_tokens") == 2048
        assert reading.response_id == "msg_01"


def test_t05_a_message_that_begins_twice_counts_once() -> None:
    """By the same id: it is the same message, and that it began twice is said."""
    begun = start(counts(12, 1, read=15_000, created=2048))
    for between in (b"", block("text", text="")):
        reading = read_stream(begun + between + begun + delta({"output_tokens": 55}) + STOP)
        assert [
            (part.uncached_input_tokens, part.cache_read_input_tokens, part.output_tokens)
            for part in reading.parts
        ] == [(12, 15_000, 55)]
        assert total(reading, "cache_creation_input_tokens") == 2048
        assert (reading.response_id, reading.completeness) == ("msg_01", "final")
        assert reading.notes[:1] == (notes.REPEATED_START,)


@pytest.mark.parametrize("streamed", [True, False])
def test_t06_every_iteration_is_a_part(streamed: bool) -> None:
    usage = counts(
        23_000,
        1000,
        iterations=[
            entry("compaction", 180_000, 3500),
            entry("message", 20_000, 400),
            entry("advisor_message", 823, 1612, STRICT),
            entry("message", 3000, 600),
        ],
    )
    if streamed:
        reading = read_stream(start(counts(20_000, 1)) + text("…") + delta(usage) + STOP)
    else:
        reading = read_json({"id": "msg_01", "type": "message", "model": MODEL, "usage": usage})
    assert [(part.role, part.model) for part in reading.parts] == [
        ("compaction", None),
        ("main", None),
        ("advisor", STRICT),
    ]
    assert total(reading, "uncached_input_tokens") == 180_000 + 23_000 + 823
    assert total(reading, "output_tokens") == 3500 + 1000 + 1612
    assert reading.notes == ()
    assert reading.model == MODEL


def test_t07_a_fallback_is_the_serving_models() -> None:
    """By the iterations if they came, by the fallback block if the stream was cut before."""
    begun = start(counts(28, 5), model=STRICT) + text("Hi") + fallback(STRICT, CHEAP) + text("!")
    iterations = [entry("message", 28, 106, STRICT), entry("fallback_message", 31, 547, CHEAP)]
    whole = read_stream(begun + delta(counts(31, 547, iterations=iterations)) + STOP)
    assert [part.model for part in whole.parts] == [STRICT, CHEAP]
    cut = read_stream(begun)
    assert [(part.role, part.model) for part in cut.parts] == [("fallback_served", CHEAP)]
    for reading in (whole, cut):
        assert (reading.model, reading.fallback) == (CHEAP, True)
    sticky = read_stream(
        start(counts(31, 1), model=CHEAP)
        + text("!")
        + delta(counts(31, 547, iterations=[entry("fallback_message", 31, 547, CHEAP)]))
        + STOP
    )
    assert [(part.role, part.model) for part in sticky.parts] == [("fallback_served", CHEAP)]
    assert sticky.fallback


def test_t08_a_decline_before_output_is_shown_but_not_billed() -> None:
    iterations = [entry("message", 535, 0, STRICT), entry("fallback_message", 412, 264, CHEAP)]
    reading = read_stream(
        start(counts(412, 1), model=CHEAP)
        + fallback(STRICT, CHEAP, trigger={"type": "refusal", "category": "cyber"})
        + text("Hi!")
        + delta(counts(412, 264, iterations=iterations))
        + STOP
    )
    billed = [part for part in reading.parts if part.billable is not False]
    assert [(part.model, part.uncached_input_tokens) for part in billed] == [(CHEAP, 412)]
    assert [part.uncached_input_tokens for part in reading.parts if part not in billed] == [535]


def test_t08_a_decline_in_mid_output_is_billed() -> None:
    iterations = [entry("message", 535, 40, STRICT), entry("fallback_message", 412, 264, CHEAP)]
    reading = read_stream(
        start(counts(535, 1), model=STRICT)
        + text("Hm")
        + fallback(STRICT, CHEAP, trigger={"type": "refusal", "category": "cyber"})
        + text("Hi!")
        + delta(counts(412, 264, iterations=iterations))
        + STOP
    )
    assert [part.billable for part in reading.parts] == [None, None]


def test_t09_an_advisor_in_the_top_level_is_not_counted_twice() -> None:
    iterations = [entry("message", 412, 89), entry("advisor_message", 823, 1612, STRICT)]
    reading = read_stream(
        start(counts(412, 1)) + text("…") + delta(counts(1235, 1701, iterations=iterations)) + STOP
    )
    assert [
        (part.role, part.uncached_input_tokens, part.output_tokens) for part in reading.parts
    ] == [
        ("main", 412, 89),
        ("advisor", 823, 1612),
    ]
    assert reading.notes == (notes.ADVISOR_IN_TOP_LEVEL,)


@pytest.mark.parametrize("end", [b"", OVERLOADED, b"event: content_block_delta\ndata: {"])
def test_t10_an_aborted_stream_is_a_lower_bound(end: bytes) -> None:
    """Input is known, output at least the placeholder; and it is known while the stream runs."""
    parser = open_parser(content_type="text/event-stream")
    assert parser.feed(start(counts(25, 8, read=15_000)))
    before_the_end = parser.reading.parts
    parser.feed(text("some", "words") + end)
    parser.close()
    assert parser.reading.parts == before_the_end
    [part] = parser.reading.parts
    assert (part.uncached_input_tokens, part.cache_read_input_tokens) == (25, 15_000)
    assert part.output_tokens == 8
    assert (parser.reading.completeness, parser.reading.ended) == ("partial", False)


@pytest.mark.parametrize(("encoding", "encode"), ENCODERS.values(), ids=list(ENCODERS))
def test_t11_compressed_chunks_are_one_stream(
    encoding: str, encode: Callable[[bytes], bytes]
) -> None:
    body = encode(PLAIN)
    decoder = open_decoder(encoding)
    parser = open_parser(content_type="text/event-stream")
    for at in range(0, len(body), 10):
        parser.feed(decoder.feed(body[at : at + 10]))
    parser.close()
    assert parser.reading == read_stream(PLAIN)


def test_t11_each_event_is_known_when_its_chunk_came() -> None:
    """A server that flushes after each event: nothing waits for the end of the gzip stream."""
    squeeze = zlib.compressobj(wbits=31)
    decoder = open_decoder("gzip")
    parser = open_parser(content_type="text/event-stream")
    known: list[tuple[bool, bool, str, bool]] = []
    for event in (
        start(counts(25, 8)),
        block("text", text=""),
        delta({"output_tokens": 9}),
        STOP,
    ):
        parser.feed(decoder.feed(squeeze.compress(event) + squeeze.flush(zlib.Z_SYNC_FLUSH)))
        now = parser.reading
        known.append((now.model == MODEL, now.content_started, now.completeness, now.ended))
    assert known == [
        (True, False, "partial", False),
        (True, True, "partial", False),
        (True, True, "final", False),
        (True, True, "final", True),
    ]


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [("zstd", zstandard.compress), ("gzip", gzip.compress), ("", lambda body: body)],
)
def test_t12_compressed_requests_are_read(encoding: str, encode: Callable[[bytes], bytes]) -> None:
    body = json.dumps({"model": MODEL, "stream": True, "messages": []}).encode()
    reader = BodyReader(encoding)
    reader.feed(encode(body))
    decoded = reader.take()
    assert decoded is not None
    facts = MESSAGES.read_request(decoded)
    assert (facts.model, facts.stream) == (MODEL, True)


@pytest.mark.parametrize(
    ("encoding", "encode"), [("zstd", zstandard.compress), ("gzip", gzip.compress)]
)
def test_t12_a_request_is_one_stream_however_it_is_cut(
    encoding: str, encode: Callable[[bytes], bytes]
) -> None:
    body = json.dumps({"model": MODEL, "stream": True, "messages": []}).encode()
    sent = encode(body)
    for step in (1, 7, len(sent)):
        reader = BodyReader(encoding)
        for at in range(0, len(sent), step):
            reader.feed(sent[at : at + step])
        assert reader.take() == body


def test_t13_a_key_cut_by_chunks_is_read() -> None:
    """In two, and in so many pieces that an event is cut more than once."""
    expected = read_stream(PLAIN)
    cuts = [[cut] for cut in range(len(PLAIN) + 1)]
    cuts += [list(range(0, len(PLAIN), size)) for size in (1, 2, 7, 40)]
    for places in cuts:
        parser = open_parser(content_type="text/event-stream")
        for begin, end in pairwise([0, *places, len(PLAIN)]):
            parser.feed(PLAIN[begin:end])
        parser.close()
        assert parser.reading == expected


def test_t23_counting_tokens_is_no_usage() -> None:
    route = match("anthropic", "POST", "/v1/messages/count_tokens?beta=true")
    assert route is not None
    assert route.kind == "count"
    reading = read_json(
        {"input_tokens": 2095, "context_management": {"original_input_tokens": 3000}},
        operation=route.operation,
    )
    assert (reading.parts, reading.usage, reading.completeness) == ((), [], "none")
    assert reading.ended


def test_t23_a_count_that_came_whole_lacks_nothing() -> None:
    """It is not a message whose usage is absent, nor one that it might be taken for."""
    for told in ({"input_tokens": 2095}, {"usage": counts(2095, 1), "type": "message"}):
        reading = read_json(told, operation="count_tokens")
        assert (reading.parts, reading.completeness, reading.notes) == ((), "none", ())


def test_t25_nothing_waits_for_what_comes_next() -> None:
    """Every event acts with its own last byte; a ping between events changes nothing."""
    parser = open_parser(content_type="text/event-stream")
    begun = start(counts(25, 8))
    assert parser.feed(begun[:-1]) is False
    assert parser.feed(begun[-1:]) is True
    parser.feed(PING[:9])
    parser.feed(PING[9:])
    assert not parser.reading.content_started
    opened = block("text", text="")
    parser.feed(opened[:-1])
    assert not parser.reading.content_started
    parser.feed(opened[-1:])
    assert parser.reading.content_started


def test_t25_nothing_waits_that_comes_byte_by_byte() -> None:
    parser = open_parser(content_type="text/event-stream")
    begun = start(counts(25, 8))
    told = [parser.feed(begun[at : at + 1]) for at in range(len(begun))]
    assert told == [False] * (len(begun) - 1) + [True]
