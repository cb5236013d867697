from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.strategies import garbage
from tokenproxy.wire.lenient import Lenient, array_items, has_items, mend_surrogates


class Inner(msgspec.Struct):
    word: str | None = None
    number: int = 0


class Outer(msgspec.Struct):
    name: str | None = None
    from_: Inner | None = msgspec.field(default=None, name="from")
    items: list[Inner] | None = None
    object: dict[str, Any] | None = None
    flag: bool | None = None
    words: list[str] | None = None
    raw: msgspec.Raw = msgspec.Raw()


OUTER = Lenient(Outer)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", Outer()),
        ('{"name":"a","unknown":[1]}', Outer(name="a")),
        ('{"name":3,"flag":true}', Outer(flag=True)),
        ('{"name":null,"flag":"yes","words":["a"]}', Outer(words=["a"])),
        ('{"flag":1,"from":{"word":"a","number":2}}', Outer(from_=Inner("a", 2))),
        ('{"from":{"word":["a"],"number":2}}', Outer(from_=Inner(None, 2))),
        ('{"from":"somewhere","name":"a"}', Outer(name="a")),
        (
            '{"items":[{"word":"a"},7,{"word":8,"number":9},null]}',
            Outer(items=[Inner("a"), Inner(None, 9)]),
        ),
        ('{"items":{},"object":[],"name":"a"}', Outer(name="a")),
        ('{"flag":0,"object":{"a":[1,{"b":null}]}}', Outer(object={"a": [1, {"b": None}]})),
        (
            '{"object":{"a":1e999,"b":7,"c":{"d":-1e999,"e":null},"f":[2,1e999]},"name":"a"}',
            Outer(
                name="a",
                object={
                    "a": "1e999",
                    "b": 7,
                    "c": {"d": "-1e999", "e": None},
                    "f": [2, "1e999"],
                },
            ),
        ),
        ('{"object":null,"name":1}', Outer()),
        ('{"words":["a",1],"name":"a"}', Outer(name="a")),
        ('{"name":"a","name":"b"}', Outer(name="b")),
        ('{"name":1,"name":"b"}', Outer(name="b")),
        (' {"name":"a"}  ', Outer(name="a")),
    ],
)
def test_a_field_that_does_not_fit_keeps_its_default(text: str, expected: Outer) -> None:
    assert OUTER.decode(text.encode()) == expected


@pytest.mark.parametrize(
    "data",
    [b"", b"null", b"[]", b'"a"', b"{", b'{"a":1} x', b"\xff", b'{"name":"a"', b'{"flag":NaN}'],
)
def test_what_is_no_object_is_none(data: bytes) -> None:
    assert OUTER.decode(data) is None


def test_bytes_that_are_no_text_cost_only_their_field() -> None:
    assert OUTER.decode(b'{"name":"\xff","flag":true}') == Outer(flag=True)
    assert OUTER.decode(b'{"elsewhere":"\xff","name":"a"}') == Outer(name="a")


def test_depth_without_end_does_not_raise() -> None:
    assert OUTER.decode(b'{"object":' + b"[" * 200_000) is None


def test_raw_keeps_the_bytes() -> None:
    found = OUTER.decode(b'{"flag":0, "raw": {"b" : 1 ,"a":2} }')
    assert found is not None
    assert bytes(found.raw) == b'{"b" : 1 ,"a":2}'


def test_array_items() -> None:
    assert [bytes(item) for item in array_items(b'[1, {"a" : 2}]') or []] == [b"1", b'{"a" : 2}']
    assert array_items(b"{}") is None
    assert array_items(b"") is None


@given(garbage())
def test_garbage_never_raises(data: bytes) -> None:
    OUTER.decode(data)
    array_items(data)


@given(
    st.dictionaries(
        st.sampled_from(["name", "from", "items", "object", "flag", "words", "number"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["word", "number"]), inner)
            ),
            max_leaves=6,
        ),
    )
)
def test_every_object_is_read(value: dict[str, Any]) -> None:
    found = OUTER.decode(msgspec.json.encode(value))
    assert found is not None
    if isinstance(value.get("name"), str):
        assert found.name == value["name"]
    if isinstance(value.get("flag"), bool):
        assert found.flag == value["flag"]


def test_taking_apart_what_is_deep_is_bounded() -> None:
    deep = b'{"a":' * 500 + b"1e999" + b"}" * 500
    found = OUTER.decode(b'{"object":{"deep":' + deep + b',"b":7}}')
    assert found is not None
    assert found.object is not None
    assert found.object["b"] == 7


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        (rb"cut \ud83d", rb"cut \ufffd"),
        (rb"\ud83d\ude00 whole", rb"\ud83d\ude00 whole"),
        (rb"\ud83d\ud83d\ude00", rb"\ufffd\ud83d\ude00"),
        (rb"\uDE00 low alone", rb"\ufffd low alone"),
        (rb"\ud83d\u0041", rb"\ufffd\u0041"),
        (rb"plain", rb"plain"),
    ],
)
def test_lone_surrogates(text: bytes, mended: bytes) -> None:
    assert mend_surrogates(text) == mended
    json.loads(b'"' + mended + b'"').encode()


ITEMS = st.lists(
    st.sampled_from(
        [
            b"{}",
            b'{"name":"a"}',
            b'{"name":3}',
            b"null",
            b"7",
            b"[1]",
            b'"x"',
            b'{"name":"\\ud800"}',
        ]
    ),
    max_size=4,
)


@given(ITEMS)
def test_items_are_decoded_together_as_one_by_one(items: list[bytes]) -> None:
    data = b" [" + b" , ".join(items) + b"]"
    together = OUTER.decode_items(data)
    assert list(together) == [OUTER.decode(item) for item in items]
    assert list(OUTER.decode_items(msgspec.Raw(data))) == list(together)


@pytest.mark.parametrize("data", [b"", b"{}", b'"[]"', b"null", b"[", b"[{]", b"[" * 5000])
def test_what_is_no_array_has_no_items(data: bytes) -> None:
    assert list(OUTER.decode_items(data)) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("ab", max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab", max_size=2), inner),
    max_leaves=5,
)


@given(JSON, st.sampled_from(["", " ", "\n\t"]))
def test_whether_there_are_items_is_seen_at_the_beginning(value: object, space: str) -> None:
    written = json.dumps(value).replace("[", f"{space}[{space}").replace("]", f"{space}]")
    data = written.encode()
    assert has_items(data) is bool(array_items(data))
    assert has_items(msgspec.json.decode(data, type=msgspec.Raw)) is has_items(data)


def test_nothing_has_no_items() -> None:
    assert not has_items(b"")
    assert not has_items(msgspec.Raw())
