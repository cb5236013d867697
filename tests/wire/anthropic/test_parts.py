from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.fixtures.anthropic import CHEAP, MODEL, STRICT, counts, entry
from tokenproxy.wire import notes
from tokenproxy.wire.anthropic.attempts import Hop, Story
from tokenproxy.wire.anthropic.parts import bill
from tokenproxy.wire.usage import UsagePart


def hop(declined: str = STRICT, served: str = CHEAP, category: str | None = None) -> Hop:
    return Hop(declined=declined, served=served, category=category, category_known=True)


def story(**more: Any) -> Story:
    return Story(**{"model": MODEL, "itemized": True, "silent": False, **more})


def part(role: str, model: str | None, uncached: int, output: int, **more: Any) -> UsagePart:
    return UsagePart(
        role=role,
        model=model,
        uncached_input_tokens=uncached,
        cache_read_input_tokens=0,
        cache_creation_input_tokens=0,
        output_tokens=output,
        **more,
    )


COUNTS = st.none() | st.integers(0, 50)
SPLITS = st.none() | st.fixed_dictionaries(
    {},
    optional={"ephemeral_5m_input_tokens": COUNTS, "ephemeral_1h_input_tokens": COUNTS},
)


@given(
    usage=st.fixed_dictionaries(
        {},
        optional={
            "input_tokens": COUNTS, "output_tokens": COUNTS, "cache_read_input_tokens": COUNTS,
            "cache_creation_input_tokens": COUNTS, "cache_creation": SPLITS,
            "output_tokens_details": st.fixed_dictionaries({"thinking_tokens": COUNTS}),
            "server_tool_use": st.fixed_dictionaries({"web_search_requests": COUNTS}),
            "service_tier": st.just("standard"), "speed": st.just("fast"),
        },
    ),
    told=st.fixed_dictionaries(
        {},
        optional={
            "refused": st.booleans(), "silent": st.booleans(), "itemized": st.booleans(),
            "category": st.sampled_from([None, "bio", "cyber"]),
        },
    ),
)  # fmt: skip
def test_one_attempt_is_billed_as_any_number_is(usage: Any, told: Any) -> None:
    """Iterations that are no list are none, but have to be looked at."""
    odd = {**usage, "iterations": {"of": "another kind"}}
    assert bill(usage, story(**told)) == bill(odd, story(**told))._replace(model=None)


