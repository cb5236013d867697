from __future__ import annotations

from typing import Any

import pytest

from tokenproxy.wire.words import count, word


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("claude-opus-5-5", "claude-opus-5-5"),
        ("  padded ", "padded"),
        ("für dich", "für dich"),
        ("", None),
        ("   ", None),
        ("two\nlines", None),
        ("\x1b[31mred", None),
        ("x" * 256, "x" * 256),
        ("x" * 257, None),
        (None, None),
        (7, None),
        (["a"], None),
    ],
)
def test_word(value: Any, expected: str | None) -> None:
    assert word(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0),
        (7, 7),
        (12.0, 12),
        (2**53, 2**53),
        (2**53 + 1, None),
        (-1, None),
        (1.5, None),
        (True, None),
        (False, None),
        ("12", None),
        (None, None),
        (float("inf"), None),
        ([], None),
    ],
)
def test_count(value: Any, expected: int | None) -> None:
    assert count(value) == expected
    assert not isinstance(count(value), float)
