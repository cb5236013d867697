from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.record.make import RUN, call, end, part, reading
from tokenproxy.record.make_row import make_row
from tokenproxy.record.row import Row, encode

ANCESTOR = [
    "timestamp",
    "story_id",
    "iteration",
    "provider",
    "model",
    "complexity",
    "input_tokens",
    "output_tokens",
    "cost_usd",
    "latency_ms",
    "success",
    "fallback_used",
]


def strictly(line: bytes) -> Any:
    """Parse as a parser does that knows neither NaN nor Infinity."""

    def refuse(word: str) -> None:
        raise AssertionError(word)

    return json.loads(line.decode("utf-8"), parse_constant=refuse)


def row(**fields: Any) -> Row:
    made = make_row(call(), RUN, None)
    return msgspec.structs.replace(made, **fields)


def test_the_first_twelve_keys_are_the_ancestors_in_its_order() -> None:
    keys = list(strictly(encode(row(cost_usd=0.5))))
    assert keys[:12] == ANCESTOR


def test_unknown_is_absent() -> None:
    found = strictly(encode(row()))
    assert "cost_usd" not in found
    assert None not in found.values()


def test_one_line_whatever_the_words() -> None:
    story = 'say "hi"\nand\r\u2028 leave\x00'
    line = encode(row(story_id=story))
    assert line.count(b"\n") == 1
    assert line.endswith(b"}\n")
    assert strictly(line)["story_id"] == story


def test_text_that_is_no_unicode_is_made_to_fit() -> None:
    line = encode(row(story_id="caf\udce9", labels={"\udcff": "\ud800"}))
    assert strictly(line)["story_id"] == "caf?"
    assert strictly(line)["labels"] == {"?": "?"}


def test_no_number_is_beyond_json() -> None:
    usage = [{"input_tokens": 2**80, "odd": float("inf"), "deep": [float("nan")]}]
    found = strictly(encode(row(usage=usage)))
    assert found["usage"][0]["input_tokens"] == 2**80


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    story=st.text(),
    labels=st.dictionaries(st.text(), st.text(), max_size=3),
    usage=st.lists(st.dictionaries(st.text(), json_values, max_size=3), min_size=1, max_size=2),
    tokens=st.integers(0, 2**62),
)
def test_what_is_encoded_comes_back(
    story: str, labels: dict[str, str], usage: list[dict[str, Any]], tokens: int
) -> None:
    made = make_row(
        call(ended=end(read=reading(part(uncached_input_tokens=tokens), usage=usage))),
        msgspec.structs.replace(RUN, story_id=story, labels=labels),
        None,
    )
    line = encode(made)
    assert line.count(b"\n") == 1
    if not any("\ud800" <= letter <= "\udfff" for letter in line.decode()):
        assert msgspec.json.decode(line, type=Row) == made
        assert strictly(line)["usage"] == usage
