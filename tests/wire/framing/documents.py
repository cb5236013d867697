"""JSON documents that hypothesis draws: with strings and arrays of numbers short and long."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

REPEATS = st.sampled_from([1, 1, 1, 2, 300, 1023, 1024, 1025])


def strings() -> st.SearchStrategy[str]:
    """Short ones, such that end near the bound, and long ones; with escapes and without."""
    piece = st.one_of(st.sampled_from(["a", '"', "\\", "\n", "[1,2]", "é"]), st.text(max_size=4))
    return st.builds(lambda text, times: text * times, piece, REPEATS)


def numbers() -> st.SearchStrategy[list[Any]]:
    number = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False))
    return st.builds(lambda some, times: some * times, st.lists(number, max_size=2), REPEATS)


def values() -> st.SearchStrategy[Any]:
    """JSON of any shape."""
    leaves = st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False),
        strings(), numbers(), numbers().map(lambda some: [*some, None]),
    )  # fmt: skip
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4), st.dictionaries(strings(), inner, max_size=4)
        ),
        max_leaves=8,
    )


def formats() -> st.SearchStrategy[dict[str, Any]]:
    """Ways to write JSON: arguments of ``json.dumps``."""
    return st.fixed_dictionaries(
        {
            "ensure_ascii": st.booleans(),
            "separators": st.sampled_from([(",", ":"), (", ", ": "), ("\r\n,\t", " :")]),
        }
    )


def encode(value: Any, form: dict[str, Any]) -> bytes:
    return json.dumps(value, **form).encode(errors="surrogatepass")