def test_without_iterations_the_top_level_is_the_part() -> None:
    usage = counts(
        3,
        500,
        read=100_000,
        created=1000,
        cache_creation={"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 1000},
        output_tokens_details={"thinking_tokens": 200},
        server_tool_use={"web_search_requests": 2, "web_fetch_requests": 0},
        service_tier="priority",
        speed="fast",
        inference_geo="us",
    )
    assert bill(usage, story()).parts == (
        UsagePart(
            uncached_input_tokens=3,
            cache_read_input_tokens=100_000,
            cache_creation_input_tokens=1000,
            cache_creation_5m_input_tokens=0,
            cache_creation_1h_input_tokens=1000,
            output_tokens=500,
            reasoning_output_tokens=200,
            server_tool_use={"web_search_requests": 2, "web_fetch_requests": 0},
            service_tier="priority",
            speed="fast",
            inference_geo="us",
        ),
    )
    assert bill(usage, story()).notes == ()


@pytest.mark.parametrize("usage", [{}, {"input_tokens": None}, {"service_tier": "standard"}])
def test_no_counts_no_parts(usage: dict[str, Any]) -> None:
    assert bill(usage, story()).parts == ()


def test_zeros_are_counts() -> None:
    assert bill(counts(0, 0), story()).parts == (part("main", None, 0, 0),)


def test_iterations_of_one_model_are_one_part() -> None:
    """The rounds of a server tool's loop; what the top level alone tells belongs to their sum."""
    usage = counts(
        1760,
        531,
        read=412,
        output_tokens_details={"thinking_tokens": 500},
        server_tool_use={"web_search_requests": 1},
        iterations=[entry("message", 412, 89), entry("message", 1348, 442, read=412)],
    )
    [only] = bill(usage, story()).parts
    assert (only.role, only.model) == ("main", None)
    assert only.uncached_input_tokens == 1760
    assert only.cache_read_input_tokens == 412
    assert only.output_tokens == 531
    assert only.reasoning_output_tokens == 500
    assert only.server_tool_use == {"web_search_requests": 1}
    assert bill(usage, story()).notes == ()


def test_compaction_is_billed_on_top() -> None:
    usage = counts(
        23_000,
        1000,
        iterations=[entry("compaction", 180_000, 3500), entry("message", 23_000, 1000)],
    )
    billing = bill(usage, story())
    assert billing.parts == (
        part("compaction", None, 180_000, 3500),
        part("main", None, 23_000, 1000),
    )
    assert billing.notes == ()


def test_compaction_alone() -> None:
    """Compaction on demand answers nothing else: the top level is zero."""
    usage = counts(0, 0, iterations=[entry("compaction", 144, 276)])
    billing = bill(usage, story())
    assert billing.parts == (part("compaction", None, 144, 276),)
    assert billing.notes == ()


def test_the_advisor_is_billed_to_its_own_model() -> None:
    usage = counts(
        1760,
        531,
        read=412,
        speed="fast",
        iterations=[
            entry("message", 412, 89),
            entry("advisor_message", 823, 1612, STRICT),
            entry("message", 1348, 442, read=412),
        ],
    )
    main, advisor = bill(usage, story()).parts
    assert (main.role, main.output_tokens, main.speed) == ("main", 531, "fast")
    assert advisor == part("advisor", STRICT, 823, 1612)
    assert advisor.speed is None


def test_the_attempts_win_over_a_top_level_that_differs() -> None:
    usage = counts(412, 531, iterations=[entry("message", 412, 89), entry("message", 1348, 442)])
    billing = bill(usage, story())
    assert billing.parts == (part("main", None, 1760, 531),)
    assert billing.notes == (notes.ITERATIONS_MISMATCH,)


def test_top_level_tokens_of_nobody_are_kept() -> None:
    usage = counts(120, 40, iterations=[entry("advisor_message", 3400, 90, STRICT)])
    billing = bill(usage, story())
    assert billing.parts == (part("main", None, 120, 40), part("advisor", STRICT, 3400, 90))
    assert billing.notes == (notes.ITERATIONS_WITHOUT_MESSAGE,)


@pytest.mark.parametrize("empty", [[], None, {}, "x"])
def test_empty_iterations_are_none(empty: Any) -> None:
    assert bill(counts(5, 6, iterations=empty), story()).parts == (part("main", None, 5, 6),)


def test_an_entry_without_counts_takes_the_top_levels() -> None:
    billing = bill(counts(5, 6, iterations=[{"type": "message"}]), story())
    assert billing.parts == (part("main", None, 5, 6),)


def test_iterations_that_are_not_final_only_add() -> None:
    """``message_start`` may list a compaction; its ``message`` entry holds placeholders."""
    usage = counts(
        23_000, 1000, iterations=[entry("compaction", 180_000, 3500), entry("message", 23_000, 1)]
    )
    billing = bill(usage, story(itemized=False))
    assert billing.parts == (
        part("main", None, 23_000, 1000),
        part("compaction", None, 180_000, 3500),
    )
    assert billing.notes == ()


def test_a_fallback_names_who_answered() -> None:
    usage = counts(
        412,
        264,
        iterations=[entry("message", 535, 40, STRICT), entry("fallback_message", 412, 264, CHEAP)],
    )
    billing = bill(usage, story(model=CHEAP, hops=[hop()]))
    assert billing.fallback
    assert billing.model == CHEAP
    assert billing.parts == (
        part("fallback_declined", STRICT, 535, 40),
        part("fallback_served", CHEAP, 412, 264),
    )
    assert billing.notes == ()


@pytest.mark.parametrize(
    ("category", "billable"),
    [
        ("cyber", False),
        (None, False),
        ("general_harms", False),
        ("bio", True),
        ("frontier_llm", True),
        ("reasoning_extraction", True),
    ],
)
def test_a_decline_before_output_is_billed_by_its_category(
    category: str | None,
    billable: bool,
) -> None:
    usage = counts(
        412,
        264,
        iterations=[entry("message", 535, 0, STRICT), entry("fallback_message", 412, 264, CHEAP)],
    )
    billing = bill(usage, story(model=CHEAP, hops=[hop(category=category)]))
    assert billing.parts == (
        part("fallback_declined", STRICT, 535, 0, billable=billable),
        part("fallback_served", CHEAP, 412, 264),
    )


def test_the_requested_model_may_be_an_alias_in_its_block() -> None:
    """Blocks then belong to the attempts by their order."""
    usage = counts(
        412,
        264,
        iterations=[
            entry("message", 535, 0, STRICT),
            entry("message", 500, 0, CHEAP),
            entry("fallback_message", 412, 264, MODEL),
        ],
    )
    hops = [hop("an-alias", CHEAP, "bio"), hop(CHEAP, MODEL, "cyber")]
    billing = bill(usage, story(hops=hops))
    assert [one.billable for one in billing.parts] == [True, False, None]


def test_a_decline_without_a_reason_is_taken_as_unbilled_and_noted() -> None:
    usage = counts(
        412,
        264,
        iterations=[entry("message", 535, 0, STRICT), entry("fallback_message", 412, 264, CHEAP)],
    )
    billing = bill(usage, story(model=CHEAP))
    assert billing.parts[0].billable is False
    assert billing.notes == (notes.REFUSAL_CATEGORY_UNKNOWN,)


def test_a_cut_fallback_is_the_block_s_model() -> None:
    billing = bill(counts(28, 5), story(model=CHEAP, hops=[hop()], itemized=False))
    assert billing.parts == (part("fallback_served", CHEAP, 28, 5),)
    assert billing.notes == (notes.FALLBACK_UNITEMIZED,)
    assert billing.fallback


@pytest.mark.parametrize(
    ("category", "output", "silent", "billable", "said"),
    [
        ("cyber", 0, True, False, ()),
        ("cyber", 1, True, False, ()),
        (None, 4, True, False, ()),
        ("bio", 0, True, True, ()),
        ("cyber", 106, False, None, ()),
        ("cyber", 1, False, None, ()),
        ("cyber", 106, True, None, (notes.REFUSAL_OUTPUT_UNCLEAR,)),
    ],
)
def test_a_refusal(
    category: str | None,
    output: int,
    silent: bool,
    billable: bool | None,
    said: tuple[str, ...],
) -> None:
    billing = bill(
        counts(28, output), story(model=STRICT, refused=True, category=category, silent=silent)
    )
    assert billing.parts == (part("main", None, 28, output, billable=billable),)
    assert billing.notes == said


def test_a_chain_in_which_all_declined() -> None:
    usage = counts(
        412,
        0,
        iterations=[entry("message", 535, 0, STRICT), entry("fallback_message", 412, 0, CHEAP)],
    )
    billing = bill(
        usage,
        story(model=CHEAP, hops=[hop(category="cyber")], refused=True, category="bio", silent=True),
    )
    assert billing.parts == (
        part("fallback_declined", STRICT, 535, 0, billable=False),
        part("fallback_declined", CHEAP, 412, 0, billable=True),
    )


def test_the_split_of_the_start_serves_iterations_without_one() -> None:
    split = {"ephemeral_5m_input_tokens": 2000, "ephemeral_1h_input_tokens": 48}
    usage = counts(
        12,
        55,
        created=2048,
        cache_creation=split,
        iterations=[entry("message", 12, 55, created=2048)],
    )
    [only] = bill(usage, story()).parts
    assert only.cache_creation_5m_input_tokens == 2000
    assert only.cache_creation_1h_input_tokens == 48


def test_the_split_of_the_iterations_goes_first() -> None:
    usage = counts(
        12,
        55,
        created=2048,
        cache_creation={"ephemeral_5m_input_tokens": 2048, "ephemeral_1h_input_tokens": 0},
        iterations=[
            entry(
                "message",
                12,
                55,
                created=2048,
                cache_creation={"ephemeral_5m_input_tokens": 48, "ephemeral_1h_input_tokens": 2000},
            )
        ],
    )
    [only] = bill(usage, story()).parts
    assert only.cache_creation_5m_input_tokens == 48
    assert only.cache_creation_1h_input_tokens == 2000


def test_the_top_level_split_is_the_answering_attempts_alone() -> None:
    split = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 2048}
    usage = counts(
        12,
        55,
        created=2048,
        cache_creation=split,
        iterations=[
            entry("message", 12, 9, STRICT, created=2048),
            entry("fallback_message", 12, 55, CHEAP, created=2048),
        ],
    )
    billing = bill(usage, story(model=CHEAP, hops=[hop()]))
    assert [one.cache_creation_5m_input_tokens for one in billing.parts] == [2048, 0]
    assert [one.cache_creation_1h_input_tokens for one in billing.parts] == [None, 2048]
    assert billing.notes == (notes.CACHE_SPLIT_REMAINDER,)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 500) | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
