from __future__ import annotations

import json
from typing import Any

import pytest

from tests.wire.fixtures.anthropic import (
    CHEAP,
    MODEL,
    SPLIT,
    STRICT,
    counts,
    entry,
    fallback_block,
    message,
    open_parser,
    read_json,
    run,
)
from tokenproxy.wire import notes
from tokenproxy.wire.usage import Reading, ToolUse, UsagePart

USAGE = counts(12, 55, read=15_000, created=2048, cache_creation=SPLIT, service_tier="standard")


def test_a_whole_message() -> None:
    assert read_json(message(USAGE)) == Reading(
        model=MODEL,
        response_id="msg_01",
        stop_reason="end_turn",
        parts=(
            UsagePart(
                uncached_input_tokens=12,
                cache_read_input_tokens=15_000,
                cache_creation_input_tokens=2048,
                cache_creation_5m_input_tokens=2000,
                cache_creation_1h_input_tokens=48,
                output_tokens=55,
                service_tier="standard",
            ),
        ),
        usage=[USAGE],
        completeness="final",
        ended=True,
    )


def test_nothing_is_known_before_the_end() -> None:
    parser = open_parser(content_type="application/json")
    assert parser.feed(json.dumps(message(USAGE)).encode()) is False
    assert parser.reading == Reading()
    parser.close()
    parser.close()
    assert len(parser.reading.usage) == 1
    assert parser.take_items() == []


def test_tool_uses() -> None:
    content: list[dict[str, Any]] = [
        {"type": "text", "text": "I will look."},
        {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "ls"}},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
        {"type": "tool_use", "id": "toolu_2", "name": "Agent", "input": {"type": "tool_use"}},
    ]
    reading = read_json(message(USAGE, content=content, stop_reason="tool_use"))
    assert reading.tool_uses == (ToolUse("toolu_1", "Bash"), ToolUse("toolu_2", "Agent"))


@pytest.mark.parametrize(
    "body", [b"{", b'{"id":"msg_01","usage":{"input_tokens":', b"<html>", b"null", b"[]"]
)
def test_malformed_or_cut(body: bytes) -> None:
    reading = read_json(body)
    assert (reading.completeness, reading.ended, reading.parts) == ("none", False, ())
    assert reading.notes == (notes.BODY_UNREADABLE,)


def test_an_empty_body() -> None:
    assert read_json(b"") == Reading()


@pytest.mark.parametrize(
    ("usage", "completeness", "said"),
    [
        (None, "none", (notes.USAGE_ABSENT,)),
        ("x", "none", (notes.USAGE_ABSENT,)),
        ({}, "none", (notes.USAGE_ABSENT,)),
        ({"input_tokens": 5}, "partial", ()),
        ({"output_tokens": 5}, "partial", ()),
        ({"input_tokens": 5, "output_tokens": "x"}, "partial", (notes.BAD_COUNT,)),
        ({"input_tokens": 5, "output_tokens": 0}, "final", ()),
    ],
)
def test_completeness(usage: Any, completeness: str, said: tuple[str, ...]) -> None:
    reading = read_json(message(usage))
    assert (reading.completeness, reading.notes, reading.ended) == (completeness, said, True)


@pytest.mark.parametrize("content", ["text", None, [1, "x", None], {"type": "text"}])
def test_odd_content_costs_no_tokens(content: Any) -> None:
    reading = read_json({**message(USAGE), "content": content})
    assert reading.parts[0].output_tokens == 55


def test_half_an_emoji_costs_no_tokens() -> None:
    """Python's JSON writes a lone surrogate as such a text's cut leaves it."""
    reading = read_json(message(USAGE) | {"content": [{"type": "text", "text": "cut \ud83d"}]})
    assert reading == read_json(message(USAGE))


def test_an_error_with_status_200() -> None:
    reading = read_json({"type": "error", "error": {"type": "overloaded_error", "message": "x"}})
    assert (reading.error, reading.ended, reading.completeness) == (
        "overloaded_error",
        True,
        "none",
    )
    assert reading.notes == ()


def test_a_body_too_large_is_not_kept() -> None:
    parser = open_parser(content_type="application/json")
    for _ in range(65):
        parser.feed(b'{"' + b" " * (1 << 20))
    parser.close()
    assert notes.BODY_TOO_LARGE in parser.reading.notes
    assert parser.reading.completeness == "none"


