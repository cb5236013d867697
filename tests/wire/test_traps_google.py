"""The known ways to count Gemini's tokens wrong, by their numbers in the list of traps."""

from __future__ import annotations

import pytest

from tests.wire.fixtures.code_assist import wrapped
from tests.wire.fixtures.google import (
    FORGETFUL,
    STREAM,
    array,
    candidate,
    chunk,
    counts,
    document,
    open_parser,
    read,
    split,
    sse,
)
from tokenproxy.wire import notes
from tokenproxy.wire.routes import match
from tokenproxy.wire.usage import UsagePart


def test_t10_a_cut_stream_keeps_what_it_told() -> None:
    reading = read(sse(*STREAM[:2]) + b'data: {"candidates": [{"con', "text/event-stream")
    assert reading.parts[0].output_tokens == 61
    assert (reading.completeness, reading.ended) == ("partial", False)


def test_t13_usage_split_across_chunks() -> None:
    whole = read(sse(*STREAM), "text/event-stream")
    for step in (1, 2, 3, 7, 64):
        assert read(sse(*STREAM), "text/event-stream", step=step) == whole


@pytest.mark.parametrize("body", [sse(*STREAM), array(*STREAM)], ids=["events", "array"])
def test_t17_chunks_are_not_summed(body: bytes) -> None:
    """Every chunk tells the totals so far: 8 of input in each of four chunks are 8."""
    reading = read(body)
    assert reading.parts[0].uncached_input_tokens == 8
    assert reading.parts[0].output_tokens == 58 + 5
    assert reading.completeness == "final"


def test_t17_thoughts_beside_the_answer_are_added() -> None:
    usage = counts(5, 44, 235, thoughtsTokenCount=186)
    reading = read(document(chunk(candidate(stop="STOP"), usage=usage)))
    assert reading.parts[0].output_tokens == 230
    assert reading.parts[0].reasoning_output_tokens == 186


def test_t17_thoughts_inside_the_answer_are_not_added_again() -> None:
    usage = counts(5, 230, 235, thoughtsTokenCount=186)
    reading = read(document(chunk(candidate(stop="STOP"), usage=usage)))
    assert reading.parts[0].output_tokens == 230
    assert reading.parts[0].reasoning_output_tokens == 186


def test_t17_what_does_not_add_up_says_so() -> None:
    usage = counts(5, 44, 300, thoughtsTokenCount=186)
    reading = read(document(chunk(candidate(stop="STOP"), usage=usage)))
    assert reading.completeness == "partial"
    assert reading.notes == (notes.TOTAL_MISMATCH,)


@pytest.mark.parametrize("last", [{"cachedContentTokenCount": 0}, {}], ids=["zero", "absent"])
def test_t17_a_partial_last_chunk_does_not_erase_the_cache_hit(last: dict[str, int]) -> None:
    stream = (*FORGETFUL[:-1], chunk(candidate("", "STOP"), usage=counts(1500, 20, 1520, **last)))
    for body in (sse(*stream), array(*stream), sse(*map(wrapped, stream))):
        part = read(body).parts[0]
        assert (part.uncached_input_tokens, part.cache_read_input_tokens) == (500, 1000)


def test_t17_a_last_chunk_without_counts_erases_nothing() -> None:
    """The counts stand in the first chunk, the tier in the last."""
    reading = read(
        sse(
            chunk(candidate("Good"), usage=counts(100, 20, 120, cachedContentTokenCount=80)),
            chunk(candidate("", "STOP"), usage={"trafficType": "ON_DEMAND"}),
        )
    )
    assert reading.parts == (
        UsagePart(
            uncached_input_tokens=20,
            cache_read_input_tokens=80,
            output_tokens=20,
            service_tier="on_demand",
        ),
    )


def test_t17_what_tools_fed_back_is_input_beside_the_prompt() -> None:
    usage = counts(
        151,
        1089,
        20_689,
        toolUsePromptTokenCount=18_329,
        thoughtsTokenCount=1120,
        toolUsePromptTokensDetails=split(TEXT=18_329),
    )
    reading = read(document(chunk(candidate(stop="STOP"), usage=usage)))
    assert reading.parts[0].uncached_input_tokens == 151 + 18_329
    assert reading.completeness == "final"


def test_t14_cached_tokens_are_part_of_the_prompt() -> None:
    usage = counts(1500, 20, 1520, cachedContentTokenCount=1000)
    part = read(document(chunk(candidate(stop="STOP"), usage=usage))).parts[0]
    assert (part.uncached_input_tokens, part.cache_read_input_tokens) == (500, 1000)


@pytest.mark.parametrize(
    ("provider", "path"),
    [
        ("google", "/v1beta/models/gemini-2.5-flash:countTokens"),
        ("vertex", "/v1/publishers/google/models/gemini-2.5-flash:countTokens"),
        ("code-assist", "/v1internal:countTokens"),
    ],
)  # fmt: skip
def test_t23_counting_tokens_is_no_usage(provider: str, path: str) -> None:
    route = match(provider, "POST", path)
    assert route is not None
    assert route.kind == "count"
    parser = open_parser("application/json", operation=route.operation)
    parser.feed(document({"totalTokens": 31, "usageMetadata": counts(31, 0, 31)}))
    parser.close()
    assert parser.reading.ended
    assert (parser.reading.parts, parser.reading.completeness) == ((), "none")


def test_t25_nothing_waits_for_what_comes_next() -> None:
    """Every chunk acts with its own last byte."""
    parser = open_parser("text/event-stream")
    first = sse(STREAM[0])
    assert parser.feed(first[:-2]) is False
    assert not parser.reading.content_started
    assert parser.feed(first[-2:]) is True
    assert parser.reading.content_started
