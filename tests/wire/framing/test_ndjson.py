from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.strategies import chunked, cuts
from tokenproxy.wire.framing.jsonbody import JsonBody
from tokenproxy.wire.framing.ndjson import LineReader


@pytest.mark.parametrize("step", [1, 2, 100])
@pytest.mark.parametrize(
    ("body", "lines"),
    [
        (b"", []),
        (b"\n\n \n", []),
        (b"{}", [b"{}"]),
        (b"{}\n[]\n", [b"{}", b"[]"]),
        (b"{}\r\n\r\n[]", [b"{}", b"[]"]),
        ('"\u2028\u0085"\n1'.encode(), ['"\u2028\u0085"'.encode(), b"1"]),
    ],
)
def test_lines(body: bytes, lines: list[bytes], step: int) -> None:
    reader = LineReader()
    found = [line for at in range(0, len(body), step) for line in reader.feed(body[at : at + step])]
    assert found + reader.close() == lines


@pytest.mark.parametrize("step", [1, 3, 100])
def test_a_line_too_long_is_passed_over(step: int) -> None:
    reader = LineReader(limit=4)
    body = b"12345\n1234\n1234567890"
    found = [line for at in range(0, len(body), step) for line in reader.feed(body[at : at + step])]
    assert found + reader.close() == [b"1234"]
    assert reader.oversized == 2


@pytest.mark.parametrize("step", [1000, 1 << 20])
def test_a_long_line_is_reduced(step: int) -> None:
    line = b'{"b64_json":"' + b"A" * 9_000_000 + b'","usage":{}}'
    reduced = JsonBody()
    reduced.feed(line)
    kept = reduced.take()
    assert len(kept) == 69
    reader = LineReader()
    body = line + b"\r\n" + b"1\n"
    lines = [part for at in range(0, len(body), step) for part in reader.feed(body[at : at + step])]
    assert lines == [kept, b"1"]
    assert reader.oversized == 0


def test_an_endless_line_is_not_kept() -> None:
    reader = LineReader(limit=1000)
    for _ in range(1000):
        reader.feed(b"x" * 100)
        assert len(reader._line._body) <= 1000


@given(body=st.text("ab\n\r ", max_size=60).map(str.encode), data=st.data())
def test_any_chunking_gives_the_same_lines(body: bytes, data: st.DataObject) -> None:
    reader = LineReader(limit=6)
    places = data.draw(cuts(len(body)))
    found = [line for chunk in chunked(body, places) for line in reader.feed(chunk)]
    whole = LineReader(limit=6)
    assert found + reader.close() == whole.feed(body) + whole.close()
    assert reader.oversized == whole.oversized
