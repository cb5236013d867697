from __future__ import annotations

import re
from typing import Any

import pytest

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
    event,
    fallback,
    open_parser,
    read_stream,
    run,
    start,
    text,
)
from tokenproxy.wire import notes
from tokenproxy.wire.bookkeeping import MAX_NOTES, MAX_TOOL_USES
from tokenproxy.wire.lenient import Lenient
from tokenproxy.wire.usage import Reading, ToolUse, UsagePart

MAIN = UsagePart(
    uncached_input_tokens=12,
    cache_read_input_tokens=15_000,
    cache_creation_input_tokens=2048,
    cache_creation_5m_input_tokens=2000,
    cache_creation_1h_input_tokens=48,
    output_tokens=55,
    service_tier="standard",
    inference_geo="global",
)


def test_an_ordinary_stream() -> None:
    assert read_stream(PLAIN) == Reading(
        model=MODEL,
        response_id="msg_01",
        stop_reason="end_turn",
        parts=(MAIN,),
        usage=[
            {
                "input_tokens": 12,
                "cache_creation_input_tokens": 2048,
                "cache_read_input_tokens": 15_000,
                "output_tokens": 1,
                "cache_creation": SPLIT,
                "service_tier": "standard",
                "inference_geo": "global",
            },
            {"output_tokens": 55},
        ],
        completeness="final",
        ended=True,
        content_started=True,
    )


def test_the_usage_objects_are_kept_as_they_came() -> None:
    """Unknown keys, nulls and the order of keys included: they are the audit's evidence."""
    first = {"zeta": [1, {"deep": None}], "input_tokens": 1, "speed": None, "output_tokens": 1}
    last = {"output_tokens": 2, "novel_tokens": 9, "iterations": [entry("message", 1, 2)]}
    reading = read_stream(start(first) + delta(last) + STOP)
    assert reading.usage == [first, last]
    assert [list(usage) for usage in reading.usage] == [list(first), list(last)]


def test_feed_tells_when_there_is_something_to_journal() -> None:
    parser = open_parser(content_type="text/event-stream")
    pieces = [
        (start(counts(12, 1)), True),
        (PING, False),
        (block("text", text=""), False),
        (event("content_block_delta", {"type": "content_block_delta"}), False),
        (fallback(STRICT, CHEAP), True),
        (delta({"output_tokens": 9}), True),
        (delta(), False),
        (STOP, False),
    ]
    assert [parser.feed(piece) for piece, _ in pieces] == [told for _, told in pieces]


def test_the_reading_is_one_object_that_grows() -> None:
    parser = open_parser(content_type="text/event-stream")
    reading = parser.reading
    grown = []
    for piece in (
        start(counts(12, 1)),
        block("text", text=""),
        delta({"output_tokens": 9}, stop_reason=None),
        delta({"output_tokens": 10}),
        STOP,
    ):
        parser.feed(piece)
        output = reading.parts[0].output_tokens
        grown.append((reading.content_started, output, reading.completeness, reading.ended))
    assert grown == [
        (False, 1, "partial", False),
        (True, 1, "partial", False),
        (True, 9, "partial", False),
        (True, 10, "final", False),
        (True, 10, "final", True),
    ]
    parser.close()
    parser.close()
    assert parser.reading is reading
    assert parser.take_items() == []


def test_content_deltas_are_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The event's name decides; what is in them may be anything."""
    decoded: list[bytes] = []
    original = Lenient.decode

    def spy(self: Lenient[Any], data: bytes) -> Any:
        decoded.append(bytes(data))
        return original(self, data)

    monkeypatch.setattr(Lenient, "decode", spy)
    bad = b"event: content_block_delta\ndata: {this is no JSON \xff\n\n"
    stop = b"event: content_block_stop\ndata: nor is this\n\n"
    stream = start(counts(12, 1)) + block("text", text="") + bad * 500 + PING + stop
    for step in (len(stream), 1000, 11):
        decoded.clear()
        reading = read_stream(stream + delta({"output_tokens": 55}) + STOP, step=step)
        assert len(decoded) == 4
        assert not any(b"no JSON" in data for data in decoded)
        assert (reading.completeness, reading.notes) == ("final", ())


