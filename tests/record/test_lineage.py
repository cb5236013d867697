from __future__ import annotations

from typing import Any

import pytest

from tests.record.make import MODEL, call, end, start
from tokenproxy.record import lineage as lineage_module
from tokenproxy.record.call import Outcome
from tokenproxy.record.lineage import Lineage, Link
from tokenproxy.wire.usage import Attribution, RequestFacts


class Loop:
    """Calls one after the other, each from ``at`` to ``until``."""

    def __init__(self) -> None:
        self.lineage = Lineage()

    def __call__(
        self,
        name: str,
        outcome: Outcome = "complete",
        *,
        at: float,
        until: float | None = None,
        digest: str | None = None,
        model: str = MODEL,
        provider: str = "anthropic",
        attempt: int | None = None,
        lane: str | None = None,
        turn: str | None = "t",
        session: str | None = "s",
        tools: bool = True,
    ) -> Link:
        who = Attribution(
            session_id=session if lane else None,
            turn_id=turn if lane else None,
            agent_id=lane,
            attempt=attempt,
        )
        begun = start(name, at=at, who=who, provider=provider)
        request = RequestFacts(model=model, prompt_digest=digest, offers_tools=tools)
        link = self.lineage.begun(begun, request)
        ended = end(outcome, at=at + 1 if until is None else until)
        self.lineage.ended(call(begun, ended, request=request), link)
        return link


@pytest.fixture
def loop() -> Loop:
    return Loop()


def shape(link: Link) -> tuple[int | None, str | None, bool]:
    return link.attempt, link.retry_of, link.fallback_used


def test_the_first_call_repeats_nothing(loop: Loop) -> None:
    assert shape(loop("a", at=0, digest="d", lane="main")) == (0, None, False)


def test_a_client_that_counts_is_believed(loop: Loop) -> None:
    assert shape(loop("a", at=0, attempt=3)) == (3, None, False)


@pytest.mark.parametrize("outcome", ["error", "truncated", "aborted", "blocked", "lost"])
def test_the_same_question_repeats_a_failed_call(loop: Loop, outcome: Outcome) -> None:
    loop("a", outcome, at=0, digest="d")
    assert shape(loop("b", at=2, digest="d")) == (1, "a", False)


def test_the_same_question_after_an_answer_is_a_new_one(loop: Loop) -> None:
    loop("a", at=0, digest="d", lane="main")
    assert shape(loop("b", at=2, digest="d", lane="main")) == (0, None, False)


def test_repetitions_make_a_chain(loop: Loop) -> None:
    loop("a", "error", at=0, digest="d")
    assert shape(loop("b", "error", at=2, digest="d")) == (1, "a", False)
    assert shape(loop("c", "error", at=4, digest="d")) == (2, "b", False)
    assert shape(loop("d", at=6, digest="d")) == (3, "c", False)
    assert shape(loop("e", at=8, digest="d")) == (0, None, False)


def test_the_clients_count_wins_over_ours(loop: Loop) -> None:
    loop("a", "error", at=0, digest="d", attempt=0)
    assert loop("b", "error", at=2, digest="d", attempt=7).attempt == 7
    assert loop("c", at=4, digest="d", attempt=0).attempt == 8


def test_what_had_not_ended_is_not_repeated(loop: Loop) -> None:
    loop("a", "error", at=0, until=5, digest="d")
    assert shape(loop("b", at=4, digest="d")) == (0, None, False)
    assert loop("c", at=5, digest="d").retry_of == "a"


def test_a_counted_retry_repeats_the_lanes_failure_whatever_it_asks(loop: Loop) -> None:
    loop("a", "error", at=0, digest="d1", lane="main")
    loop("b", "error", at=0.5, digest="d2", lane="other")
    assert loop("c", at=2, digest="d3", lane="main", attempt=1).retry_of == "a"


def test_after_the_providers_fault_the_lanes_next_call_is_the_repetition(loop: Loop) -> None:
    """A failed stream is asked for again without streaming: another body, no count."""
    loop("a", "truncated", at=0, digest="d1", lane="main")
    assert shape(loop("b", at=2, digest="d2", lane="main")) == (1, "a", False)
    assert loop("c", at=4, digest="d3", lane="main").retry_of is None


