from __future__ import annotations

from typing import Any

import pytest

from tokenproxy.wire.openai.merge import lookup, merge, plus, zeroed


@pytest.mark.parametrize(
    ("held", "update", "merged"),
    [
        ({}, {"a": 1}, {"a": 1}),
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": 1}, {"a": 0}, {"a": 1}),
        ({"a": 0}, {"a": 0}, {"a": 0}),
        ({"a": 0.5}, {"a": 0}, {"a": 0.5}),
        ({"a": {"b": 2}}, {"a": {"b": 0, "c": 0}}, {"a": {"b": 2, "c": 0}}),
        ({"a": 1}, {"a": None}, {"a": 1}),
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": 1}, {"a": -1}, {"a": 1}),
        ({"a": 1}, {"a": "2"}, {"a": 1}),
        ({"a": 1}, {"a": True}, {"a": 1}),
        ({"a": 0}, {"a": 0.25}, {"a": 0.25}),
        ({"a": "default"}, {"a": "flex"}, {"a": "flex"}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3, "c": None}}, {"a": {"b": 3, "c": 2}}),
        ({"a": {"b": 1}}, {"a": None}, {"a": {"b": 1}}),
    ],
)
def test_merge(held: dict[str, Any], update: dict[str, Any], merged: dict[str, Any]) -> None:
    assert merge(held, update) == merged


def test_merging_leaves_both_as_they_were() -> None:
    held, update = {"a": {"b": 1}}, {"a": {"b": 2}}
    merge(held, update)
    assert (held, update) == ({"a": {"b": 1}}, {"a": {"b": 2}})


def test_what_falls_to_zero_is_seen() -> None:
    assert zeroed({"a": 1, "b": 2}, {"a": 3, "b": 0})
    assert not zeroed({"a": 1}, {"a": 1, "b": 0})
    assert not zeroed({"a": 0}, {"a": 0})
    assert not zeroed({"a": 1}, {"a": None})
    assert not zeroed({"a": True}, {"a": 0})


def test_lookup() -> None:
    assert lookup({"a": {"b": 1}}, ("a", "b")) == 1
    assert lookup({"a": 1}, ("a", "b")) is None
    assert lookup({}, ("a",)) is None


def test_plus() -> None:
    assert (plus(1, 2), plus(None, 2), plus(1, None), plus(None, None)) == (3, 2, 1, None)
