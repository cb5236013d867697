from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.fixtures.google import counts, split
from tokenproxy.wire import notes
from tokenproxy.wire.google.interactions_reading import NAMES as INTERACTIONS
from tokenproxy.wire.google.live_call import NAMES as LIVE
from tokenproxy.wire.google.usage import GENERATE, Bill, Held, Names, bad_counts, bill, tier
from tokenproxy.wire.usage import UsagePart


def billed(*objects: dict[str, Any], names: Names = GENERATE) -> Bill:
    held = Held()
    for usage in objects:
        held = held.merged(usage, names)
    return bill(held, names)


@pytest.mark.parametrize(
    ("usage", "output", "reasoning", "whole"),
    [
        (counts(8, 5, 13), 5, None, True),
        (counts(8, 0, 8), 0, None, True),
        # zeros are left out of JSON: the total tells them
        (counts(8, None, 8), 0, None, True),
        (counts(8, None, 20), 12, None, True),
        (counts(8, None, 20, thoughtsTokenCount=12), 12, 12, True),
        (counts(8, None, 25, thoughtsTokenCount=12), 17, 12, True),
        (counts(8, 5, 25, thoughtsTokenCount=12), 17, 12, True),
        (counts(8, 17, 25, thoughtsTokenCount=12), 17, 12, True),
        (counts(8, 17, 25, thoughtsTokenCount=0), 17, 0, True),
        ({"promptTokenCount": 8, "candidatesTokenCount": 5}, 5, None, True),
        ({"promptTokenCount": 8, "candidatesTokenCount": 5, "thoughtsTokenCount": 3}, 8, 3, True),
        ({"promptTokenCount": 8}, None, None, False),
        ({"candidatesTokenCount": 5, "totalTokenCount": 9}, 5, None, False),
    ],
)
def test_output(
    usage: dict[str, Any], output: int | None, reasoning: int | None, whole: bool
) -> None:
    found = billed(usage)
    assert found.part is not None
    assert (found.part.output_tokens, found.part.reasoning_output_tokens) == (output, reasoning)
    assert found.whole is whole
    assert found.notes == ()


@pytest.mark.parametrize(
    ("usage", "output"),
    [
        (counts(8, 5, 14), 5),
        (counts(8, 5, 12), 5),
        # inside, but more thoughts than there is answer
        (counts(8, 5, 13, thoughtsTokenCount=9), 14),
        (counts(8, None, 10, thoughtsTokenCount=12), 12),
        (counts(8, None, 7), None),
    ],
)
def test_what_does_not_add_up(usage: dict[str, Any], output: int | None) -> None:
    found = billed(usage)
    assert found.part is not None
    assert found.part.output_tokens == output
    assert found.notes == (notes.TOTAL_MISMATCH,)
    assert not found.whole


def test_no_counts_are_no_usage() -> None:
    assert billed({}) == Bill()
    assert billed({"trafficType": "ON_DEMAND", "promptTokenCount": None}) == Bill()


def test_the_last_statement_holds() -> None:
    assert billed(counts(8, 3, 11), counts(9, 3, 12)) == billed(counts(9, 3, 12))
    assert billed(counts(8, 3, 11), {"candidatesTokenCount": None}) == billed(counts(8, 3, 11))


def test_the_largest_statement_holds_where_the_last_does_not_add_up() -> None:
    part = billed(counts(8, 30, 38), {"promptTokenCount": 8, "candidatesTokenCount": 2}).part
    assert part == UsagePart(uncached_input_tokens=8, output_tokens=30)


def test_more_cached_than_sent() -> None:
    found = billed(counts(100, 5, 105, cachedContentTokenCount=101))
    assert found.part == UsagePart(uncached_input_tokens=100, output_tokens=5)
    assert found.notes == (notes.CACHE_EXCEEDS_INPUT,)
    assert not found.whole


def test_kinds_of_input_and_output() -> None:
    part = billed(
        counts(
            1000,
            200,
            1290,
            toolUsePromptTokenCount=90,
            cachedContentTokenCount=300,
            promptTokensDetails=split(TEXT=400, AUDIO=250, VIDEO=200, IMAGE=100, DOCUMENT=50),
            cacheTokensDetails=split(TEXT=100, AUDIO=50, IMAGE=60, DOCUMENT=40, VIDEO=50),
            toolUsePromptTokensDetails=split(TEXT=60, IMAGE=30),
            candidatesTokensDetails=split(TEXT=50, AUDIO=100, IMAGE=50),
        )
    ).part
    assert part is not None
    assert part.uncached_input_tokens == 790
    assert part.modality_tokens == {
        "input_audio": 200,
        "input_video": 150,
        "input_image": 80,
        "cache_audio_read": 50,
        "cache_image_read": 100,
        "output_audio": 100,
        "output_image": 50,
    }


def test_media_of_which_it_is_not_told_whether_they_were_cached() -> None:
    found = billed(
        counts(1000, 5, 1005, cachedContentTokenCount=600, promptTokensDetails=split(AUDIO=900))
    )
    assert found.part is not None
    assert found.part.modality_tokens == {"input_audio": 400}
    assert found.notes == (notes.MODALITY_SPLIT_UNCLEAR,)
    assert found.whole


@pytest.mark.parametrize(
    "details",
    [
        {"promptTokensDetails": split(AUDIO=11)},
        {"candidatesTokensDetails": split(IMAGE=6)},
        {"cachedContentTokenCount": 4, "cacheTokensDetails": split(AUDIO=5)},
        {
            "cachedContentTokenCount": 4,
            "cacheTokensDetails": split(AUDIO=4),
            "promptTokensDetails": split(AUDIO=2),
        },
    ],
)
def test_a_kind_larger_than_its_whole_is_left_out(details: dict[str, Any]) -> None:
    found = billed(counts(10, 5, 15, **details))
    assert found.part is not None
    assert found.notes == (notes.MODALITY_EXCEEDS,)
    assert set(found.part.modality_tokens) <= {"cache_audio_read"}


