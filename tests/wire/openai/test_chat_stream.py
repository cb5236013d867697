from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.fixtures.openai_chat import (
    DONE,
    ID,
    MODEL,
    chunk,
    event,
    open_parser,
    read_stream,
    stop,
    text,
    usage,
)
from tests.wire.strategies import chunked, cuts, garbage
from tokenproxy.wire import notes
from tokenproxy.wire.openai.accent import Accent
from tokenproxy.wire.openai.chat_stream import ChatStreamParser
from tokenproxy.wire.usage import Reading, ToolUse, UsagePart

LAST = usage(20, 7)
PART = UsagePart(uncached_input_tokens=20, output_tokens=7)
WHOLE = text("Hello.") + stop() + chunk(usage=LAST) + DONE
DIALECTS = [
    "openai.chat",
    "deepseek.chat",
    "mistral.chat",
    "xai.chat",
    "groq.chat",
    "openrouter.chat",
    "perplexity.chat",
    "google.chat",
]
COUNT = st.integers(0, 10_000)


def test_an_ordinary_stream() -> None:
    assert read_stream(WHOLE) == Reading(
        model=MODEL,
        response_id=ID,
        stop_reason="stop",
        parts=(PART,),
        usage=[LAST],
        completeness="final",
        ended=True,
        content_started=True,
    )


def test_feed_tells_when_there_is_something_to_journal() -> None:
    parser = open_parser()
    pieces = [
        (chunk({"role": "assistant", "content": ""}), True),
        (chunk({"content": "Hel"}), False),
        (chunk({"content": "lo."}), False),
        (chunk({"content": ""}, usage=usage(20, 2)), True),
        (chunk({"content": ""}, usage=usage(20, 3)), False),
        (chunk({"content": ""}, usage=usage(20, 4)), True),
        (stop(), False),
        (chunk(usage=usage(20, 5)), True),
        (DONE, False),
    ]
    # The head of a stream is kept until it is known to be one.
    assert [parser.feed(piece) for piece, _ in pieces] == [told for _, told in pieces]
    assert parser.take_items() == []


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "a"},
        {"content": [{"type": "text", "text": "a"}]},
        {"reasoning_content": "a"},
        {"reasoning": "a"},
        {"refusal": "a"},
        {"audio": {"id": "audio_1"}},
        {"tool_calls": [{"index": 0, "id": "call_1"}]},
        {"function_call": {"name": "f"}},
    ],
)
def test_what_is_content(delta: dict[str, Any]) -> None:
    assert read_stream(chunk(delta)).content_started


@pytest.mark.parametrize(
    "delta",
    [{}, {"role": "assistant", "content": ""}, {"content": None, "reasoning": None}, {"audio": {}}],
)
def test_what_is_none(delta: dict[str, Any]) -> None:
    assert not read_stream(chunk(delta)).content_started


def test_a_legacy_completion_streams_text() -> None:
    def piece(text: str, finish: str | None = None, **more: Any) -> bytes:
        choice = {"text": text, "index": 0, "finish_reason": finish}
        return event({"id": "cmpl-1", "model": "m", "choices": [choice], **more})

    assert not read_stream(piece("")).content_started
    reading = read_stream(piece("Hello") + piece(".", "length", usage=LAST) + DONE)
    assert reading.content_started
    assert (reading.stop_reason, reading.parts) == ("length", (PART,))


# -- usage ---------------------------------------------------------------------


def test_usage_so_far_is_a_lower_bound_until_the_finish() -> None:
    body = text("Hel", usage=usage(20, 3))
    assert read_stream(body).completeness == "partial"
    assert read_stream(body + stop(usage=LAST)).completeness == "final"


def test_later_usage_overrides_field_by_field() -> None:
    first = usage(20, 3, cached=16, reasoning=2)
    reading = read_stream(
        text("Hel", usage=first)
        + stop(usage={"completion_tokens": 7, "prompt_tokens_details": None, "total_tokens": 27})
        + DONE
    )
    assert reading.parts == (
        UsagePart(
            uncached_input_tokens=4,
            cache_read_input_tokens=16,
            output_tokens=7,
            reasoning_output_tokens=2,
        ),
    )
    assert len(reading.usage) == 2


def test_a_usage_that_restates_the_last_one_replaces_it_as_evidence() -> None:
    reading = read_stream(
        b"".join(chunk({"content": "a"}, usage=usage(20, number)) for number in range(100))
        + stop(usage=usage(20, 100))
        + DONE
    )
    assert reading.usage == [usage(20, 100)]
    assert reading.notes == ()


