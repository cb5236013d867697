from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.fixtures.google import calling, candidate, chunk, counts, document, read, sse
from tokenproxy.wire import notes
from tokenproxy.wire.google.parsers import EventsParser
from tokenproxy.wire.google.reading import ContentReading
from tokenproxy.wire.usage import Reading, ToolUse

GROUNDED = {"webSearchQueries": ["a", "b"]}


def streamed(*chunks: dict[str, Any]) -> Reading:
    return read(sse(*chunks), "text/event-stream")


def test_identity() -> None:
    reading = streamed(
        chunk(candidate("a"), model="gemini-3-flash-preview", identity="one"),
        {"candidates": [candidate("", "STOP")], "responseId": None},
    )
    assert (reading.model, reading.response_id) == ("gemini-3-flash-preview", "one")


@pytest.mark.parametrize(
    ("chunks", "ended"),
    [
        ([], False),
        ([chunk(candidate("a"))], False),
        ([chunk(candidate("a", "STOP"))], True),
        # what comes behind the end and has no candidates is its usage
        ([chunk(candidate("a", "STOP")), chunk(usage=counts(1, 1, 2))], True),
        # older models tell a reason with every chunk
        ([chunk(candidate("a", "STOP")), chunk(candidate("b"))], False),
        ([chunk(candidate("a", "STOP"), candidate("b", index=1))], False),
        ([chunk(candidate("a", "STOP"), candidate("b", "STOP", index=1))], True),
        (
            [chunk(candidate("a", "STOP")), chunk(candidate("b", "SAFETY", index=1))],
            True,
        ),
        ([chunk(promptFeedback={"blockReason": "SAFETY"})], True),
        ([chunk(promptFeedback={"safetyRatings": []})], False),
    ],
)
def test_the_end_of_a_stream(chunks: list[dict[str, Any]], ended: bool) -> None:
    assert streamed(*chunks).ended is ended


def test_stop_reasons() -> None:
    assert streamed(chunk(candidate("a", "MAX_TOKENS"))).stop_reason == "MAX_TOKENS"
    blocked = streamed(chunk(promptFeedback={"blockReason": "SAFETY"}, usage=counts(9, None, 9)))
    assert blocked.stop_reason == "SAFETY"
    assert blocked.completeness == "final"
    assert not blocked.content_started


def test_an_answer_without_usage_says_so() -> None:
    reading = streamed(chunk(candidate("a", "STOP")))
    assert (reading.completeness, reading.notes) == ("none", (notes.USAGE_ABSENT,))


def test_content_starts_with_the_first_part() -> None:
    assert not streamed(chunk({"content": {"role": "model"}})).content_started
    assert not streamed(chunk({"content": {"role": "model", "parts": []}})).content_started
    assert streamed(chunk(candidate("a"))).content_started


def test_tool_calls_are_counted_once() -> None:
    call = {"id": "c1", "name": "read"}
    reading = streamed(
        chunk(calling(call, stop=None)), chunk(calling(call, {"id": "", "name": ""}))
    )
    assert reading.tool_uses == (ToolUse("c1", "read"),)


def tools_of(*groundings: dict[str, Any]) -> dict[str, int]:
    chunks = [
        chunk(candidate("a", groundingMetadata=data), usage=counts(1, 1, 2)) for data in groundings
    ]
    return streamed(*chunks).parts[0].server_tool_use


def test_searches_are_told_by_their_distinct_queries() -> None:
    assert tools_of(
        {"webSearchQueries": ["a", "", "b", " "]}, {"webSearchQueries": ["b", "c", 7]}
    ) == {"web_search_requests": 3}
    assert tools_of({"imageSearchQueries": ["a"]}) == {"image_search_requests": 1}
    assert tools_of({"webSearchQueries": [""]}) == {}
    assert tools_of({"webSearchQueries": "a"}) == {}


def test_a_prompt_is_looked_up_on_the_map_once() -> None:
    place = {"groundingChunks": [{"maps": {"placeId": "p"}}, {"maps": {"placeId": "q"}}]}
    assert tools_of(place, place) == {"google_maps_requests": 1}
    assert tools_of({"googleMapsWidgetContextToken": "t"}) == {"google_maps_requests": 1}
    assert tools_of({"groundingChunks": [{"web": {}}, {"maps": None}]}) == {}