@pytest.mark.parametrize(
    ("beginning", "content"),
    [
        (b"", False),
        (PING, False),
        (fallback(STRICT, CHEAP), False),
        (block("text", text=""), True),
        (block("tool_use", id="toolu_1", name="Bash"), True),
        (block("thinking", thinking=""), True),
        (b"event: content_block_delta\ndata: {}\n\n", True),
    ],
)
def test_when_content_starts(beginning: bytes, content: bool) -> None:
    parser = open_parser(content_type="text/event-stream")
    parser.feed(start(counts(12, 1)) + beginning)
    assert parser.reading.content_started is content


def test_tool_uses() -> None:
    reading = read_stream(
        start(counts(12, 1))
        + text("I will look.")
        + block("tool_use", 1, id="toolu_1", name="Bash", input={})
        + block("tool_use", 2, id="toolu_2", name="Agent", input={})
        + block("server_tool_use", 3, id="srvtoolu_1", name="web_search", input={})
        + block("tool_use", 4, id=None, name="Bash")
        + block("tool_use", 5, id="toolu_3")
        + delta({"output_tokens": 55}, stop_reason="tool_use")
        + STOP
    )
    assert reading.tool_uses == (ToolUse("toolu_1", "Bash"), ToolUse("toolu_2", "Agent"))
    assert reading.stop_reason == "tool_use"


def test_tools_asked_for_by_a_model_that_then_declined_are_void() -> None:
    reading = read_stream(
        start(counts(12, 1))
        + block("tool_use", 0, id="toolu_1", name="Bash", input={})
        + fallback(STRICT, CHEAP)
        + block("tool_use", 2, id="toolu_2", name="Read", input={})
        + delta({"output_tokens": 55}, stop_reason="tool_use")
        + STOP
    )
    assert reading.tool_uses == (ToolUse("toolu_2", "Read"),)


def test_several_deltas_the_last_value_of_each_field_holds() -> None:
    reading = read_stream(
        start(counts(25, 1, read=7))
        + delta({"output_tokens": 30, "input_tokens": 2679}, stop_reason=None)
        + delta({"output_tokens": 40, "input_tokens": 10_682}, stop_reason=None)
        + delta({"output_tokens": 510, "server_tool_use": {"web_search_requests": 1}})
        + STOP
    )
    [only] = reading.parts
    assert (only.uncached_input_tokens, only.output_tokens) == (10_682, 510)
    assert only.cache_read_input_tokens == 7
    assert only.server_tool_use == {"web_search_requests": 1}
    assert reading.completeness == "final"
    assert len(reading.usage) == 4


def test_many_usage_objects_are_not_all_kept() -> None:
    deltas = b"".join(delta({"output_tokens": n}, stop_reason=None) for n in range(1, 101))
    reading = read_stream(start(counts(25, 1)) + deltas + delta() + STOP)
    assert len(reading.usage) == 16
    assert reading.usage[0]["input_tokens"] == 25
    assert reading.usage[-1] == {"output_tokens": 100}
    assert reading.parts[0].output_tokens == 100
    assert notes.USAGE_OBJECTS_DROPPED in reading.notes


@pytest.mark.parametrize(
    ("body", "completeness", "output", "ended"),
    [
        (b"", "none", None, False),
        (PING, "none", None, False),
        (start(), "none", None, False),
        (start(counts(25, 8)), "partial", 8, False),
        (start(counts(25, 8)) + text("hello"), "partial", 8, False),
        (start(counts(25, 8)) + STOP, "partial", 8, True),
        (start(counts(25, 8)) + delta({"output_tokens": 3}, stop_reason=None), "partial", 8, False),
        (
            start(counts(25, 8)) + delta({"output_tokens": 90}, stop_reason=None),
            "partial",
            90,
            False,
        ),
        (start(counts(25, 8)) + delta({"output_tokens": 90}), "final", 90, False),
        (start(counts(25, 8)) + delta({"output_tokens": 3}), "final", 3, False),
        (start(counts(25, 8)) + delta({"output_tokens": 0}), "final", 0, False),
        (
            start(counts(25, 8)) + delta({"output_tokens": 90}, stop_reason=None) + STOP,
            "final",
            90,
            True,
        ),
        (start(counts(25, 8)) + delta() + STOP, "partial", 8, True),
        (start(counts(25, 8)) + delta({"output_tokens": None}) + STOP, "partial", 8, True),
        (start(counts(25, 8)) + delta({"output_tokens": "9"}) + STOP, "partial", 8, True),
        (start(counts(25, 8)) + delta({"input_tokens": 30}) + STOP, "partial", 8, True),
        (start() + delta({"output_tokens": 90}) + STOP, "partial", 90, True),
        (start() + delta(counts(30, 90)) + STOP, "final", 90, True),
        (delta(counts(30, 90)) + STOP, "final", 90, True),
        (start({"output_tokens": 8}) + delta({"output_tokens": 90}) + STOP, "partial", 90, True),
    ],
)
def test_completeness(
    body: bytes,
    completeness: str,
    output: int | None,
    ended: bool,
) -> None:
    reading = read_stream(body)
    assert (reading.completeness, reading.ended) == (completeness, ended)
    assert [part.output_tokens for part in reading.parts] == ([] if output is None else [output])