def test_evidence_is_bounded() -> None:
    body = b"".join(event({"usage": {f"key{number}": 1}}) for number in range(40))
    reading = read_stream(body)
    assert len(reading.usage) == 16
    assert reading.usage[-1] == {"key39": 1}
    assert notes.USAGE_OBJECTS_DROPPED in reading.notes


def test_usage_too_large_to_keep_is_read_all_the_same() -> None:
    large = {**LAST, **{f"key{number}": number for number in range(8000)}}
    reading = read_stream(text("a") + stop(usage=large) + DONE)
    assert (reading.parts, reading.usage) == ((PART,), [])
    assert reading.notes == (notes.USAGE_NOT_KEPT,)


def test_the_tier_beside_the_usage_comes_first() -> None:
    body = text("a", service_tier="auto") + stop() + chunk(service_tier="flex", usage=LAST) + DONE
    [part] = read_stream(body).parts
    assert part.service_tier == "flex"
    [part] = read_stream(text("a", service_tier="priority") + stop(usage=LAST) + DONE).parts
    assert part.service_tier == "priority"


def test_a_made_up_chunk_does_not_rename_the_model() -> None:
    reading = read_stream(text("a") + stop() + chunk(model="alias", usage=LAST) + DONE)
    assert reading.model == MODEL


# -- ends ----------------------------------------------------------------------


def test_the_end_is_an_end_without_its_blank_line() -> None:
    assert read_stream(WHOLE.rstrip(b"\n")).ended


def test_no_end_but_a_finish_with_usage_is_enough() -> None:
    reading = read_stream(text("a") + stop(usage=LAST))
    assert (reading.ended, reading.answered, reading.completeness) == (True, False, "final")
    reading = read_stream(text("a") + stop() + chunk(usage=LAST))
    assert (reading.ended, reading.answered, reading.completeness) == (True, False, "final")


def test_no_end_and_a_finish_without_usage_depends_on_how_the_body_ended() -> None:
    reading = read_stream(text("a") + stop())
    assert (reading.ended, reading.answered) == (False, True)
    assert reading.notes == (notes.INCLUDE_USAGE_ABSENT,)


def test_no_end_though_usage_was_promised() -> None:
    reading = read_stream(text("a", usage=None) + stop(usage=None))
    assert (reading.ended, reading.answered, reading.notes) == (False, False, ())


def test_no_end_in_the_middle_of_a_chunk() -> None:
    reading = read_stream(text("a") + stop() + chunk(usage=LAST)[:60])
    assert (reading.ended, reading.answered, reading.completeness) == (False, False, "none")


def test_an_end_without_a_finish_is_an_end() -> None:
    reading = read_stream(text("a", usage=LAST) + DONE)
    assert (reading.ended, reading.completeness, reading.stop_reason) == (True, "final", None)


def test_a_stream_of_nothing() -> None:
    assert read_stream(b"") == Reading()
    assert read_stream(DONE).ended


# -- tools ---------------------------------------------------------------------


def calls(*pieces: dict[str, Any]) -> tuple[ToolUse, ...]:
    return read_stream(b"".join(chunk({"tool_calls": [each]}) for each in pieces)).tool_uses


def piece(index: int | None, identity: str | None = None, name: str | None = None) -> Any:
    function = {"arguments": "{"} if name is None else {"name": name, "arguments": ""}
    return {"index": index, "id": identity, "function": function}


def test_calls_in_pieces() -> None:
    found = calls(piece(0, "a", "one"), piece(0), piece(1, "b", "two"), piece(1), piece(0))
    assert found == (ToolUse("a", "one"), ToolUse("b", "two"))


def test_name_and_id_in_pieces_of_their_own() -> None:
    assert calls(piece(0, "a"), piece(0, None, "one")) == (ToolUse("a", "one"),)
    assert calls(piece(0, None, "one"), piece(0, "a")) == (ToolUse("a", "one"),)


def test_every_piece_names_its_call() -> None:
    assert calls(piece(0, "a", "one"), piece(0, "a", "one")) == (ToolUse("a", "one"),)


def test_another_id_under_the_same_index_is_another_call() -> None:
    assert calls(piece(0, "a", "one"), piece(0, "b", "one")) == (
        ToolUse("a", "one"),
        ToolUse("b", "one"),
    )
    assert len(calls(piece(None, "a", "one"), piece(None, "b", "one"))) == 2