def test_queries_are_not_kept() -> None:
    found = candidate("a", "STOP", groundingMetadata={"webSearchQueries": ["secret"]})
    assert "secret" not in repr(streamed(chunk(found, usage=counts(1, 1, 2))))


def test_the_header_s_tier_stands_in_for_the_body_s() -> None:
    headers = {"x-gemini-service-tier": "PRIORITY"}
    silent = document(chunk(candidate("a", "STOP"), usage=counts(1, 1, 2)))
    assert read(silent, headers=headers).parts[0].service_tier == "priority"
    told = document(chunk(candidate("a", "STOP"), usage=counts(1, 1, 2, serviceTier="flex")))
    assert read(told, headers=headers).parts[0].service_tier == "flex"


@pytest.mark.parametrize(
    "odd",
    [
        {"candidates": "x"},
        {"candidates": [None, 7, {"index": "0", "content": [], "finishReason": 3}]},
        {"candidates": [{"content": {"parts": [None, "x", {"functionCall": []}]}}]},
        {"candidates": [{"groundingMetadata": {"webSearchQueries": {}, "groundingChunks": [3]}}]},
        {"promptFeedback": "no"},
        {"modelVersion": ["m"], "responseId": 7},
        {"error": "no"},
    ],
)
def test_odd_fields_cost_only_themselves(odd: dict[str, Any]) -> None:
    reading = streamed({**chunk(usage=counts(8, 5, 13)), **odd}, chunk(candidate("", "STOP")))
    assert reading.parts[0].output_tokens == 5
    assert reading.error is None


def test_many_candidates_and_queries_are_bounded() -> None:
    many = [candidate("a", index=number) for number in range(300)]
    queries = {"webSearchQueries": [str(number) for number in range(2000)]}
    reading = streamed(
        chunk(*many, usage=counts(1, 1, 2)),
        chunk(candidate("a", groundingMetadata=queries), usage=counts(1, 1, 2)),
    )
    assert reading.parts[0].server_tool_use == {"web_search_requests": 1024}


@given(
    chunks=st.lists(
        st.builds(
            lambda usage, stop, searched: chunk(
                candidate("a", stop, **({"groundingMetadata": GROUNDED} if searched else {})),
                usage=usage,
            ),
            st.one_of(
                st.none(),
                st.builds(
                    lambda prompt, output, thoughts, total: counts(
                        prompt, output, total, thoughtsTokenCount=thoughts
                    ),
                    st.sampled_from([7, 9]),
                    st.sampled_from([None, 0, 1, 2, 5, 40]),
                    st.sampled_from([None, 0, 3]),
                    st.sampled_from([9, 12, 47]),
                ),
            ),
            st.sampled_from([None, "STOP"]),
            st.booleans(),
        ),
        max_size=8,
    ),
    whole=st.booleans(),
)
def test_a_streams_usage_may_be_added_up_at_its_end(
    chunks: list[dict[str, Any]], *, whole: bool
) -> None:
    """Only what is news is added up at once: to the same result."""
    body = sse(*chunks)
    body = body if whole else body[: len(body) * 2 // 3]
    lazy = EventsParser(ContentReading(Reading(), streamed=True))
    eager = EventsParser(ContentReading(Reading()))
    for at in range(0, len(body), 100):
        news = lazy.feed(body[at : at + 100])
        assert eager.feed(body[at : at + 100]) or not news
        if news:
            assert lazy.reading.parts == eager.reading.parts
    lazy.close()
    eager.close()
    assert lazy.reading == eager.reading


def test_usage_with_every_chunk_is_news_when_it_has_doubled() -> None:
    parser = EventsParser(ContentReading(Reading(), streamed=True))
    told = [
        output
        for output in range(1, 101)
        if parser.feed(sse(chunk(candidate("a"), usage=counts(9, output, 9 + output))))
    ]
    assert told == [1, 2, 4, 8, 16, 32, 64]
    assert parser.feed(sse(chunk(candidate("a"), usage=counts(10, 100, 110))))
    assert parser.feed(sse(chunk(candidate("a", "STOP"), usage=counts(10, 101, 111))))
    assert parser.reading.parts[0].output_tokens == 101