def test_an_end_in_order_without_final_usage_is_noted() -> None:
    assert read_stream(start(counts(25, 8)) + STOP).notes == (notes.FINAL_USAGE_MISSING,)


@pytest.mark.parametrize(
    ("tail", "ended", "output"),
    [
        (delta({"output_tokens": 55})[:-1], False, 55),
        (delta({"output_tokens": 55})[:-2], False, 55),
        (delta({"output_tokens": 55})[:-12], False, 1),
        (delta({"output_tokens": 55}) + STOP[:-1], True, 55),
        (delta({"output_tokens": 55}) + STOP[:-2], True, 55),
        (delta({"output_tokens": 55}) + STOP[:-3], False, 55),
        (delta({"output_tokens": 55}) + b"event: message_stop\n", False, 55),
    ],
)
def test_data_that_was_whole_when_the_stream_was_cut_counts(
    tail: bytes,
    ended: bool,
    output: int,
) -> None:
    reading = read_stream(start(counts(25, 1)) + tail)
    assert (reading.ended, reading.parts[0].output_tokens) == (ended, output)
    assert reading.notes == ()


def test_an_error_in_mid_stream() -> None:
    reading = read_stream(start(counts(25, 8)) + PING + OVERLOADED)
    assert reading.error == "overloaded_error"
    assert reading.completeness == "partial"
    assert (reading.parts[0].uncached_input_tokens, reading.parts[0].output_tokens) == (25, 8)
    assert not reading.ended


@pytest.mark.parametrize(
    ("data", "error", "said"),
    [
        ({"type": "error", "error": {"type": "api_error"}}, "api_error", ()),
        ({"type": "error", "error": {"type": "Some long sentence."}}, "api_error", ()),
        ({"type": "error", "error": "overloaded"}, "api_error", ()),
        ({"type": "error"}, "api_error", ()),
        (
            {"error": {"type": "billing_error", "details": {"error_code": "ramp_limit_exceeded"}}},
            "billing_error",
            ("error_code:ramp_limit_exceeded",),
        ),
    ],
)
def test_error_types(data: dict[str, Any], error: str, said: tuple[str, ...]) -> None:
    reading = read_stream(event("error", data))
    assert (reading.error, reading.notes) == (error, said)


def test_what_is_unknown_is_tolerated() -> None:
    odd = (
        event("a_new_event", {"type": "a_new_event", "usage": counts(7, 7)})
        + event("completion", {"type": "completion", "completion": "hello", "stop_reason": None})
        + b"event: content_block_start\ndata: {}\n\n"
        + b"event: message_start\ndata: {}\n\n"
        + b"data: {}\n\n"
        + b"data: oops\n\n"
        + b": comment\n\n"
        + b"data\n\n"
        + block("a_new_block", weird=[1, 2])
    )
    reading = read_stream(
        start({**counts(25, 8), "new_counts": {"a": 1}})
        + odd
        + delta({"output_tokens": 9, "newer": "x"}, stop_reason="a_new_reason")
        + STOP
    )
    assert reading.stop_reason == "a_new_reason"
    assert reading.parts[0].output_tokens == 9
    assert (reading.completeness, reading.notes) == ("final", ())


def test_events_without_a_name_go_by_their_type() -> None:
    nameless = b"\n".join(line for line in PLAIN.split(b"\n") if not line.startswith(b"event:"))
    assert read_stream(nameless) == read_stream(PLAIN)


def test_the_type_may_stand_last() -> None:
    data = b'data: {"usage":{"input_tokens":3,"output_tokens":9},"type":"message_delta"}\n\n'
    assert read_stream(data).parts[0].output_tokens == 9


@pytest.mark.parametrize("end", [b"\r\n", b"\r"])
def test_line_ends(end: bytes) -> None:
    assert read_stream(PLAIN.replace(b"\n", end)) == read_stream(PLAIN)


