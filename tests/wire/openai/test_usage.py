from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.fixtures.openai_chat import usage
from tokenproxy.wire import notes
from tokenproxy.wire.openai.fields import CHAT_FIELDS, RESPONSES_FIELDS, Beside, Fields
from tokenproxy.wire.openai.usage import Bill, bill
from tokenproxy.wire.usage import UsagePart

COUNT = st.integers(0, 10_000)
OUTSIDE = msgspec.structs.replace(CHAT_FIELDS, reasoning_nesting="outside")


def part(found: Bill) -> UsagePart:
    assert found.part is not None
    return found.part


def test_everything_that_openai_states() -> None:
    stated = {
        "prompt_tokens": 18_014,
        "completion_tokens": 500,
        "total_tokens": 18_514,
        "prompt_tokens_details": {
            "cached_tokens": 12_000,
            "cache_write_tokens": 5000,
            "cache_write_tokens_details": {"ttl_30m_tokens": 4000, "ttl_12h_tokens": 1000},
            "audio_tokens": 14,
        },
        "completion_tokens_details": {
            "reasoning_tokens": 300,
            "audio_tokens": 25,
            "accepted_prediction_tokens": 1,
            "rejected_prediction_tokens": 2,
        },
    }
    assert bill(stated, service_tier="flex", model="m", role="transcription") == Bill(
        UsagePart(
            role="transcription",
            model="m",
            uncached_input_tokens=1014,
            cache_read_input_tokens=12_000,
            cache_creation_input_tokens=5000,
            cache_creation_30m_input_tokens=4000,
            cache_creation_12h_input_tokens=1000,
            output_tokens=500,
            reasoning_output_tokens=300,
            modality_tokens={"input_audio": 14, "output_audio": 25},
            service_tier="flex",
        )
    )


def test_the_responses_api_has_other_names_for_the_same() -> None:
    stated = {
        "input_tokens": 100,
        "input_tokens_details": {
            "cached_tokens": 60,
            "cache_write_tokens_details": {"ttl_30m_tokens": 10},
        },
        "output_tokens": 50,
        "output_tokens_details": {"reasoning_tokens": 40},
        "total_tokens": 150,
    }
    assert bill(stated, RESPONSES_FIELDS) == Bill(
        UsagePart(
            uncached_input_tokens=30,
            cache_read_input_tokens=60,
            cache_creation_input_tokens=10,
            cache_creation_30m_input_tokens=10,
            output_tokens=50,
            reasoning_output_tokens=40,
        )
    )


def test_what_is_not_stated_is_not_known() -> None:
    assert bill({}) == Bill(None)
    assert bill({"prompt_tokens": 3}).part == UsagePart(uncached_input_tokens=3)
    assert bill({"completion_tokens": 3}).part == UsagePart(output_tokens=3)
    assert bill({"total_tokens": 3}).part is None


@pytest.mark.parametrize(
    "stated",
    [
        usage(100, 5, cached=60),
        usage(100, 5, cached_tokens=60),
        usage(100, 5, cache_read_input_tokens=60),
        usage(100, 5, prompt_cache_hit_tokens=60, prompt_cache_miss_tokens=40),
    ],
)
def test_cache_reads_by_the_names_of_imitators(stated: dict[str, Any]) -> None:
    assert bill(stated) == Bill(
        UsagePart(uncached_input_tokens=40, cache_read_input_tokens=60, output_tokens=5)
    )


@pytest.mark.parametrize(
    ("stated", "fields", "output"),
    [
        # the total has the reasoning inside, or beside, whatever the convention
        (usage(10, 80, total=90, reasoning=50), CHAT_FIELDS, 80),
        (usage(10, 80, total=90, reasoning=50), OUTSIDE, 80),
        (usage(10, 80, total=140, reasoning=50), CHAT_FIELDS, 130),
        (usage(10, 80, total=140, reasoning=50), OUTSIDE, 130),
        # no total: by convention
        ({**usage(10, 80, reasoning=50), "total_tokens": None}, CHAT_FIELDS, 80),
        ({**usage(10, 80, reasoning=50), "total_tokens": None}, OUTSIDE, 130),
    ],
)
def test_reasoning_by_arithmetic(stated: dict[str, Any], fields: Fields, output: int) -> None:
    found = bill(stated, fields)
    assert part(found).output_tokens == output
    assert part(found).reasoning_output_tokens == 50
    assert found.balanced
    assert found.notes == ()


