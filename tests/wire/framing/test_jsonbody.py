from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.wire.strategies import chunked, cuts
from tokenproxy.wire.framing.jsonbody import JsonBody
from tokenproxy.wire.framing.prune import Pruner


def test_collects_and_forgets() -> None:
    body = JsonBody()
    body.feed(b'{"a":')
    body.feed(b"1}")
    assert body.take() == b'{"a":1}'
    assert body.take() == b""


def test_beyond_the_limit_nothing_is_kept() -> None:
    body = JsonBody(limit=4)
    seen = []
    for piece in (b"1234", b"5", b"6"):
        body.feed(piece)
        seen.append(body.too_large)
    assert seen == [False, True, True]
    assert body.take() == b""


def test_up_to_the_limit_all_is_kept() -> None:
    body = JsonBody(limit=4)
    body.feed(b"12")
    body.feed(b"34")
    assert body.take() == b"1234"


def test_a_small_body_comes_out_as_it_came_in() -> None:
    small = b'["' + b"x" * 65_532 + b'"]'
    body = JsonBody()
    body.feed(small[:40_000])
    body.feed(small[40_000:])
    assert body.take() == small


def test_a_larger_body_comes_out_reduced() -> None:
    larger = b'["' + b"x" * 65_533 + b'",1]'
    pruner = Pruner()
    pruner.feed(larger)
    reduced = pruner.take()
    assert len(reduced) == 49
    body = JsonBody()
    body.feed(larger[:40_000])
    body.feed(larger[40_000:])
    assert body.take() == reduced
    assert body.take() == b""
    assert not body.too_large


def test_a_body_too_large_even_when_reduced() -> None:
    body = JsonBody()
    for _ in range(9):
        assert not body.too_large
        body.feed(b"null," * 200_000)
    assert body.too_large
    body.feed(b"null")
    assert body.take() == b""


def test_what_its_end_makes_too_large() -> None:
    body = JsonBody(limit=70_000)
    body.feed(b"null," * 13_990 + b'"' + b"x" * 50)
    assert body.take() == b""
    assert body.too_large


@given(
    pieces=st.lists(
        st.sampled_from([b'"', b"x" * 70_000, b'"a"', b"{", b"[1", b",2" * 40_000, b"]", b"\\"]),
        max_size=6,
    ),
    limit=st.sampled_from([1000, 65_536, 100_000, 1 << 23]),
    data=st.data(),
)
def test_any_chunking_gives_the_same_body(
    pieces: list[bytes], limit: int, data: st.DataObject
) -> None:
    body = b"".join(pieces)
    whole, cut = JsonBody(limit), JsonBody(limit)
    whole.feed(body)
    for chunk in chunked(body, data.draw(cuts(len(body)))):
        cut.feed(chunk)
    kept = whole.take()
    assert cut.take() == kept
    assert cut.too_large == whole.too_large
    assert len(kept) <= limit
