from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.framing.documents import encode, formats, values
from tests.wire.strategies import chunked, cuts, garbage
from tokenproxy.wire.framing.jsonbody import JsonBody
from tokenproxy.wire.framing.jsonstream import JsonStream

CASES: list[tuple[str, bytes, list[bytes], bool]] = [
    ("nothing", b"", [], False),
    ("white space", b" \r\n", [], False),
    ("an empty array", b"[]", [], True),
    ("Gemini's array", b'[{"a":1}\r\n,\r\n{"b":[2]}\n]\n', [b'{"a":1}', b'{"b":[2]}'], True),
    ("Gemini's array, cut", b'[{"a":1}\r\n,\r\n', [b'{"a":1}'], False),
    ("one object", b'{"a":{"b":[{}]}}', [b'{"a":{"b":[{}]}}'], True),
    ("one object on lines", b'{\n "a": [\n 1\n ]\n}\n', [b'{\n "a": [\n 1\n ]\n}'], True),
    ("lines", b'{"a":1}\n{"b":2}\r\n\n', [b'{"a":1}', b'{"b":2}'], True),
    ("nothing between", b'{"a":1}{"b":2}[3]', [b'{"a":1}', b'{"b":2}', b"[3]"], True),
    ("commas between", b'{},[]\t,,"a"', [b"{}", b"[]", b'"a"'], True),
    ("arrays in the array", b"[[1,[2]],[]]", [b"[1,[2]]", b"[]"], True),
    ("scalars", b'[1,-2.5e3 ,true,null,"a"]', [b"1", b"-2.5e3", b"true", b"null", b'"a"'], True),
    ("a scalar that the end ends", b"12", [b"12"], True),
    ("scalars with nothing between", b'1"a"2{}', [b"1", b'"a"', b"2", b"{}"], True),
    ("strings hide brackets", b'{"]}":"[{"}{}', [b'{"]}":"[{"}', b"{}"], True),
    ("strings hide quotes", b'{"a":"\\"}"}"\\\\"', [b'{"a":"\\"}"}', b'"\\\\"'], True),
    ("brackets are not matched", b"{]{}", [b"{]", b"{}"], True),
    ("a byte order mark", b'\xef\xbb\xbf[{"a":1}]', [b'{"a":1}'], True),
    ("after the array", b'[1]{"a":2}[3]', [b"1", b'{"a":2}', b"[3]"], True),
    ("cut in an object", b'{"a":[1', [b'{"a":[1'], False),
    ("cut in a string", b'[{"a":"b\\', [b'{"a":"b\\'], False),
    ("cut after a scalar", b"[1,2", [b"1", b"2"], False),
    ("HTML", b"<html>{}</html>\n", [b"<html>{}</html>\n"], False),
    ("garbage after a value", b"{}]{}", [b"{}", b"]{}"], False),
    ("a colon", b"[1:2]", [b"1", b":2]"], False),
]


@pytest.mark.parametrize("step", [1, 2, 3, 5, 1 << 20])
@pytest.mark.parametrize(
    ("body", "found", "complete"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_values(body: bytes, found: list[bytes], complete: bool, step: int) -> None:
    stream = JsonStream()
    values = [v for at in range(0, len(body), step) for v in stream.feed(body[at : at + step])]
    assert values + stream.close() == found
    assert stream.complete is complete
    assert stream.oversized == 0
    assert stream.close() == []


def test_a_value_comes_out_with_its_last_byte() -> None:
    stream = JsonStream()
    assert stream.feed(b'[{"a":{}') == []
    assert stream.feed(b"}") == [b'{"a":{}}']
    assert not stream.complete
    assert stream.feed(b',"b') == []
    assert stream.feed(b'"') == [b'"b"']
    assert stream.feed(b",12") == []
    assert stream.feed(b"]") == [b"12"]
    assert stream.complete


@pytest.mark.parametrize("step", [1, 3, 100])
def test_a_value_too_large_is_passed_over_and_counted(step: int) -> None:
    stream = JsonStream(limit=6)
    body = b'[{"a":12},{"a":1},"12345",1234567,{"a":[]}]'
    values = [v for at in range(0, len(body), step) for v in stream.feed(body[at : at + step])]
    assert (values, stream.close()) == ([], [])
    assert stream.oversized == 5
    assert stream.complete
    assert JsonStream(limit=7).feed(body) == [b'{"a":1}', b'"12345"', b"1234567"]


@pytest.mark.parametrize("step", [1000, 1 << 20])
def test_a_large_value_comes_out_reduced(step: int) -> None:
    image = b'{"data":"' + b"A" * 300_000 + b'","n":1}'
    body = b'[{"a":1},' + image + b"]"
    stream = JsonStream(limit=100_000)
    values = [v for at in range(0, len(body), step) for v in stream.feed(body[at : at + step])]
    assert values == [b'{"a":1}', reduced(image)]
    assert len(values[1]) == 60
    assert (stream.complete, stream.oversized) == (True, 0)


@pytest.mark.parametrize("start", [b"[{", b'"', b"{" * 100, b"1", b"<", b""])
def test_a_value_without_end_is_not_kept(start: bytes) -> None:
    stream = JsonStream(limit=1000)
    stream.feed(start)
    for _ in range(100):
        assert stream.feed(b"1" * 100) == []
        kept = stream._value
        assert kept is not None
        assert len(kept._body) <= 1000
    assert stream.close() == []
    assert stream.oversized == 1


def reduced(value: bytes) -> bytes:
    body = JsonBody()
    body.feed(value)
    return body.take()


@given(
    found=st.lists(values(), max_size=5),
    form=formats(),
    between=st.sampled_from([b"\n", b",", b"\r\n,", b" , \t\n"]),
    in_array=st.booleans(),
    data=st.data(),
)
def test_what_was_written_is_read(
    *,
    found: list[Any],
    form: dict[str, Any],
    between: bytes,
    in_array: bool,
    data: st.DataObject,
) -> None:
    written = [encode(value, form) for value in found]
    if in_array:
        body = b"[" + between.join(written) + b"]"
    else:
        written = [b"0", *written]
        body = between.join(written)
    stream = JsonStream()
    pieces = [v for c in chunked(body, data.draw(cuts(len(body)))) for v in stream.feed(c)]
    assert pieces + stream.close() == [reduced(value) for value in written]
    assert (stream.complete, stream.oversized) == (True, 0)


@given(body=garbage(), limit=st.sampled_from([5, 1 << 20]), data=st.data())
def test_any_chunking_gives_the_same_values(body: bytes, limit: int, data: st.DataObject) -> None:
    whole, cut = JsonStream(limit), JsonStream(limit)
    expected = whole.feed(body) + whole.close()
    places = data.draw(cuts(len(body)))
    values = [v for chunk in chunked(body, places) for v in cut.feed(chunk)] + cut.close()
    assert values == expected
    assert (cut.complete, cut.oversized) == (whole.complete, whole.oversized)