def test_a_gateway_that_keeps_the_cache_beside_the_prompt() -> None:
    stated = usage(
        3, 10, total=18_024, cache_read_input_tokens=18_000, cache_creation_input_tokens=11
    )
    assert bill(stated) == Bill(
        UsagePart(
            uncached_input_tokens=3,
            cache_read_input_tokens=18_000,
            cache_creation_input_tokens=11,
            output_tokens=10,
        )
    )


def test_where_nothing_balances_the_numbers_stay_and_it_is_said() -> None:
    assert bill(usage(100, 80, total=999, cached=10, reasoning=50)) == Bill(
        UsagePart(
            uncached_input_tokens=90,
            cache_read_input_tokens=10,
            output_tokens=80,
            reasoning_output_tokens=50,
        ),
        (notes.TOTAL_MISMATCH,),
        balanced=False,
    )


def test_reasoning_that_cannot_be_inside_is_beside_where_that_is_the_convention() -> None:
    found = bill(usage(100, 20, total=999, reasoning=50), OUTSIDE)
    assert part(found).output_tokens == 70
    assert found.notes == (notes.TOTAL_MISMATCH,)


def test_more_cached_than_input_is_left_out_and_said() -> None:
    assert bill(usage(100, 80, cached=101)) == Bill(
        UsagePart(uncached_input_tokens=100, output_tokens=80),
        (notes.CACHE_EXCEEDS_INPUT,),
        balanced=False,
    )


def test_of_reads_and_writes_that_exceed_the_input_together_the_reads_stay() -> None:
    stated = {
        **usage(100, 80),
        "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 41},
    }
    assert bill(stated) == Bill(
        UsagePart(uncached_input_tokens=40, cache_read_input_tokens=60, output_tokens=80),
        (notes.CACHE_EXCEEDS_INPUT,),
        balanced=False,
    )


def test_more_reasoning_than_output_is_left_out_and_said() -> None:
    assert bill(usage(100, 80, reasoning=81)) == Bill(
        UsagePart(uncached_input_tokens=100, output_tokens=80),
        (notes.REASONING_EXCEEDS_OUTPUT,),
    )


def test_a_split_of_writes_beyond_their_total_is_left_out_and_said() -> None:
    details = {
        "cache_write_tokens": 10,
        "cache_write_tokens_details": {"ttl_30m_tokens": 9, "ttl_12h_tokens": 2},
    }
    found = bill({**usage(100, 80), "prompt_tokens_details": details})
    assert part(found).cache_creation_input_tokens == 10
    assert part(found).cache_creation_30m_input_tokens is None
    assert part(found).cache_creation_12h_input_tokens is None
    assert found.notes == (notes.CACHE_SPLIT_EXCEEDS,)


@pytest.mark.parametrize("bad", [-1, 1.5, True, "12", 2**60, "1e999"])
def test_a_count_out_of_range_costs_itself_alone(bad: object) -> None:
    found = bill({**usage(100, 80, reasoning=50), "prompt_tokens": bad})
    assert part(found) == UsagePart(output_tokens=80, reasoning_output_tokens=50)
    assert found.notes == (notes.BAD_COUNT,)


def test_kinds_of_tokens_lie_inside_what_they_are_kinds_of() -> None:
    stated = {
        **usage(100, 10, cached=40),
        "prompt_tokens_details": {
            "cached_tokens": 40,
            "audio_tokens": 50,
            "cached_tokens_details": {"audio_tokens": 30},
            "image_tokens": 61,
        },
        "completion_tokens_details": {"audio_tokens": 11, "image_tokens": 0},
    }
    found = bill(stated)
    assert part(found).modality_tokens == {"input_audio": 20, "cache_audio_read": 30}
    assert found.notes == (notes.MODALITY_EXCEEDS,)


@pytest.mark.parametrize(
    ("stated", "output", "reasoning", "said"),
    [
        (usage(20, 198, total=623), 603, 405, ()),
        (usage(20, 198), 198, None, ()),
        (usage(20, 198, total=218, reasoning=8), 198, 8, ()),
        (usage(20, 198, total=623, reasoning=8), 198, 8, (notes.TOTAL_MISMATCH,)),
        (usage(20, 198, total=100), 198, None, (notes.TOTAL_MISMATCH,)),
        ({"prompt_tokens": 20, "completion_tokens": 198}, 198, None, ()),
    ],
)
def test_what_the_total_has_beyond_may_be_reasoning(
    stated: dict[str, Any], output: int, reasoning: int | None, said: tuple[str, ...]
) -> None:
    fields = msgspec.structs.replace(CHAT_FIELDS, rest_is_reasoning=True)
    found = bill(stated, fields)
    assert part(found) == UsagePart(
        uncached_input_tokens=20, output_tokens=output, reasoning_output_tokens=reasoning
    )
    assert found.notes == said
    assert bill(usage(20, 198, total=623)).notes == (notes.TOTAL_MISMATCH,)


