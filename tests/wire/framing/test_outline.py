from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.framing.documents import encode, formats, strings, values
from tests.wire.strategies import chunked, cuts, garbage
from tokenproxy.wire.framing.outline import Outline, outline


def read(body: bytes, *, step: int = 1 << 30, **bounds: int) -> bytes:
    made = Outline(**bounds)
    for at in range(0, len(body), step):
        made.feed(body[at : at + step])
    return made.text()


def digest(raw: bytes) -> str:
    return f"tokenproxy:{hashlib.blake2b(raw, digest_size=16).hexdigest()}"


def in_place(raw: bytes) -> bytes:
    return json.dumps(digest(raw)).encode()


TEN = b'"12345678"'
ELEVEN = b'"123456789"'
ITEMS = b'[1,{"a":[2]},"]"]'
OBJECT = b'{"a":1,"long":[1,2,3,4,5],"b":{}}'
OBJECT_KEPT = b'{"a":1,"long":[%s],"b":{}}' % in_place(b"[1,2,3,4,5]")
CASES: list[tuple[str, bytes, bytes]] = [
    ("nothing", b"", b""),
    ("no object", b'[{"model":"m"}]', b""),
    ("a word", b"null", b""),
    ("empty", b" {} ", b"{}"),
    ("short members", b'{"a":1,"b":null,"c":"x","d":[]}', b'{"a":1,"b":null,"c":"x","d":[]}'),
    ("white space", b'\r\n{ "a" :\t1 , "b":[ ] }\n', b'{"a":1,"b":[ ]}'),
    ("a byte order mark", b'\xef\xbb\xbf{"a":1}', b'{"a":1}'),
    ("as long as may stay", b'{"a":' + TEN + b"}", b'{"a":' + TEN + b"}"),
    ("a string", b'{"a":' + ELEVEN + b',"b":1}', b'{"a":' + in_place(ELEVEN) + b',"b":1}'),
    ("an array", b'{"a":' + ITEMS + b',"b":1}', b'{"a":[' + in_place(ITEMS) + b'],"b":1}'),
    ("an object", b'{"a":' + OBJECT + b',"b":1}', b'{"a":' + OBJECT_KEPT + b',"b":1}'),
    ("a number", b'{"a":12345678901,"b":1}', b'{"a":null,"b":1}'),
    ("a key with escapes", b'{"mo\\u0064el":"m"}', b'{"mo\\u0064el":"m"}'),
    ("a key with a quote", b'{"a\\"}:1,":"m"}', b'{"a\\"}:1,":"m"}'),
    ("the same key twice", b'{"a":1,"a":' + ITEMS + b',"a":2}',
     b'{"a":1,"a":[' + in_place(ITEMS) + b'],"a":2}'),
    ("a long key", b'{"' + b"k" * 1025 + b'":1,"a":1}', b'{"a":1}'),
    ("cut in a key", b'{"a":1,"b', b'{"a":1}'),
    ("cut behind a key", b'{"a":1,"b" ', b'{"a":1}'),
    ("cut in a word", b'{"a":1,"b":tru', b'{"a":1}'),
    ("cut in a string", b'{"a":1,"b":"x', b'{"a":1}'),
    ("cut in an array", b'{"a":1,"b":[1', b'{"a":1}'),
    ("cut in a long array", b'{"a":1,"b":[1,2,3,4,5,6,7', b'{"a":1}'),
    ("cut in an object", b'{"a":{"b":{"c":1,"d":[', b'{"a":{"b":{"c":1}}}'),
    ("cut in a long object", b'{"a":{"b":{"c":1,"d":"234567890",', b'{"a":{"b":{"c":1,"d":%s}}}'
     % in_place(b'"234567890"')),
    ("a word that is none", b'{"a":tru,"b":1}', b'{"b":1}'),
    ("numbers that are none", b'{"a":-,"b":01,"c":1e999,"d":NaN,"e":1}',
     b'{"c":1e999,"e":1}'),
    ("brackets that do not match", b'{"a":[1},"b":1}', b'{"b":1}'),
    ("no colon", b'{"a":1,"b" 1,"c":1}', b'{"a":1}'),
    ("no value", b'{"a":1,"b":,"c":1}', b'{"a":1}'),
    ("no key", b'{"a":1,2:3,"c":1}', b'{"a":1}'),
    ("no key in a long object", b'{"a":{"b":1,2:"4567890"},"c":1}', b'{"a":{"b":1}}'),
    ("a control character", b'{"a":"\n","b":1}', b'{"b":1}'),
    ("half a pair", b'{"a":"\\ud83d","b":1}', b'{"a":"\\ufffd","b":1}'),
    ("no UTF-8", b'{"a":"\xff","b":1}', b'{"b":1}'),
    ("more behind it", b'{"a":1}{"b":2}', b'{"a":1}'),
    ("what is replaced is not checked", b'{"a":[1,2,,,,,,,,3],"b":1}',
     b'{"a":[' + in_place(b"[1,2,,,,,,,,3]") + b'],"b":1}'),
]  # fmt: skip


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1 << 20])
@pytest.mark.parametrize(
    ("body", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_outlined(body: bytes, expected: bytes, step: int) -> None:
    assert read(body, step=step, kept=10) == expected


def test_a_document_that_came_whole() -> None:
    body = b'{"messages":["' + b"x" * 20_000 + b'"],"model":"m"}'
    assert json.loads(outline(body)) == {"messages": [digest(body[12:20_016])], "model": "m"}


@pytest.mark.parametrize("levels", [0, 1, 2, 3])
def test_objects_within_each_other(levels: int) -> None:
    body = inner = b'{"end":"123456789012345"}'
    for _ in range(3):
        body = b'{"in":%s}' % body
    found = json.loads(read(body, kept=5, levels=levels))
    for _ in range(levels):
        found = found["in"]
    if levels == 3:
        assert found == {"end": digest(inner[7:-1])}
    else:
        assert list(found["in"]) == ["tokenproxy"]


def test_an_object_of_too_many_members_has_none() -> None:
    many = b",".join(b'"%d":%d' % (number, number) for number in range(100))
    assert read(b'{"a":{%s},"b":1,"c":{}}' % many, kept=5, limit=50) == b'{"a":{},"b":1,"c":{}}'
    assert read(b"{%s}" % many, kept=5, limit=50) == b"{}"


@pytest.mark.parametrize(
    "piece", [b'"k":1,', b'"k":[1,', b'"k":{', b"[", b"x", b'"', b'\\"', b" ", b",", b"0"]
)
@pytest.mark.parametrize("start", [b"", b"{", b'{"k', b'{"k":', b'{"k":"', b'{"k":{"k":'])
def test_little_is_kept(start: bytes, piece: bytes) -> None:
    made = Outline(kept=1000, limit=5000)
    made.feed(start)
    for _ in range(100):
        made.feed(piece * 100)
    assert len(made.text()) <= 4 * 5000
    inner: Outline | None = made
    while inner is not None:
        assert len(inner._held) <= 1000
        assert len(inner._key) <= 1024 + 100 * len(piece)
        inner = inner._inner


def expected(value: Any, form: dict[str, Any], kept: int, levels: int) -> Any:
    """What the outline says of a value that was written in this form."""
    raw = encode(value, form)
    if len(raw) <= kept:
        return value
    if isinstance(value, dict) and levels:
        return {
            key: expected(inner, form, kept, levels - 1)
            for key, inner in value.items()
            if len(encode(key, form)) - 2 <= 1024
        }
    if isinstance(value, dict):
        return {"tokenproxy": digest(raw).partition(":")[2]}
    if isinstance(value, list):
        return [digest(raw)]
    return digest(raw) if isinstance(value, str) else None


@given(
    members=st.lists(st.tuples(strings(), values()), max_size=5),
    form=formats(),
    kept=st.sampled_from([1, 5, 20, 300, 2000, 100_000]),
    levels=st.integers(0, 3),
    data=st.data(),
)
def test_it_says_what_the_document_says(
    members: list[tuple[str, Any]],
    form: dict[str, Any],
    kept: int,
    levels: int,
    data: st.DataObject,
) -> None:
    """Keys repeat: the last one counts."""
    comma, colon = (mark.encode() for mark in form["separators"])
    again = data.draw(st.lists(st.sampled_from(members), max_size=2)) if members else []
    body = comma.join(
        encode(key, form) + colon + encode(value, form) for key, value in (*members, *again)
    )
    body = b"{" + body + b"}"
    made = Outline(kept=kept, limit=1 << 30, levels=levels)
    for chunk in chunked(body, data.draw(cuts(len(body)))):
        made.feed(chunk)
    whole: dict[str, Any] = json.loads(body.decode(errors="surrogatepass"))
    assert json.loads(made.text().decode(errors="surrogatepass")) == {
        key: expected(value, form, kept, levels)
        for key, value in whole.items()
        if len(encode(key, form)) - 2 <= 1024
    }
    assert made.over


@given(
    members=st.dictionaries(strings(), values(), max_size=5),
    form=formats(),
    kept=st.sampled_from([1, 20, 2000]),
    data=st.data(),
)
def test_what_was_cut_says_the_beginning_of_the_same(
    members: dict[str, Any], form: dict[str, Any], kept: int, data: st.DataObject
) -> None:
    body = encode(members, form)
    body = body[: data.draw(st.integers(1, len(body)))]
    text = read(body, kept=kept).decode(errors="surrogatepass")
    found: dict[str, Any] = json.loads(text)
    whole = json.loads(read(encode(members, form), kept=kept).decode(errors="surrogatepass"))
    assert list(found) == list(whole)[: len(found)]
    for number, (key, value) in enumerate(found.items(), start=1):
        # The object that it was cut in says what it can.
        assert value == whole[key] or (number == len(found) and isinstance(value, dict))


PIECES = [b'"', b"\\", b"[", b"]", b'"a"', b'"a":', b"{", b"}", b":", b",", b"1", b" ", b"null"]


@given(
    pieces=st.lists(st.one_of(st.sampled_from(PIECES), garbage()), max_size=20),
    kept=st.sampled_from([1, 5, 1000]),
    limit=st.sampled_from([20, 1 << 20]),
    data=st.data(),
)
def test_garbage_is_outlined_alike_in_any_chunks(
    pieces: list[bytes], kept: int, limit: int, data: st.DataObject
) -> None:
    body = data.draw(st.sampled_from([b"", b"{", b'{"a":{'])) + b"".join(pieces)
    made = Outline(kept=kept, limit=limit)
    for chunk in chunked(body, data.draw(cuts(len(body)))):
        made.feed(chunk)
    text = made.text()
    assert text == read(body, kept=kept, limit=limit)
    assert text == b"" or isinstance(json.loads(text.decode(errors="surrogatepass")), dict)


def test_depth_is_no_matter() -> None:
    deep = b'{"a":' * 100_000
    assert json.loads(read(b'{"model":"m",' + deep[1:])) == {"model": "m", "a": {"a": {"a": {}}}}
    assert read(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b',"b":1}').endswith(b',"b":1}')