ENTRY = st.dictionaries(
    st.sampled_from(["type", "model", "input_tokens", "output_tokens", "cache_creation"]),
    JSON
    | st.sampled_from(
        ["message", "compaction", "advisor_message", "fallback_message", MODEL, CHEAP, STRICT]
    ),
)


@given(
    usage=st.dictionaries(
        st.sampled_from(["input_tokens", "output_tokens", "cache_creation_input_tokens", "speed"]),
        JSON,
    ),
    iterations=JSON | st.lists(ENTRY, max_size=6),
    hops=st.lists(st.sampled_from([hop(), hop(CHEAP, MODEL, "bio")]), max_size=2),
    itemized=st.booleans(),
    refused=st.booleans(),
    silent=st.booleans(),
)
def test_any_usage_gives_sound_parts(
    *,
    usage: dict[str, Any],
    iterations: Any,
    hops: list[Hop],
    itemized: bool,
    refused: bool,
    silent: bool,
) -> None:
    told = story(hops=hops, itemized=itemized, refused=refused, silent=silent)
    billing = bill({**usage, "iterations": iterations}, told)
    for one in billing.parts:
        total = one.cache_creation_input_tokens
        if total:
            five = one.cache_creation_5m_input_tokens or 0
            assert five + (one.cache_creation_1h_input_tokens or 0) == total
        numbers = (one.uncached_input_tokens, one.output_tokens, total)
        assert all(number is None or number >= 0 for number in numbers)
    assert {note.partition(":")[0] for note in billing.notes} <= set(notes.MEANING)
