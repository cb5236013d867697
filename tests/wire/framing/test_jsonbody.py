from __future__ import annotations

from tokenproxy.wire.framing.jsonbody import JsonBody


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