def test_a_fallback() -> None:
    content = [
        {
            "type": "fallback",
            **fallback_block(STRICT, CHEAP, trigger={"type": "refusal", "category": "bio"}),
        },
        {"type": "text", "text": "Hi!"},
    ]
    usage = counts(
        412,
        264,
        iterations=[entry("message", 535, 0, STRICT), entry("fallback_message", 412, 264, CHEAP)],
    )
    reading = read_json(message(usage, model=CHEAP, content=content))
    assert [(part.role, part.model, part.billable) for part in reading.parts] == [
        ("fallback_declined", STRICT, True),
        ("fallback_served", CHEAP, None),
    ]
    assert (reading.model, reading.fallback) == (CHEAP, True)
    assert reading.notes == ("refusal_category:bio",)


@pytest.mark.parametrize(
    ("content", "output", "billable"),
    [([], 0, False), ([], 1, False), ([{"type": "text", "text": "Hi"}], 12, None)],
)
def test_a_refusal(content: list[dict[str, Any]], output: int, billable: bool | None) -> None:
    details = {"type": "refusal", "category": "cyber"}
    body = message(
        counts(412, output),
        model=STRICT,
        content=content,
        stop_reason="refusal",
        stop_details=details,
    )
    assert read_json(body).parts[0].billable is billable


def test_details_of_another_stop_are_no_refusal() -> None:
    body = message(counts(412, 0), content=[], stop_details={"type": "new", "category": "cyber"})
    reading = read_json(body)
    assert (reading.parts[0].billable, reading.notes) == (None, ())


@pytest.mark.parametrize(
    "body", [b'{"input_tokens":1234}', b'{"input_tokens":1,"usage":{"input_tokens":1}}']
)
def test_a_token_count_is_no_usage(body: bytes) -> None:
    assert read_json(body, operation="count_tokens") == Reading(ended=True)


def test_a_cut_token_count() -> None:
    reading = read_json(b'{"input_tokens":12', operation="count_tokens")
    assert (reading.ended, reading.notes) == (False, (notes.BODY_UNREADABLE,))


@pytest.mark.parametrize(
    ("status", "body", "error", "ended"),
    [
        (
            529,
            {"type": "error", "error": {"type": "overloaded_error"}, "request_id": "r"},
            "overloaded_error",
            True,
        ),
        (
            400,
            {"type": "error", "error": {"type": "invalid_request_error", "message": "x"}},
            "invalid_request_error",
            True,
        ),
        (429, {"error": {"message": "slow down"}}, "rate_limit_error", True),
        (429, {"error": "slow down"}, "rate_limit_error", True),
        (500, {"detail": "x"}, "api_error", True),
        (413, b"<html>413 Request Entity Too Large</html>", "request_too_large", False),
        (502, b"<html>Bad gateway</html>", "http_502", False),
        (401, b"", "authentication_error", False),
        (402, b"\xff\xfe", "billing_error", False),
        (404, {"type": "error", "error": {"type": "Not plain at all!"}}, "not_found_error", True),
        (418, {}, "http_418", True),
        (403, message(USAGE), "permission_error", True),
    ],
)
def test_errors(
    status: int,
    body: Any,
    error: str,
    ended: bool,
) -> None:
    reading = read_json(body, status=status)
    assert (reading.error, reading.ended) == (error, ended)
    assert (reading.completeness, reading.parts, reading.usage) == ("none", (), [])


def test_the_error_is_known_by_its_status_from_the_start() -> None:
    assert open_parser(status=529).reading.error == "overloaded_error"


def test_an_error_code_is_noted() -> None:
    body = {
        "type": "error",
        "error": {
            "type": "billing_error",
            "details": {"error_code": "enforced_spend_limit_reached"},
        },
    }
    assert read_json(body, status=402).notes == ("error_code:enforced_spend_limit_reached",)


def test_an_error_body_in_pieces() -> None:
    body = json.dumps({"type": "error", "error": {"type": "conflict_error"}}).encode()
    assert run(open_parser(status=409), body, step=3).error == "conflict_error"


def test_usage_too_large_or_too_deep_to_keep_counts_all_the_same() -> None:
    deep: Any = 1
    for _ in range(200):
        deep = {"a": deep}
    odds: tuple[Any, ...] = (deep, ["x" * 1000] * 100, [[[]]] * 40_000)
    for odd in odds:
        found = read_json(message(USAGE | {"odd": odd}))
        assert found.usage == []
        assert found.notes == (notes.USAGE_NOT_KEPT,)
        assert found.parts == read_json(message(USAGE)).parts
        assert found.completeness == "final"


def test_a_number_out_of_range_costs_only_itself() -> None:
    body = json.dumps(message(USAGE | {"output_tokens": -77, "iterations": [-78]})).encode()
    found = read_json(body.replace(b"-77", b"1e999").replace(b"-78", b"1e999"))
    assert found.parts[0].uncached_input_tokens == 12
    assert found.parts[0].output_tokens is None
    assert found.completeness == "partial"
    assert notes.BAD_COUNT in found.notes
    assert found.usage[0]["output_tokens"] == "1e999"
