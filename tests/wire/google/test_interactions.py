from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.fixtures.google import (
    INTERACTED,
    INTERACTION,
    INTERACTION_STREAM,
    QUOTA,
    THREE,
    document,
    interaction_event,
    open_parser,
    read,
)
from tests.wire.strategies import chunked, cuts, garbage
from tokenproxy.wire import notes
from tokenproxy.wire.google import INTERACTIONS
from tokenproxy.wire.usage import Reading, RequestFacts, ResponseFacts, ToolResult, ToolUse

NAME = "google.interactions"
SSE = "text/event-stream"
USAGE = {"total_input_tokens": 100, "total_output_tokens": 20, "total_tokens": 120}


def whole(**more: Any) -> Reading:
    return read(document({**INTERACTION, **more}), name=NAME)


def streamed(*events: bytes) -> Reading:
    return read(b"".join(events), SSE, name=NAME)


def test_document() -> None:
    reading = whole()
    assert reading == Reading(
        model=THREE,
        response_id="v1_ChdPU0F4YWF",
        stop_reason="completed",
        parts=(INTERACTED,),
        usage=[INTERACTION["usage"]],
        completeness="final",
        ended=True,
    )


def test_stream() -> None:
    reading = read(INTERACTION_STREAM, SSE, name=NAME)
    assert reading.parts == (INTERACTED,)
    assert (reading.completeness, reading.ended, reading.content_started) == ("final", True, True)
    assert reading.tool_uses == (ToolUse("fc_1", "lookup"),)


def test_one_step_s_usage_is_part_of_the_rest() -> None:
    reading = read(INTERACTION_STREAM, SSE, name=NAME)
    assert 999_999 not in [usage.get("total_input_tokens") for usage in reading.usage]


@given(st.data())
def test_any_chunking_reads_the_same(data: st.DataObject) -> None:
    parser = open_parser(SSE, name=NAME)
    for piece in chunked(INTERACTION_STREAM, data.draw(cuts(len(INTERACTION_STREAM)))):
        parser.feed(piece)
    parser.close()
    parser.close()
    assert parser.reading == read(INTERACTION_STREAM, SSE, name=NAME)
    assert parser.take_items() == []


@given(garbage(), st.sampled_from([SSE, "application/json"]))
def test_garbage_never_raises(data: bytes, content_type: str) -> None:
    read(data, content_type, name=NAME)
    read(INTERACTION_STREAM[:300] + data, content_type, name=NAME)
    read(b'{"usage":{"grounding_tool_count":[' + data + b"]}}", name=NAME)
    INTERACTIONS.read_request(data)
    INTERACTIONS.read_request(b'{"input":[' + data + b"]}")


def test_a_stream_that_was_cut_keeps_what_it_told() -> None:
    reading = streamed(
        interaction_event("interaction.created", interaction={"id": "v1", "model": THREE}),
        interaction_event("step.stop", index=0, usage=USAGE),
        b'event: step.delta\ndata: {"event_type": "step.de',
    )
    assert reading.parts[0].uncached_input_tokens == 100
    assert (reading.completeness, reading.ended, reading.notes) == ("partial", False, ())


def test_usage_so_far_is_not_added_up() -> None:
    reading = streamed(
        interaction_event("interaction.status_update", interaction_id="v1", usage=USAGE),
        interaction_event("step.delta", delta={"type": "text"}, metadata={"total_usage": USAGE}),
        interaction_event("interaction.completed", interaction={"status": "completed"}),
    )
    assert reading.parts[0].output_tokens == 20
    assert (reading.response_id, reading.completeness) == ("v1", "final")


def test_the_first_version_s_names() -> None:
    reading = streamed(
        interaction_event("interaction.start", interaction={"id": "v1", "model": THREE}),
        interaction_event(
            "content.delta", delta={"type": "function_call", "id": "fc", "name": "read"}
        ),
        interaction_event(
            "interaction.complete",
            interaction={"id": "v1", "status": "completed", "usage": USAGE, "outputs": []},
        ),
    )
    assert (reading.completeness, reading.ended) == ("final", True)
    assert reading.tool_uses == (ToolUse("fc", "read"),)