# -- errors --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "word"),
    [
        ({"error": {"type": "overloaded", "message": "Oh."}}, "overloaded"),
        ({"error": {"code": 503, "message": "Oh."}}, "overloaded_error"),
        ({"error": "Oh dear."}, "server_error"),
        ({"error": {"message": "Oh."}, "choices": []}, "server_error"),
        ({"object": "error", "message": "Oh.", "type": "BadRequestError"}, "BadRequestError"),
        ({"choices": [{"index": 0, "error": {"code": 429}}]}, "rate_limit_error"),
    ],
)
def test_errors_in_mid_stream(error: dict[str, Any], word: str) -> None:
    reading = read_stream(text("Hello") + event(error))
    assert (reading.error, reading.ended) == (word, False)


def test_usage_of_a_stream_that_failed_is_a_lower_bound() -> None:
    failed = event({"error": {"type": "overloaded"}})
    reading = read_stream(text("Hello", usage=LAST) + failed + DONE)
    assert (reading.error, reading.completeness) == ("overloaded", "partial")


def test_a_null_error_is_none() -> None:
    assert read_stream(text("Hello", error=None) + stop(error=None)).error is None


def test_unreadable_events_are_noted_and_passed_over() -> None:
    reading = read_stream(text("a") + b"data: nonsense\n\n" + stop(usage=LAST) + DONE)
    assert reading.notes == (notes.EVENT_UNREADABLE,)
    assert reading.parts == (PART,)


def test_an_event_beyond_bounds_is_noted() -> None:
    huge = b"data: {" + b" " * 17 * 1024 * 1024 + b"}\n\n"
    reading = read_stream(text("a") + huge + stop(usage=LAST) + DONE)
    assert reading.notes == (notes.EVENT_TOO_LARGE,)
    assert reading.completeness == "final"


# -- what holds for any stream ---------------------------------------------------


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """A stream in which anything that can come does, with spaces where JSON allows them."""
    counted = st.none() | st.builds(
        usage,
        COUNT,
        COUNT,
        total=st.none() | COUNT,
        cached=st.none() | COUNT,
        reasoning=st.none() | COUNT,
    )
    said: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
        [
            {"content": 'he said "usage":{"prompt_tokens":9} and "error":{}\u2028'},
            {"content": "usage"},
            {"content": ""},
            {"reasoning_content": "hm"},
            {"tool_calls": [piece(0, "call_1", "bash")]},
            {"tool_calls": [piece(0)]},
            {"content": "a", "tool_calls": None},
            {"role": "assistant"},
        ]
    )
    more = st.fixed_dictionaries(
        {},
        optional={
            "usage": counted,
            "service_tier": st.sampled_from([None, "default", "flex"]),
            "error": st.sampled_from([None, {"type": "overloaded"}]),
            "x_groq": st.fixed_dictionaries({"id": st.just("r")}, optional={"usage": counted}),
            "obfuscation": st.text(max_size=5),
        },
    )
    finish = st.sampled_from([None, None, None, "stop", "tool_calls"])
    model = st.sampled_from([MODEL, "", "other"])
    body = b"".join(
        chunk(draw(said), finish=draw(finish), model=draw(model), **draw(more))
        for _ in range(draw(st.integers(0, 8)))
    )
    body += draw(st.sampled_from([b"", stop(), stop(usage=LAST), stop() + chunk(usage=LAST)]))
    body += draw(st.sampled_from([b"", DONE, event({"object": "error", "type": "oops"})]))
    if draw(st.booleans()):
        body = body.replace(b'":', b'" : ').replace(b"data:", b"data: ")
    return body.replace(b"\n", draw(st.sampled_from([b"\n", b"\r\n"])))


def through(parser: ChatStreamParser, pieces: list[bytes]) -> Reading:
    for each in pieces:
        parser.feed(each)
    parser.close()
    parser.close()
    return parser.reading


@given(body=streams(), keys=st.sampled_from([(), ("x_groq",), ("type",)]), data=st.data())
def test_passing_over_chunks_reads_the_same_as_decoding_them_all(
    body: bytes, keys: tuple[str, ...], data: st.DataObject
) -> None:
    accent = Accent(name="any", keys=keys)
    pieces = chunked(body, data.draw(cuts(len(body))))
    quick = through(ChatStreamParser(accent), pieces)
    assert quick == through(ChatStreamParser(accent, thorough=True), [body])


@given(body=streams(), name=st.sampled_from(DIALECTS), data=st.data())
def test_any_chunking_reads_the_same(body: bytes, name: str, data: st.DataObject) -> None:
    parser = open_parser(name)
    for each in chunked(body, data.draw(cuts(len(body)))):
        parser.feed(each)
    parser.close()
    assert parser.reading == read_stream(body, name)


