from __future__ import annotations

import pytest

from tokenproxy.wire.framing.sniff import SniffingParser
from tokenproxy.wire.usage import Reading


class Parser:
    """Remembers what it was and what it got."""

    def __init__(self, kind: str, reading: Reading) -> None:
        self.reading = reading
        self.reading.model = kind
        self.body = b""
        self.closed = 0

    def feed(self, data: bytes) -> bool:
        self.body += data
        return True

    def close(self) -> None:
        self.closed += 1

    def take_items(self) -> list[Reading]:
        return [Reading(response_id=self.body.decode())]


def sniffing(*, declared_stream: bool) -> SniffingParser:
    return SniffingParser(
        stream=lambda reading: Parser("stream", reading),
        document=lambda reading: Parser("document", reading),
        declared_stream=declared_stream,
    )


@pytest.mark.parametrize("step", [1, 2, 100])
@pytest.mark.parametrize(
    ("body", "declared_stream", "kind"),
    [
        (b"event: a", False, "stream"),
        (b"data: {}", False, "stream"),
        (b"\xef\xbb\xbf\n event: a", False, "stream"),
        (b": comment", True, "stream"),
        (b": comment", False, "stream"),
        (b"id: 3", True, "stream"),
        (b"", True, "stream"),
        (b"x", True, "stream"),
        (b'{"a":1}', True, "document"),
        (b' \r\n{"a":1}', True, "document"),
        (b'[{"a":1}\r\n', True, "document"),
        (b'\xef\xbb\xbf[{"a":1}', True, "document"),
        (b"[]", False, "document"),
        (b"{}", False, "document"),
        (b"<html>", False, "document"),
        (b"", False, "document"),
        (b"e", False, "document"),
        (b"eventually", False, "document"),
    ],
)
def test_kinds(body: bytes, declared_stream: bool, kind: str, step: int) -> None:
    parser = sniffing(declared_stream=declared_stream)
    reading = parser.reading
    for at in range(0, len(body), step):
        parser.feed(body[at : at + step])
    parser.close()
    assert parser.reading is reading
    assert reading.model == kind
    [item] = parser.take_items()
    assert item.response_id == body.decode().lstrip(" \r\n\ufeff")


def test_a_stream_begins_at_its_first_byte() -> None:
    parser = sniffing(declared_stream=True)
    assert parser.take_items() == []
    assert parser.feed(b"e") is True
    assert parser.feed(b"v") is True


def test_white_space_is_not_kept() -> None:
    parser = sniffing(declared_stream=False)
    for _ in range(1000):
        assert parser.feed(b" \n" * 100) is False
        assert parser._head == b""