def test_events_that_state_their_kind_in_their_name_only() -> None:
    data = json.dumps({"interaction": {"status": "completed", "usage": USAGE}}).encode()
    reading = streamed(b"event: interaction.completed\ndata: " + data + b"\n\n")
    assert reading.completeness == "final"


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_an_answer_in_the_background_comes_later(status: str) -> None:
    reading = whole(status=status, usage=None)
    assert reading.deferred
    assert (reading.completeness, reading.stop_reason, reading.notes) == ("none", None, ())
    assert not whole().deferred


def test_without_usage() -> None:
    assert whole(usage=None).notes == (notes.USAGE_ABSENT,)
    done = interaction_event("interaction.completed", interaction={"status": "completed"})
    assert streamed(done).notes == (notes.USAGE_ABSENT,)


def test_failures() -> None:
    uri = "https://ai.google.dev/errors/Internal_Error"
    reading = whole(status="failed", errors=[{"code": uri}])
    assert (reading.error, reading.ended) == ("internal_error", True)
    assert whole(status="failed", usage=None).error == "failed"
    amid = streamed(interaction_event("error", error={"code": "deadline_exceeded"}))
    assert (amid.error, amid.ended) == ("deadline_exceeded", False)


def test_errors_of_the_api() -> None:
    refused = read(document(QUOTA), name=NAME, status=429)
    assert (refused.error, refused.ended) == ("resource_exhausted", True)
    told = read(document(QUOTA), name=NAME)
    assert (told.error, told.ended) == ("resource_exhausted", True)


def test_an_event_that_cannot_be_read() -> None:
    assert streamed(b"event: step.start\ndata: {oops\n\n").notes == (notes.EVENT_UNREADABLE,)


def test_tools_of_google_s() -> None:
    counted = [
        {"type": "google_search", "count": 3},
        {"type": "google_maps", "count": 1},
        {"type": "retrieval", "count": 2},
        {"type": "Not a word", "count": 2},
        {"type": "google_search"},
        7,
    ]
    part = whole(usage={**USAGE, "grounding_tool_count": counted}).parts[0]
    assert part.server_tool_use == {
        "web_search_requests": 3,
        "google_maps_requests": 1,
        "retrieval_requests": 2,
    }


def test_an_agent_stands_in_for_a_model() -> None:
    assert whole(model=None, agent="deep-research-pro").model == "deep-research-pro"


def test_request() -> None:
    body = {
        "model": "models/gemini-3-flash-preview",
        "stream": True,
        "background": True,
        "input": [
            {"type": "function_result", "call_id": "old"},
            {"type": "function_call", "id": "fc_1"},
            {"type": "function_result", "call_id": "fc_1", "result": "secret"},
            {"type": "function_result", "call_id": "fc_2", "is_error": True},
        ],
        "tools": [{"type": "google_search"}, {"type": "function", "name": "read"}],
        "generation_config": {
            "max_output_tokens": 10,
            "temperature": 0.5,
            "top_p": 0.9,
            "stop_sequences": ["END"],
        },
    }
    facts = INTERACTIONS.read_request(json.dumps(body).encode())
    assert facts == RequestFacts(
        model="gemini-3-flash-preview",
        stream=True,
        background=True,
        max_tokens=10,
        temperature=0.5,
        top_p=0.9,
        stop_sequences=("END",),
        offers_tools=True,
        tool_results=(ToolResult("fc_1"), ToolResult("fc_2", is_error=True)),
        prompt_digest=facts.prompt_digest,
    )
    assert "secret" not in repr(facts)


def test_smaller_requests() -> None:
    assert INTERACTIONS.read_request(b"[]") == RequestFacts(malformed=True)
    facts = INTERACTIONS.read_request(
        b'{"agent":"deep-research","input":{"type":"function_result","call_id":"a"}}'
    )
    assert (facts.model, facts.tool_results) == ("deep-research", (ToolResult("a"),))
    assert INTERACTIONS.read_request(b'{"input":"hello"}').tool_results == ()


def test_headers() -> None:
    assert INTERACTIONS.read_response_headers({}) == ResponseFacts()
    served = read(
        document({**INTERACTION, "service_tier": None}),
        name=NAME,
        headers={"x-gemini-service-tier": "flex"},
    )
    assert served.parts[0].service_tier == "flex"
