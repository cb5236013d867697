from __future__ import annotations

from typing import Any

import pytest

from tokenproxy.wire.evidence import keepable


def nested(levels: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(levels):
        found = {"a": [found]}
    return found


@pytest.mark.parametrize(
    ("usage", "kept"),
    [
        ({}, True),
        ({"a": 1, "b": {"c": [1, None, "x"]}}, True),
        (nested(7), True),
        (nested(9), False),
        ({"a": ["x" * 250] * 250}, True),
        ({"a": ["x" * 250] * 270}, False),
        ({"a": {"b": "x" * 256}}, True),
        ({"a": {"b": "x" * 257}}, False),
        ({"a": [{"x" * 257: 1}]}, False),
        ({"a": "\ud800"}, False),
    ],
)
def test_what_is_small_and_flat_is_kept(usage: dict[str, Any], kept: bool) -> None:
    assert keepable(usage) is kept