def test_a_call_in_between_that_went_well_ends_the_story(loop: Loop) -> None:
    loop("a", "error", at=0, digest="d1", lane="main")
    loop("b", at=0.5, until=1.5, digest="d2", lane="main")
    assert loop("c", at=2, digest="d3", lane="main").retry_of is None


def test_a_call_the_client_left_is_repeated_only_by_the_same_question(loop: Loop) -> None:
    loop("a", "aborted", at=0, digest="d1", lane="main")
    assert loop("b", at=2, digest="d2", lane="main").retry_of is None
    assert loop("c", at=4, digest="d3", lane="main", attempt=2).retry_of is None
    assert loop("d", at=6, digest="d1", lane="main").retry_of == "a"


def test_other_lanes_are_other_stories(loop: Loop) -> None:
    loop("a", "error", at=0, digest="d1", lane="main")
    assert loop("b", at=2, digest="d2", lane="helper").retry_of is None
    assert loop("c", at=2, digest="d2", lane="main", session="s2").retry_of is None


def test_without_a_turn_a_session_is_too_long_a_lane(loop: Loop) -> None:
    loop("a", "error", at=0, digest="d1", lane="main", turn=None)
    assert loop("b", at=2, digest="d2", lane="main", turn=None).retry_of is None
    loop("c", "error", at=4, digest="d3", lane="main", turn=None)
    assert loop("d", at=6, digest="d4", lane="main", turn=None, attempt=1).retry_of == "c"


def test_calls_without_any_mark_are_never_linked(loop: Loop) -> None:
    loop("a", "error", at=0)
    assert loop("b", at=2, attempt=1).retry_of is None


def test_another_model_after_a_failure_is_a_fallback(loop: Loop) -> None:
    loop("a", "error", at=0, digest="d", model="big")
    assert shape(loop("b", "error", at=2, digest="d", model="big")) == (1, "a", False)
    assert shape(loop("c", "error", at=4, digest="d", model="small")) == (2, "b", True)
    assert shape(loop("d", "error", at=6, digest="d", model="small")) == (3, "c", True)
    assert shape(loop("e", at=8, digest="d", model="big")) == (4, "d", False)


def test_another_provider_after_a_failure_is_a_fallback(loop: Loop) -> None:
    loop("a", "error", at=0, digest="d")
    assert loop("b", at=2, digest="d", provider="openai").fallback_used


def test_an_unknown_model_is_no_fallback() -> None:
    lineage = Lineage()
    failed = start("a")
    unread = RequestFacts(prompt_digest="d")
    lineage.ended(call(failed, end("error"), request=unread), lineage.begun(failed, unread))
    link = lineage.begun(start("b", at=2), RequestFacts(model="m", prompt_digest="d"))
    assert shape(link) == (1, "a", False)


def test_memory_is_bounded(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lineage_module, "REMEMBERED", 10)
    for n in range(50):
        loop(f"c{n}", "error", at=n * 2, digest=f"d{n}", lane=f"l{n}")
        loop(f"r{n}", "error", at=n * 2 + 1, digest=f"d{n}", lane=f"l{n}")
    lineage = loop.lineage
    memories = (lineage._failed, lineage._lanes, lineage._failed_in_lane, lineage._repeated)
    assert [len(memory) for memory in memories] == [10, 10, 10, 10]
    assert loop("z", at=200, digest="d0").retry_of is None
    assert loop("y", at=200, digest="d49").retry_of == "r49"


def test_without_turns_another_model_soon_after_a_failure_is_its_fallback(loop: Loop) -> None:
    """Claude Code words the conversation anew for some models, so digests differ."""
    loop("a", "error", at=0, digest="one", lane="main", turn=None)
    link = loop("b", at=2, digest="two", lane="main", turn=None, model="other")
    assert shape(link) == (1, "a", True)


@pytest.mark.parametrize(
    "second",
    [
        {"at": 2, "model": MODEL},
        {"at": 62, "model": "other"},
        {"at": 2, "model": "other", "tools": False},
        {"at": 2, "model": "other", "lane": "another"},
    ],
)
def test_without_turns_nothing_else_is(loop: Loop, second: dict[str, Any]) -> None:
    loop("a", "error", at=0, digest="one", lane="main", turn=None)
    link = loop("b", **{"digest": "two", "lane": "main", "turn": None, **second})
    assert shape(link) == (0, None, False)
