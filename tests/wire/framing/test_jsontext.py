from __future__ import annotations

import re

import pytest

from tokenproxy.wire.framing.jsontext import match_end, string_end


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        (b'abc"', 0, 3),
        (b'"abc"', 1, 4),
        (b"abc", 0, 3),
        (b"", 0, 0),
        (b'a\\"b"', 0, 4),
        (b'a\\\\"b"', 0, 3),
        (b"a\\", 0, 3),
        (b"a\\\\", 0, 3),
        (b'a\\"', 0, 3),
        (b'\\\n"', 0, 2),
        (b'\\"', 1, 1),
        (b'"\\', 0, 0),
    ],
)
def test_where_a_string_ends(text: bytes, start: int, end: int) -> None:
    assert string_end(text, start) == end


def test_where_a_match_ends() -> None:
    assert match_end(re.compile(b"a+"), b"baac", 1) == 3
    assert match_end(re.compile(b"a+"), b"baac", 0) == 0
