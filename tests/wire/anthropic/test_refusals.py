from __future__ import annotations

import pytest

from tokenproxy.wire.anthropic.refusals import billed_before_output


@pytest.mark.parametrize(
    ("category", "billed"),
    [
        ("cyber", False),
        ("general_harms", False),
        (None, False),
        ("bio", True),
        ("frontier_llm", True),
        ("reasoning_extraction", True),
        ("a_category_of_next_year", False),
    ],
)
def test_billed_before_output(category: str | None, billed: bool) -> None:
    assert billed_before_output(category) is billed
