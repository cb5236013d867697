"""The Responses API's documents and requests."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.fixtures.openai_responses import (
    CALL,
    ID,
    MESSAGE,
    MODEL,
    REASONING,
    asking,
    body,
    done,
    read,
    response,
    usage,
)
from tokenproxy.wire import notes
from tokenproxy.wire.openai.responses_request import read_request
from tokenproxy.wire.usage import RequestFacts, ToolResult, UsagePart

IMAGE = {"id": "ig_1", "type": "image_generation_call", "status": "completed"}


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_a_response_in_the_making_is_deferred(status: str) -> None:
    reading = read(response(status, background=True))
    assert (reading.deferred, reading.ended, reading.completeness) == (True, True, "none")
    assert (reading.response_id, reading.notes, reading.stop_reason) == (ID, (), None)


@pytest.mark.parametrize(
    ("more", "stop_reason"),
    [
        ({"status": "incomplete", "incomplete_details": {"reason": "steered"}}, "steered"),
        ({"status": "incomplete", "incomplete_details": None}, "incomplete"),
        ({"status": "completed", "incomplete_details": {"reason": "odd"}}, "completed"),
        ({"status": "cancelled"}, "cancelled"),
    ],
)
def test_why_it_stopped(more: dict[str, Any], stop_reason: str) -> None:
    assert read(done(usage(5, 6), **more)).stop_reason == stop_reason


@pytest.mark.parametrize(
    ("error", "word"),
    [
        ({"code": "rate_limit_exceeded", "message": "x"}, "rate_limit_exceeded"),
        ({"type": "policy_error", "code": "bio_policy"}, "policy_error"),
        ({"message": "A sentence."}, "server_error"),
    ],
)
def test_the_word_for_a_failure(error: dict[str, Any], word: str) -> None:
    assert read(response("failed", error=error)).error == word


def test_a_failure_without_an_error_is_one() -> None:
    assert read(response("failed")).error == "server_error"


def test_an_error_under_status_200() -> None:
    reading = read({"error": {"type": "server_error", "message": "x"}})
    assert (reading.error, reading.ended, reading.stop_reason) == ("server_error", True, None)
    assert reading.notes == ()


def test_numbers_that_do_not_balance_are_a_lower_bound() -> None:
    reading = read(done({**usage(100, 10), "total_tokens": 999}))
    assert (reading.completeness, reading.notes) == ("partial", (notes.TOTAL_MISMATCH,))


@pytest.mark.parametrize(
    ("sent", "said"),
    [(b"", ()), (b"no", (notes.BODY_UNREADABLE,)), (b"[]", (notes.BODY_UNREADABLE,))],
)
def test_what_is_no_response(sent: bytes, said: tuple[str, ...]) -> None:
    reading = read(sent)
    assert (reading.ended, reading.completeness, reading.notes) == (False, "none", said)


def test_pictures_do_not_hide_the_usage() -> None:
    pictures = [{**IMAGE, "result": "AAAA" * 1_000_000}] * 4
    reading = read(done(usage(5, 6), *pictures, tool_usage=None))
    assert reading.parts[0].output_tokens == 6
    assert reading.completeness == "partial"


def test_an_image_whose_model_nobody_names_has_one_without_a_price() -> None:
    made = {"image_gen": {"input_tokens": 5, "output_tokens": 9, "total_tokens": 14}}
    reading = read(done(usage(5, 6), IMAGE, tool_usage=made))
    assert reading.parts[1] == UsagePart(
        role="tool_image",
        model="image_generation",
        uncached_input_tokens=5,
        output_tokens=9,
        modality_tokens={"output_image": 9},
    )
    assert reading.completeness == "final"


def test_what_images_read_from_the_cache() -> None:
    made = {
        "image_gen": {
            "input_tokens": 100,
            "input_tokens_details": {"text_tokens": 20, "image_tokens": 80},
            "cached_tokens": 60,
            "cached_tokens_details": {"cached_image_tokens": 50, "cached_text_tokens": 10},
            "output_tokens": 9,
            "output_tokens_details": {"image_tokens": 7, "text_tokens": 2},
            "total_tokens": 109,
        }
    }
    part = read(done(usage(5, 6), IMAGE, tool_usage=made)).parts[1]
    assert (part.uncached_input_tokens, part.cache_read_input_tokens) == (40, 60)
    assert part.modality_tokens == {
        "input_image": 30, "cache_image_read": 50, "output_image": 7,
    }  # fmt: skip


def test_a_drawing_is_its_authors() -> None:
    drawn = {
        "model": "gpt-5.5", "input_tokens": 30, "output_tokens": 900,
        "reasoning_tokens": 400, "total_tokens": 930,
    }  # fmt: skip
    reading = read(done(usage(5, 6), {**IMAGE, "svg_usage": drawn}))
    assert reading.parts[1] == UsagePart(
        role="tool_image", model="gpt-5.5", uncached_input_tokens=30, output_tokens=900,
        reasoning_output_tokens=400,
    )  # fmt: skip
    assert reading.usage == [usage(5, 6), {"svg_usage": drawn}]
    assert (reading.completeness, reading.notes) == ("final", ())


def test_an_image_that_failed_costs_nothing() -> None:
    reading = read(done(usage(5, 6), {**IMAGE, "status": "failed"}))
    assert (reading.completeness, reading.notes) == ("final", ())


def test_byok_is_both_bills() -> None:
    used = {
        **usage(5, 6), "cost": 0.5, "is_byok": True,
        "cost_details": {"upstream_inference_cost": 1.5},
    }  # fmt: skip
    reading = read(done(used), name="openrouter.responses")
    assert (reading.provider_cost_usd, reading.notes) == (2.0, (notes.BYOK,))


@given(
    given_=st.integers(0, 10**6), read_=st.integers(0, 10**6), written=st.integers(0, 10**6),
    output=st.integers(0, 10**6), reasoning=st.integers(0, 10**6),
)  # fmt: skip
def test_parts_of_the_input_add_up_to_it(
    *, given_: int, read_: int, written: int, output: int, reasoning: int
) -> None:
    used = usage(
        given_ + read_ + written, output + reasoning,
        read=read_, written=written, reasoning=reasoning,
    )  # fmt: skip
    reading = read(done(used))
    (part,) = reading.parts
    assert (
        part.uncached_input_tokens,
        part.cache_read_input_tokens,
        part.cache_creation_input_tokens,
    ) == (given_, read_, written)
    assert (part.output_tokens, part.reasoning_output_tokens) == (output + reasoning, reasoning)
    assert reading.completeness == "final"


def test_what_a_request_says() -> None:
    facts = read_request(
        asking(
            stream=True, background=True, max_output_tokens=900, temperature=0.5, top_p=0.9,
            tools=[{"type": "function", "name": "shell"}],
        )
    )  # fmt: skip
    assert facts == RequestFacts(
        model=MODEL, stream=True, background=True, max_tokens=900, temperature=0.5, top_p=0.9,
        offers_tools=True, prompt_digest=facts.prompt_digest,
    )  # fmt: skip
    assert facts.prompt_digest is not None


@pytest.mark.parametrize("sent", [b"", b"[]", b"no", b'{"model":'])
def test_a_request_that_is_no_object_is_malformed(sent: bytes) -> None:
    assert read_request(sent) == RequestFacts(malformed=True)


RESULTS = [
    {"type": "function_call_output", "call_id": "call_1", "output": "ok"},
    {"type": "apply_patch_call_output", "call_id": "call_2", "status": "failed"},
    {"type": "local_shell_call_output", "id": "call_3", "output": "ok"},
    {"type": "tool_search_output", "call_id": "call_4", "execution": "client"},
]


@pytest.mark.parametrize(
    ("conversation", "found"),
    [
        ("Hello?", ()),
        ([{"role": "user", "content": "Hello?"}], ()),
        (
            [{"role": "user", "content": "Go."}, REASONING, CALL, *RESULTS],
            (
                ToolResult("call_1"),
                ToolResult("call_2", is_error=True),
                ToolResult("call_3"),
                ToolResult("call_4"),
            ),
        ),
        (RESULTS[:1], (ToolResult("call_1"),)),
        ([*RESULTS[:1], {"role": "user", "content": "Well?"}], (ToolResult("call_1"),)),
        ([CALL, *RESULTS, MESSAGE, {"role": "user", "content": "More."}], ()),
        ([CALL, {"type": "tool_search_output", "call_id": "x", "execution": "server"}], ()),
        ([CALL, 7, *RESULTS[:1]], (ToolResult("call_1"),)),
    ],
)
def test_tool_results_that_are_new(conversation: Any, found: tuple[ToolResult, ...]) -> None:
    assert read_request(asking(input=conversation)).tool_results == found


def test_a_digest_is_the_conversations() -> None:
    def digest(**more: Any) -> str | None:
        return read_request(asking(**more)).prompt_digest

    assert digest() == digest(temperature=1, instructions="Other.") == digest(conversation=None)
    different = [
        digest(), digest(input="Hi?"), digest(previous_response_id="resp_1"),
        digest(previous_response_id="resp_2"), digest(conversation="conv_1"),
    ]  # fmt: skip
    assert len(set(different)) == len(different)
    assert read_request(b"{}").prompt_digest is None


@pytest.mark.parametrize(
    ("metadata", "session", "turn"),
    [
        ({"session_id": "s", "turn_id": "t", "thread_id": "x"}, "s", "t"),
        ({"x-codex-turn-metadata": json.dumps({"session_id": "s", "turn_id": "t"})}, "s", "t"),
        ({"session_id": "s", "x-codex-turn-metadata": '{"session_id":"no"}'}, "s", None),
        ({"x-codex-turn-metadata": "no json"}, None, None),
        ({"x-codex-turn-metadata": 7}, None, None),
        (None, None, None),
    ],
)
def test_codex_says_who_asks(metadata: Any, session: str | None, turn: str | None) -> None:
    facts = read_request(asking(client_metadata=metadata, prompt_cache_key="shared"))
    assert (facts.session_id, facts.turn_id) == (session, turn)


def test_codex_says_what_kind_of_request_it_is() -> None:
    metadata = {"x-codex-turn-metadata": json.dumps({"turn_id": "", "request_kind": "prewarm"})}
    assert read_request(asking(client_metadata=metadata)).request_class == "prewarm"
    assert read_request(asking()).request_class is None


def test_a_count_is_no_usage() -> None:
    reading = read(
        {"object": "response.input_tokens", "input_tokens": 11}, operation="count_tokens"
    )
    assert (reading.ended, reading.parts, reading.completeness) == (True, (), "none")
    assert read(b"<html>", operation="count_tokens").notes == (notes.BODY_UNREADABLE,)


def test_a_bodys_bytes_may_come_one_by_one() -> None:
    whole = body(done(usage(5, 6), CALL))
    assert read(whole, step=1) == read(whole)
