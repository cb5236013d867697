from __future__ import annotations

import pytest

from tokenproxy.wire import notes
from tokenproxy.wire.framing.lines import LinesParser
from tokenproxy.wire.usage import Reading


class Lines:
    """Remembers the lines; one that begins with ? is unreadable, with ! is news."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []

    def read(self, line: bytes) -> bool | None:
        self.seen.append(line)
        return None if line.startswith(b"?") else line.startswith(b"!")


@pytest.mark.parametrize("step", [1, 100])
def test_each_line_is_read_as_it_comes(step: int) -> None:
    lines = Lines()
    parser = LinesParser(lines.read, Reading())
    body = b"a\n!b\n\nc\n"
    news = [parser.feed(body[at : at + step]) for at in range(0, len(body), step)]
    assert lines.seen == [b"a", b"!b", b"c"]
    assert news.count(True) == 1
    parser.close()
    parser.close()
    assert parser.take_items() == []
    assert parser.reading.notes == ()


def test_unreadable_lines_are_noted_but_not_a_torn_one() -> None:
    lines = Lines()
    parser = LinesParser(lines.read, Reading())
    assert parser.feed(b"!a\n?b\n?c") is True
    assert parser.reading.notes == (notes.EVENT_UNREADABLE,)
    torn = LinesParser(lines.read, Reading())
    torn.feed(b"?c")
    torn.close()
    assert torn.reading.notes == ()
    assert lines.seen == [b"!a", b"?b", b"?c"]


def test_a_line_too_long_is_noted() -> None:
    lines = Lines()
    parser = LinesParser(lines.read, Reading(), limit=4)
    parser.feed(b"!four\n!abc\n")
    parser.close()
    assert lines.seen == [b"!abc"]
    assert parser.reading.notes == (notes.EVENT_TOO_LARGE,)