@pytest.mark.parametrize(
    "data", [b"{", b"null", b"[]", b"\xff", b'{"type":"message_delta","usage":{"output_tok']
)
def test_unreadable_data_is_noted(data: bytes) -> None:
    reading = read_stream(start(counts(25, 8)) + b"event: message_delta\ndata: " + data + b"\n\n")
    assert reading.notes == (notes.EVENT_UNREADABLE,)
    assert reading.completeness == "partial"


def test_a_stop_whose_data_is_unreadable_is_a_stop() -> None:
    reading = read_stream(
        start(counts(25, 8)) + delta(counts(25, 9)) + b"event: message_stop\ndata: \n\n"
    )
    assert reading.ended
    assert reading.completeness == "final"


@pytest.mark.parametrize(
    ("usage", "kept"),
    [
        ({"service_tier": 3}, {}),
        ({"speed": ["fast"]}, {}),
        ({"server_tool_use": "many"}, {}),
        (
            {"server_tool_use": {"web_search_requests": "2", "other": 3}},
            {"server_tool_use": {"other": 3}},
        ),
        ({"cache_creation": 7}, {}),
        ({"output_tokens_details": []}, {}),
        ({"iterations": {"type": "message"}}, {}),
        ({"cache_read_input_tokens": "7"}, {"cache_read_input_tokens": None}),
        ({"cache_read_input_tokens": 7.0}, {"cache_read_input_tokens": 7}),
    ],
)
def test_a_field_of_the_wrong_type_costs_only_itself(
    usage: dict[str, Any], kept: dict[str, Any]
) -> None:
    [only] = read_stream(
        start({**counts(25, 8), **usage}) + delta({"output_tokens": 9}) + STOP
    ).parts
    expected = {
        "uncached_input_tokens": 25,
        "cache_read_input_tokens": 0,
        "cache_creation_input_tokens": 0,
        "output_tokens": 9,
        **kept,
    }
    assert only == UsagePart(**expected)


@pytest.mark.parametrize("usage", [[], "x", 7, {"input_tokens": None}])
def test_usage_of_the_wrong_type(usage: Any) -> None:
    reading = read_stream(start(usage) + delta({"output_tokens": 9}) + STOP)
    assert (reading.model, reading.completeness) == (MODEL, "partial")
    assert reading.parts == (UsagePart(output_tokens=9),)


def test_a_second_beginning_replaces_the_first() -> None:
    reading = read_stream(
        start(counts(25, 8))
        + start(counts(30, 1), identity="msg_02")
        + delta({"output_tokens": 9})
        + STOP
    )
    assert reading.response_id == "msg_02"
    assert reading.parts[0].uncached_input_tokens == 30
    assert reading.notes == (notes.REPEATED_START,)


def test_a_content_delta_is_never_too_large() -> None:
    """It is not kept in the first place."""
    parser = open_parser(content_type="text/event-stream")
    for skipped in (b"content_block_delta", b"content_block_stop", b"ping"):
        parser.feed(b"event: " + skipped + b"\ndata: ")
        for _ in range(17):
            parser.feed(b"x" * (1 << 20))
        parser.feed(b"\n\n")
    parser.close()
    assert parser.reading.notes == ()


@pytest.mark.parametrize("name", [b"", b"event: content_block_start\n"])
def test_an_event_too_large_is_noted(name: bytes) -> None:
    parser = open_parser(content_type="text/event-stream")
    parser.feed(start(counts(25, 8)))
    huge = name + b"data: " + b"x" * (17 << 20) + b"\n\n"
    parser.feed(huge)
    parser.feed(delta({"output_tokens": 9}) + STOP)
    parser.close()
    assert parser.reading.notes == (notes.EVENT_TOO_LARGE,)
    assert parser.reading.completeness == "final"


def test_a_fallback_in_mid_output() -> None:
    reading = read_stream(
        start(counts(28, 5), model=STRICT)
        + text("Hi")
        + fallback(STRICT, CHEAP, trigger={"type": "refusal", "category": "cyber"})
        + text(" there")
        + delta(
            counts(
                31,
                547,
                output_tokens_details={"thinking_tokens": 67},
                iterations=[
                    entry("message", 28, 106, STRICT),
                    entry("fallback_message", 31, 547, CHEAP),
                ],
            )
        )
        + STOP
    )
    declined, served = reading.parts
    assert (declined.role, declined.model, declined.output_tokens) == (
        "fallback_declined",
        STRICT,
        106,
    )
    assert declined.billable is None
    assert (served.role, served.model, served.output_tokens) == ("fallback_served", CHEAP, 547)
    assert served.reasoning_output_tokens == 67
    assert (reading.model, reading.fallback) == (CHEAP, True)
    assert reading.notes == ("refusal_category:cyber",)


