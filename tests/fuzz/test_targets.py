"""Every fuzzing target holds for its corpus, for what providers send, and for bytes at random."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz import corpus
from tests.fuzz.targets import CHOICES, TARGETS
from tests.wire.strategies import garbage

NAMES = pytest.mark.parametrize("name", list(TARGETS))


@NAMES
def test_what_was_found_once_does_not_break_it(name: str) -> None:
    for one in (*corpus.kept(name), *corpus.seeds(name)):
        TARGETS[name](one)


@NAMES
@given(choices=st.binary(min_size=CHOICES, max_size=CHOICES), body=garbage() | st.binary())
def test_nothing_breaks_it(name: str, choices: bytes, body: bytes) -> None:
    TARGETS[name](choices + body)
    TARGETS[name](body)


def test_every_target_of_the_corpus_exists() -> None:
    assert {path.stem for path in corpus.KEPT.glob("*.txt")} <= set(TARGETS)
