from __future__ import annotations

import pytest

from tokenproxy.wire import notes
from tokenproxy.wire.framing.document import DocumentParser
from tokenproxy.wire.usage import Reading


@pytest.mark.parametrize(
    ("body", "seen", "said"),
    [
        (b"yes", b"yes", ()),
        (b"\xef\xbb\xbfyes", b"yes", ()),
        (b"no", b"no", (notes.BODY_UNREADABLE,)),
        (b"", b"", ()),
        (b"x" * 11, b"", (notes.BODY_TOO_LARGE,)),
    ],
)
def test_read_once_it_is_over(body: bytes, seen: bytes, said: tuple[str, ...]) -> None:
    read: list[bytes] = []

    def take(whole: bytes) -> bool:
        read.append(whole)
        return whole == b"yes"

    parser = DocumentParser(take, Reading(), limit=10)
    for at in range(len(body)):
        assert parser.feed(body[at : at + 1]) is False
    assert read == []
    parser.close()
    parser.close()
    assert read == [seen]
    assert parser.reading.notes == said
    assert parser.take_items() == []
