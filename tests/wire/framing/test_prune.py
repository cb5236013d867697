from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.framing.documents import encode, formats, strings, values
from tests.wire.strategies import chunked, cuts, garbage
from tokenproxy.wire.framing.outline import outline
from tokenproxy.wire.framing.prune import Pruner


def prune(body: bytes, *, step: int = 1 << 30, limit: int = 1 << 30) -> bytes:
    pruner = Pruner(limit)
    for at in range(0, len(body), step):
        pruner.feed(body[at : at + step])
    return pruner.take()


def stand_in(raw: bytes) -> bytes:
    return b'"tokenproxy:' + hashlib.blake2b(raw, digest_size=16).hexdigest().encode() + b'"'


LONG = b"x" * 1025
SHORT = b"x" * 1024
ESCAPED = b'\\"' * 512 + b"\\\\"
FLOATS = b"0.25," * 204 + b"0.255"
CASES: list[tuple[str, bytes, bytes]] = [
    ("nothing", b"", b""),
    ("small", b'{"a":[1,"b",null]}', b'{"a":[1,"b",null]}'),
    ("a long string", b'{"a":"' + LONG + b'","b":1}', b'{"a":' + stand_in(LONG) + b',"b":1}'),
    ("as long as may stay", b'["' + SHORT + b'"]', b'["' + SHORT + b'"]'),
    ("escapes count as sent", b'["' + ESCAPED + b'"]', b"[" + stand_in(ESCAPED) + b"]"),
    ("escapes that may stay", b'["' + ESCAPED[:-2] + b'"]', b'["' + ESCAPED[:-2] + b'"]'),
    ("few escapes", b'["\\\\","\\"]",""]', b'["\\\\","\\"]",""]'),
    ("a long key", b'{"' + LONG + b'":1}', b"{" + stand_in(LONG) + b":1}"),
    ("numbers", b'{"e":[' + FLOATS + b'],"u":[1, 2]}', b'{"e":[],"u":[1, 2]}'),
    ("numbers on lines", b"[[\n " + FLOATS.replace(b",", b",\n ") + b"\n]]", b"[[]]"),
    ("numbers and a null", b"[" + FLOATS + b",null]", b"[" + FLOATS + b",null]"),
    ("numbers and a string", b"[" + FLOATS + b',"a"]', b"[" + FLOATS + b',"a"]'),
    ("numbers and an array", b"[" + FLOATS + b",[" + FLOATS + b"]]", b"[" + FLOATS + b",[]]"),
    ("a string and numbers", b'["a",' + FLOATS + b"]", b'["a",' + FLOATS + b"]"),
    ("numbers that may stay", b"[" + FLOATS[:1024] + b"]", b"[" + FLOATS[:1024] + b"]"),
    ("numbers in a string", b'"[' + FLOATS[:500] + b']"', b'"[' + FLOATS[:500] + b']"'),
    ("cut in a short string", b'{"a":"bc', b'{"a":"bc'),
    ("cut in a long string", b'{"a":"' + LONG, b'{"a":"'),
    ("cut in an escape", b'{"a":"b\\', b'{"a":"b\\'),
    ("cut in numbers", b'{"a":[1,2', b'{"a":[1,2'),
    ("no JSON", b"<html>\"'[[]}\\", b"<html>\"'[[]}\\"),
]


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000, 1 << 20])
@pytest.mark.parametrize(
    ("body", "reduced"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_reduced(body: bytes, reduced: bytes, step: int) -> None:
    assert prune(body, step=step) == reduced


def test_what_was_taken_is_forgotten() -> None:
    pruner = Pruner()
    for body in (b'{"a":"b\\', b"[1,2", b'"' + LONG, b"[]"):
        pruner.feed(body)
        assert pruner.take() != b""
        assert pruner.take() == b""


@pytest.mark.parametrize("step", [1, 3, 1 << 20])
@pytest.mark.parametrize(
    ("body", "limit", "too_large"),
    [
        (b"[null]", 6, False),
        (b"[null]", 5, True),
        (b'["ab"]', 6, False),
        (b'["ab"]', 5, True),
        (b'["ab"', 4, True),
        (b"[1,2]", 5, False),
        (b"[1,2]", 4, True),
        (b"[" + FLOATS + b"]", 2, False),
        (b"[" + FLOATS + b",null]", 1000, True),
        (b"[" + FLOATS + b",null]", 1031, True),
        (b"[" + FLOATS + b",null]", 1032, False),
        (b'["' + LONG + b'"]', 47, False),
        (b'["' + LONG + b'"]', 46, True),
    ],
)
def test_too_large(body: bytes, limit: int, too_large: bool, step: int) -> None:
    pruner = Pruner(limit)
    for at in range(0, len(body), step):
        pruner.feed(body[at : at + step])
    reduced = pruner.take()
    assert pruner.too_large is too_large
    assert reduced == (b"" if too_large else prune(body))


@pytest.mark.parametrize("step", [1, 1 << 20])
def test_cut_in_numbers_that_would_not_fit(step: int) -> None:
    assert prune(b"[" + FLOATS, step=step, limit=500) == b"["


@pytest.mark.parametrize("piece", [b"x" * 1000, b"0.25," * 200, b'"', b"[", b"{}", b"\\"])
@pytest.mark.parametrize("start", [b"", b'["', b"[", b'["\\'])
def test_little_is_held(start: bytes, piece: bytes) -> None:
    pruner = Pruner(limit=10_000)
    pruner.feed(start)
    for _ in range(100):
        pruner.feed(piece * 10)
        assert len(pruner._held) + len(pruner._reduced.getvalue()) <= 10_000


LONG_RUN = re.compile(rb"\[[-+.0-9eE, \t\r\n]{1025}")


def expected(value: Any, form: dict[str, Any]) -> Any:
    """What the reduced document says of a value that was written in this form."""
    if isinstance(value, str):
        raw = encode(value, form)[1:-1]
        return json.loads(stand_in(raw)) if len(raw) > 1024 else value
    if isinstance(value, dict):
        return {expected(key, form): expected(inner, form) for key, inner in value.items()}
    if isinstance(value, list):
        if all(isinstance(n, int | float) and not isinstance(n, bool) for n in value):
            return [] if len(encode(value, form)) - 2 > 1024 else value
        return [expected(inner, form) for inner in value]
    return value


@given(value=values(), form=formats(), data=st.data())
def test_the_structure_stays(value: Any, form: dict[str, Any], data: st.DataObject) -> None:
    body = encode(value, form)
    pruner = Pruner()
    for chunk in chunked(body, data.draw(cuts(len(body)))):
        pruner.feed(chunk)
    assert json.loads(pruner.take().decode(errors="surrogatepass")) == expected(value, form)
    assert not pruner.too_large


@given(
    pieces=st.lists(
        st.one_of(
            st.sampled_from([b'"', b"\\", b"[", b"]", b'"a"', b"{", b"}", b":", LONG, FLOATS]),
            garbage(),
        ),
        max_size=12,
    ),
    limit=st.sampled_from([10, 100, 2000, 1 << 20]),
    outlines=st.booleans(),
    data=st.data(),
)
def test_garbage_is_reduced_alike_in_any_chunks(
    pieces: list[bytes], limit: int, outlines: bool, data: st.DataObject
) -> None:
    body = data.draw(st.sampled_from([b"", b"{", b'{"a":1,"b":'])) + b"".join(pieces)
    whole, cut = Pruner(limit, outlines=outlines), Pruner(limit, outlines=outlines)
    whole.feed(body)
    for chunk in chunked(body, data.draw(cuts(len(body)))):
        cut.feed(chunk)
    reduced = whole.take()
    assert cut.take() == reduced
    assert cut.too_large == whole.too_large
    assert len(reduced) <= (len(body) if outlines else limit)


@given(
    members=st.dictionaries(strings(), values(), max_size=4),
    form=formats(),
    limit=st.sampled_from([1, 10, 100, 2000]),
    data=st.data(),
)
def test_too_large_a_document_is_outlined(
    members: dict[str, Any], form: dict[str, Any], limit: int, data: st.DataObject
) -> None:
    body = encode(members, form)
    pruner = Pruner(limit, outlines=True)
    for chunk in chunked(body, data.draw(cuts(len(body)))):
        pruner.feed(chunk)
    reduced, found = prune(body), pruner.take()
    assert not pruner.too_large
    if LONG_RUN.search(reduced):  # numbers before something else: the outline has none of them
        assert list(json.loads(found)) == list(json.loads(reduced))
    else:
        assert found == (reduced if len(reduced) <= limit else outline(reduced))
