from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenproxy.wire import evidence
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


LONG = ["x" * 256, "x" * 257, "\N{GREEK SMALL LETTER TAU}" * 200]


@given(
    st.recursive(
        st.none()
        | st.integers(0, 9)
        | st.text(max_size=300)
        | st.sampled_from(["x" * 257, "\N{GREEK SMALL LETTER TAU}" * 200]),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=260), inner, max_size=3)
        ),
    ).map(lambda value: {"usage": value})
)
def test_what_looks_plain_is_within_bounds(usage: dict[str, Any]) -> None:
    assert evidence._is_bounded(usage) or not evidence._is_plain(msgspec.json.encode(usage))


@pytest.mark.parametrize("levels", range(1, 20))
@pytest.mark.parametrize("innermost", [7, {}])
def test_depth_is_the_same_however_it_is_told(levels: int, innermost: object) -> None:
    usage: Any = innermost
    for _ in range(levels):
        usage = {"a": usage}
    assert keepable(usage) is evidence._is_bounded(usage)
