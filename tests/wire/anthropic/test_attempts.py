from __future__ import annotations

from typing import Any

import pytest

from tests.wire.fixtures.anthropic import CHEAP, MODEL, STRICT, entry
from tokenproxy.wire import notes
from tokenproxy.wire.anthropic.attempts import Hop, Story, attempts_of, read_chain

HOP = Hop(declined=STRICT, served=CHEAP, category="cyber", category_known=True)
HOPS = [
    HOP,
    Hop(declined=CHEAP, served=MODEL, category=None, category_known=True),
]


def roles(iterations: Any, story: Story) -> list[tuple[str, str | None, bool]]:
    attempts, _ = attempts_of(read_chain(iterations, story))
    return [(attempt.role, attempt.model, attempt.serving) for attempt in attempts]


PLAIN = Story(model=MODEL)
FELL_BACK = Story(model=CHEAP, hops=[HOP])
TWICE = Story(model=MODEL, hops=HOPS)
REFUSED = Story(model=CHEAP, hops=[HOP], refused=True)


@pytest.mark.parametrize(
    ("story", "entries", "expected"),
    [
        (PLAIN, [], []),
        (PLAIN, [("message", None)], [("main", None, True)]),
        (PLAIN, [("message", MODEL)], [("main", MODEL, True)]),
        (PLAIN, [("message", "an-alias")], [("main", "an-alias", True)]),
        (
            PLAIN,
            [("compaction", None), ("message", None)],
            [("compaction", None, False), ("main", None, True)],
        ),
        (
            PLAIN,
            [("message", None), ("advisor_message", STRICT), ("message", None)],
            [("main", None, True), ("advisor", STRICT, False), ("main", None, True)],
        ),
        (
            FELL_BACK,
            [("message", STRICT), ("fallback_message", CHEAP)],
            [("fallback_declined", STRICT, False), ("fallback_served", CHEAP, True)],
        ),
        # Sticky routing: no model declined, so there is no block.
        (Story(model=CHEAP), [("fallback_message", CHEAP)], [("fallback_served", CHEAP, True)]),
        # The tool loop of the model that answered.
        (
            FELL_BACK,
            [("message", STRICT), ("message", CHEAP), ("fallback_message", CHEAP)],
            [
                ("fallback_declined", STRICT, False),
                ("fallback_served", CHEAP, True),
                ("fallback_served", CHEAP, True),
            ],
        ),
        # Models not named: what comes before declined, and the block knows who.
        (
            FELL_BACK,
            [("message", None), ("fallback_message", None)],
            [("fallback_declined", STRICT, False), ("fallback_served", CHEAP, True)],
        ),
        (
            TWICE,
            [("message", STRICT), ("message", CHEAP), ("fallback_message", MODEL)],
            [
                ("fallback_declined", STRICT, False),
                ("fallback_declined", CHEAP, False),
                ("fallback_served", MODEL, True),
            ],
        ),
        # Everybody declined: the last refusal is the answer.
        (
            REFUSED,
            [("message", STRICT), ("fallback_message", CHEAP)],
            [("fallback_declined", STRICT, False), ("fallback_declined", CHEAP, True)],
        ),
        # A block, but no fallback_message: the entry of the other model declined.
        (
            FELL_BACK,
            [("message", STRICT), ("message", CHEAP)],
            [("fallback_declined", STRICT, False), ("fallback_served", CHEAP, True)],
        ),
        (FELL_BACK, [("message", None)], [("fallback_served", CHEAP, True)]),
        # Compaction is the requested model's, even if another answered.
        (
            FELL_BACK,
            [("compaction", None), ("message", STRICT), ("fallback_message", CHEAP)],
            [
                ("compaction", STRICT, False),
                ("fallback_declined", STRICT, False),
                ("fallback_served", CHEAP, True),
            ],
        ),
        (PLAIN, [("dream", None)], [("dream", None, False)]),
        (PLAIN, [("a\nb", None)], [("other", None, False)]),
    ],
)
def test_roles(
    story: Story,
    entries: list[tuple[str, str | None]],
    expected: list[tuple[str, str | None, bool]],
) -> None:
    assert roles([entry(kind, 1, 1, model) for kind, model in entries], story) == expected


def test_a_decline_by_nobody_is_noted() -> None:
    chain = read_chain([entry("message", 1, 0), entry("fallback_message", 1, 1, CHEAP)], PLAIN)
    attempts, said = attempts_of(chain)
    assert attempts[0].model is None
    assert said == [notes.DECLINED_MODEL_UNKNOWN]


def test_an_unknown_type_is_noted() -> None:
    _, said = attempts_of(read_chain([{"type": "dream"}, {}], PLAIN))
    assert said == [notes.ITERATION_TYPE_UNKNOWN] * 2


@pytest.mark.parametrize("iterations", [None, {}, "x", 3, [], [None, 3, "x", []]])
def test_what_is_no_list_of_entries_is_none(iterations: Any) -> None:
    assert roles(iterations, PLAIN) == []