@pytest.mark.parametrize(
    "written",
    [
        {"prompt_tokens_details": {"cache_write_tokens": 30}},
        {"prompt_tokens_details": {"cache_creation_tokens": 30}},
        {"prompt_tokens_details": {"cache_creation_input_tokens": 30}},
        {"cache_creation_input_tokens": 30},
    ],
)
def test_cache_writes_by_any_of_their_names(written: dict[str, Any]) -> None:
    one = part(bill(usage(100, 10, **written)))
    assert (one.uncached_input_tokens, one.cache_creation_input_tokens) == (70, 30)


def test_counts_beside() -> None:
    fields = msgspec.structs.replace(
        CHAT_FIELDS,
        beside=(
            Beside(("extra",), "input"),
            Beside(("quotes",), "output", "always_outside", "output_citation"),
        ),
    )
    inside = bill(usage(100, 10, extra=30, quotes=5), fields)
    beside = bill(usage(100, 10, total=140, extra=30, quotes=5), fields)
    assert part(inside) == UsagePart(
        uncached_input_tokens=100, output_tokens=15, modality_tokens={"output_citation": 5}
    )
    assert part(beside) == msgspec.structs.replace(part(inside), uncached_input_tokens=130)
    assert inside.notes == beside.notes == ()


def test_server_tools_have_one_name_each_and_sums_are_none() -> None:
    fields = msgspec.structs.replace(
        CHAT_FIELDS,
        server_tools={"pages": ("pages_processed",)},
        server_tool_tables=(("tools",), ("older",)),
        no_tools=frozenset({"all"}),
    )
    table = {"web_search_calls": 2, "fetch": 1, "code_requests": 3, "idle_calls": 0, "all": 6}
    found = bill(usage(1, 1, tools=table, older={"x": 1}, pages_processed=7), fields)
    assert part(found).server_tool_use == {
        "web_search_requests": 2,
        "fetch_requests": 1,
        "code_requests": 3,
        "pages": 7,
    }


def test_the_usages_own_tier_comes_first() -> None:
    assert part(bill(usage(1, 1, service_tier="flex"), service_tier="auto")).service_tier == "flex"


@given(
    prompt=COUNT,
    completion=COUNT,
    total=st.none() | COUNT,
    cached=st.none() | COUNT,
    reasoning=st.none() | COUNT,
    more=st.dictionaries(
        st.sampled_from(["cached_tokens", "reasoning_tokens", "cache_creation_input_tokens"]),
        st.none() | st.integers(-5, 10_000) | st.text(max_size=3) | st.floats(),
    ),
    fields=st.sampled_from([CHAT_FIELDS, OUTSIDE]),
)
def test_no_part_is_ever_negative_or_larger_than_its_whole(
    *,
    prompt: int,
    completion: int,
    total: int | None,
    cached: int | None,
    reasoning: int | None,
    more: dict[str, Any],
    fields: Fields,
) -> None:
    stated = usage(prompt, completion, cached=cached, reasoning=reasoning, **more)
    found = bill({**stated, "total_tokens": total}, fields)
    one = part(found)
    assert one.uncached_input_tokens is not None
    assert one.output_tokens is not None
    assert one.uncached_input_tokens >= 0
    inputs = (one.uncached_input_tokens, one.cache_read_input_tokens or 0)
    whole_input = sum(inputs) + (one.cache_creation_input_tokens or 0)
    assert whole_input >= prompt
    assert one.output_tokens >= completion
    assert (one.reasoning_output_tokens or 0) <= one.output_tokens
    if total is not None and found.balanced:
        assert whole_input + one.output_tokens == total


@given(uncached=COUNT, read=COUNT, write=COUNT, text=COUNT, reasoning=COUNT, outside=st.booleans())
def test_each_convention_is_read_as_it_is_meant(
    *, uncached: int, read: int, write: int, text: int, reasoning: int, outside: bool
) -> None:
    prompt, output = uncached + read + write, text + reasoning
    stated = usage(
        prompt,
        text if outside else output,
        total=prompt + output,
        reasoning=reasoning,
        cached_tokens=read,
        cache_creation_input_tokens=write,
    )
    found = bill(stated, OUTSIDE if outside else CHAT_FIELDS)
    assert found.balanced
    assert part(found) == UsagePart(
        uncached_input_tokens=uncached,
        cache_read_input_tokens=read,
        cache_creation_input_tokens=write,
        output_tokens=output,
        reasoning_output_tokens=reasoning,
    )