def test_a_refusal_before_any_output() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "…"}
    reading = read_stream(
        start(counts(106, 1), model=STRICT)
        + delta({"output_tokens": 1}, stop_reason="refusal", stop_details=details)
        + STOP
    )
    assert reading.parts[0].billable is False
    assert reading.stop_reason == "refusal"
    assert reading.notes == ("refusal_category:cyber",)
    assert not reading.fallback


def test_a_chain_whose_last_model_declined_at_once() -> None:
    """The first had written something, the last had not: each is billed by its own case."""
    details = {"type": "refusal", "category": "cyber"}
    reading = read_stream(
        start(counts(28, 5), model=STRICT)
        + text("Hi")
        + fallback(STRICT, CHEAP, trigger=details)
        + delta(
            counts(
                31,
                0,
                iterations=[
                    entry("message", 28, 106, STRICT),
                    entry("fallback_message", 31, 0, CHEAP),
                ],
            ),
            stop_reason="refusal",
            stop_details=details,
        )
        + STOP
    )
    assert [(part.role, part.model, part.billable) for part in reading.parts] == [
        ("fallback_declined", STRICT, None),
        ("fallback_declined", CHEAP, False),
    ]
    assert (reading.model, reading.fallback) == (CHEAP, True)


def test_a_refusal_in_mid_output() -> None:
    details = {"type": "refusal", "category": None}
    reading = read_stream(
        start(counts(28, 5), model=STRICT)
        + text("Hi")
        + delta(counts(28, 106), stop_reason="refusal", stop_details=details)
        + STOP
    )
    assert reading.parts[0].billable is None
    assert reading.notes == ()


@pytest.mark.parametrize(
    ("credit", "said"),
    [
        ({"status": {"type": "redeemed"}}, ("fallback_credit:redeemed",)),
        (
            {"status": {"type": "not_applied", "reason": "expired"}},
            ("fallback_credit:not_applied",),
        ),
        ({"status": "redeemed"}, ()),
        ("redeemed", ()),
    ],
)
def test_a_fallback_credit_is_noted(credit: Any, said: tuple[str, ...]) -> None:
    reading = read_stream(
        start(counts(25, 8)) + delta(counts(25, 9, fallback_credit=credit)) + STOP
    )
    assert reading.notes == said


@pytest.mark.parametrize("name", [b"", b"event: message\n"])
def test_events_that_a_gateway_does_not_name_go_by_their_type(name: bytes) -> None:
    body = start(counts(25, 8)) + text("Hi") + delta(counts(25, 9)) + STOP
    unnamed = re.sub(rb"event: [a-z_]+\n", name, body)
    assert unnamed.count(b"event: ") == (6 if name else 0)
    assert read_stream(unnamed, step=7) == read_stream(body)


@pytest.mark.parametrize(
    ("first_party", "last", "answered"),
    [
        (False, delta(counts(25, 9)), True),
        (False, delta({"input_tokens": 25}), False),
        (False, delta(counts(25, 9), stop_reason=None), False),
        (False, delta(counts(25, 9)) + STOP, False),
        (True, delta(counts(25, 9)), False),
    ],
)
def test_a_gateway_may_leave_out_the_last_event(
    first_party: bool, last: bytes, answered: bool
) -> None:
    parser = open_parser(content_type="text/event-stream", first_party=first_party)
    reading = run(parser, start(counts(25, 8)) + text("Hi") + last)
    assert reading.answered is answered
    assert reading.ended is last.endswith(STOP)


def test_what_is_kept_of_a_stream_without_end_is_bounded() -> None:
    declined = {"category": None}
    many = b"".join(
        fallback(STRICT, CHEAP, trigger={**declined, "category": f"c{at}"})
        + block("tool_use", id=f"t{at}", name="Bash")
        for at in range(200)
    )
    calls = b"".join(block("tool_use", id=f"u{at}", name="Bash") for at in range(3000))
    reading = read_stream(start(counts(25, 8)) + many + calls + delta(counts(25, 9)) + STOP)
    assert len(reading.notes) <= MAX_NOTES + 1
    assert len(reading.tool_uses) == MAX_TOOL_USES
    assert reading.parts[0].output_tokens == 9