@pytest.mark.parametrize(
    "details",
    [
        "AUDIO",
        [None, 7, {}, {"modality": 3, "tokenCount": 5}, {"modality": "AUDIO"}],
        [{"modality": "AUDIO", "tokenCount": -5}, {"modality": "SMELL", "tokenCount": 5}],
        {"modality": "AUDIO", "tokenCount": 5},
    ],
)
def test_odd_details_cost_only_themselves(details: Any) -> None:
    found = billed({**counts(10, 5, 15), "promptTokensDetails": details})
    assert found == Bill(UsagePart(uncached_input_tokens=10, output_tokens=5), whole=True)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("ON_DEMAND", "on_demand"),
        ("ON_DEMAND_FLEX", "on_demand_flex"),
        (" priority ", "priority"),
        ("TRAFFIC_TYPE_UNSPECIFIED", None),
        ("unspecified", None),
        ("", None),
        ("two words", None),
        (7, None),
        (None, None),
    ],
)
def test_tier(word: Any, expected: str | None) -> None:
    assert tier(word) == expected


def test_the_tier_of_the_gemini_api_goes_before_vertex_s() -> None:
    part = billed(counts(1, 1, 2, serviceTier="flex", trafficType="ON_DEMAND")).part
    assert part is not None
    assert part.service_tier == "flex"


def test_names_of_the_live_api() -> None:
    usage = {
        "promptTokenCount": 15,
        "responseTokenCount": 25,
        "totalTokenCount": 40,
        "responseTokensDetails": split(AUDIO=25),
    }
    expected = UsagePart(
        uncached_input_tokens=15, output_tokens=25, modality_tokens={"output_audio": 25}
    )
    assert billed(usage, names=LIVE).part == expected
    on_vertex = counts(15, 25, 40, candidatesTokensDetails=split(AUDIO=25))
    assert billed(on_vertex, names=LIVE).part == expected


def test_names_of_interactions() -> None:
    found = billed(
        {
            "total_input_tokens": 100,
            "total_cached_tokens": 40,
            "total_tool_use_tokens": 10,
            "total_output_tokens": 20,
            "total_thought_tokens": 5,
            "total_tokens": 135,
            "input_tokens_by_modality": [{"modality": "audio", "tokens": 30}],
            "cached_tokens_by_modality": [],
            "output_tokens_by_modality": [{"modality": "image", "tokens": 20}],
        },
        names=INTERACTIONS,
    )
    assert found.part == UsagePart(
        uncached_input_tokens=70,
        cache_read_input_tokens=40,
        output_tokens=25,
        reasoning_output_tokens=5,
        modality_tokens={"input_audio": 30, "output_image": 20},
    )


@pytest.mark.parametrize(
    ("usage", "bad"),
    [
        ({"promptTokenCount": "8"}, True),
        ({"thoughtsTokenCount": -1}, True),
        ({"totalTokenCount": 1.5}, True),
        ({"totalTokenCount": None, "promptTokenCount": 8.0}, False),
        ({"else": "8"}, False),
    ],
)
def test_bad_counts(usage: dict[str, Any], bad: bool) -> None:
    assert bad_counts(usage, GENERATE) is bad


_KEYS = st.sampled_from([*GENERATE.counts(), *GENERATE.others()])
_VALUES = st.one_of(
    st.integers(-2, 300),
    st.none(),
    st.text(max_size=3),
    st.lists(
        st.fixed_dictionaries(
            {"modality": st.sampled_from(["AUDIO", "IMAGE"]), "tokenCount": st.integers(-1, 99)}
        ),
        max_size=3,
    ),
)


@given(st.lists(st.dictionaries(_KEYS, _VALUES), max_size=4))
def test_whatever_is_stated_the_parts_fit_into_their_whole(objects: list[dict[str, Any]]) -> None:
    found = billed(*objects)
    part = found.part
    if part is None:
        return
    for name, tokens in part.modality_tokens.items():
        whole = {
            "input": part.uncached_input_tokens,
            "cache": part.cache_read_input_tokens,
            "output": part.output_tokens,
        }[name.partition("_")[0]]
        assert 0 < tokens <= (whole or 0)
    assert (part.reasoning_output_tokens or 0) <= (part.output_tokens or 0)
    assert (part.uncached_input_tokens or 0) >= 0


@given(
    prompt=st.integers(0, 10**6),
    tools=st.integers(0, 10**5),
    visible=st.integers(0, 10**5),
    thoughts=st.integers(0, 10**5),
    cached=st.integers(0, 10**6),
)
def test_what_the_documentation_says_adds_up(
    prompt: int, tools: int, visible: int, thoughts: int, cached: int
) -> None:
    cached = min(cached, prompt)
    found = billed(
        {
            "promptTokenCount": prompt,
            "toolUsePromptTokenCount": tools,
            "candidatesTokenCount": visible,
            "thoughtsTokenCount": thoughts,
            "cachedContentTokenCount": cached,
            "totalTokenCount": prompt + tools + visible + thoughts,
        }
    )
    part = found.part
    assert part is not None
    assert found.whole
    assert part.output_tokens == visible + thoughts
    assert part.uncached_input_tokens == prompt - cached + tools
    assert part.cache_read_input_tokens == cached


def test_a_total_alone_is_no_count_of_anything() -> None:
    found = billed({"totalTokenCount": 50})
    assert (found.part, found.whole, found.notes) == (None, False, (notes.TOTAL_MISMATCH,))