@given(completion=st.integers(1, 5000), prompt=COUNT, null=st.booleans(), data=st.data())
def test_a_cut_stream_never_says_more_than_the_whole(
    *, completion: int, prompt: int, null: bool, data: st.DataObject
) -> None:
    more: dict[str, Any] = {"usage": None} if null else {}
    counted = usage(prompt, completion)
    body = text("Hel", "lo", **more) + stop(**more) + chunk(usage=counted) + DONE
    whole = read_stream(body)
    assert whole.completeness == "final"
    cut = read_stream(body[: data.draw(st.integers(0, len(body)))])
    assert cut.ended is False or cut == whole
    assert cut.completeness == "none" or cut.parts == whole.parts
    assert not (null and cut.answered)


@pytest.mark.parametrize(
    ("last", "said"),
    [
        # Moonshot: in the choice that it is the usage of.
        (
            event({"id": "c", "choices": [{"delta": {}, "finish_reason": "stop", "usage": LAST}]}),
            (),
        ),
        # Gateways that know nothing any more when they say so.
        (stop(usage=LAST) + chunk(usage=usage(0, 0)), (notes.INPUT_ZERO_IGNORED,)),
        (stop(usage=LAST) + chunk({}, usage=usage(0, 0)), (notes.INPUT_ZERO_IGNORED,)),
        # They know the output only.
        (chunk({}, usage=usage(0, 0)) + stop(usage=LAST), ()),
    ],
)
def test_usage_where_others_have_it(last: bytes, said: tuple[str, ...]) -> None:
    reading = read_stream(text("Hello.") + last + DONE)
    assert reading.parts == read_stream(text("Hello.") + stop(usage=LAST) + DONE).parts
    assert (reading.completeness, reading.notes) == ("final", said)


def test_the_first_of_several_answers_to_finish_is_not_the_last_word() -> None:
    """vLLM with ``continuous_usage_stats``: usage so far in every chunk."""
    other = event(
        {"id": "c", "choices": [{"index": 1, "delta": {"content": "b"}}], "usage": usage(9, 3)}
    )
    cut = chunk({"content": "a"}, usage=usage(9, 1)) + stop(usage=usage(9, 2)) + other
    reading = read_stream(cut)
    assert (reading.completeness, reading.ended) == ("partial", False)
    assert reading.parts[0].output_tokens == 3
    whole = read_stream(cut + chunk(usage=usage(9, 5)))
    assert (whole.completeness, whole.ended) == ("final", True)


def test_a_heartbeat_or_a_filters_verdict_is_no_usage() -> None:
    """Azure's first chunk judges the prompt; others keep alive with nothing."""
    verdict = event({"id": "", "model": "", "choices": [], "prompt_filter_results": [{}]})
    nothing = event({"choices": []}) + b": PING\n\n"
    body = verdict + nothing + text("Hello.") + nothing + stop() + nothing
    reading = read_stream(body + chunk(usage=LAST) + DONE)
    assert reading == read_stream(text("Hello.") + stop() + chunk(usage=LAST) + DONE)
    assert read_stream(body + DONE).completeness == "none"


@given(
    body=garbage(),
    before=st.sampled_from([b"", text("a"), text("a") + stop(usage=LAST)]),
    name=st.sampled_from(DIALECTS),
    status=st.sampled_from([200, 204, 302, 400, 529]),
    content_type=st.sampled_from(["", "text/event-stream", "application/json", "\xff;;"]),
    operation=st.sampled_from(["chat", "text_completion", "ocr", ""]),
    data=st.data(),
)
def test_garbage_never_raises(
    *,
    body: bytes,
    before: bytes,
    name: str,
    status: int,
    content_type: str,
    operation: str,
    data: st.DataObject,
) -> None:
    parser = open_parser(name, status=status, content_type=content_type, operation=operation)
    for each in chunked(before + body, data.draw(cuts(len(before + body)))):
        parser.feed(each)
    parser.close()
    parser.close()
    stored = msgspec.json.encode(parser.reading)
    assert msgspec.json.decode(stored, type=Reading) == parser.reading


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["id", "model", "choices", "delta", "usage", "tool_calls", "function", "error",
                     "prompt_tokens", "completion_tokens", "prompt_tokens_details", "x_groq",
                     "usage_breakdown", "models", "cost", "type", "outputs", "finish_reason"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    ),
    st.sampled_from(DIALECTS),
)  # fmt: skip
def test_wrong_types_never_raise(value: object, name: str) -> None:
    whole = json.dumps(value).encode()
    for body in (b"data: " + whole + b"\n\n" + DONE, whole):
        parser = open_parser(name, content_type="")
        parser.feed(body)
        parser.close()
        for part in parser.reading.parts:
            counts = (part.uncached_input_tokens, part.output_tokens)
            assert all(number is None or number >= 0 for number in counts)
