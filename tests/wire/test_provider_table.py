from __future__ import annotations

import pytest

from tests.wire.cases import ASPECTS, all_cases
from tests.wire.provider_table import BEGIN, DOCUMENT, ELSEWHERE, END, render
from tokenproxy.wire.providers import PROVIDERS


def test_the_document_has_the_table_as_it_is() -> None:
    assert DOCUMENT.read_text().partition(BEGIN)[2].partition(END)[0] == render(), "make providers"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_cell_is_proven_or_says_why_not(provider: str) -> None:
    shown = {(case.provider, case.aspect) for case in all_cases()}
    empty = [
        aspect
        for aspect in ASPECTS
        if (provider, aspect) not in shown and (provider, aspect) not in ELSEWHERE
    ]
    assert empty == []


def test_no_excuse_outlives_its_reason() -> None:
    shown = {(case.provider, case.aspect) for case in all_cases()}
    assert not shown & ELSEWHERE.keys()
