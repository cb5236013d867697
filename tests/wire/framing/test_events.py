from __future__ import annotations

from tokenproxy.wire import notes
from tokenproxy.wire.framing.events import EventStreamParser
from tokenproxy.wire.framing.sse import Event
from tokenproxy.wire.usage import Reading


class Taking(EventStreamParser):
    """Keeps what it is handed; an event without data changes nothing."""

    def __init__(self) -> None:
        super().__init__(Reading(), [b"delta"])
        self.taken: list[Event] = []
        self.ends = 0

    def _take(self, event: Event) -> bool:
        self.taken.append(event)
        return event.data is not None

    def _end(self) -> None:
        self.ends += 1


def test_events_are_handed_on_in_order_and_news_are_told() -> None:
    parser = Taking()
    assert parser.feed(b"event: delta\ndata: x\n\n") is False
    assert parser.feed(b"data: 1\n\nevent: delta\ndata: y\n\n") is True
    assert parser.feed(b"data: 2") is False
    assert parser.take_items() == []
    parser.close()
    parser.close()
    assert parser.taken == [
        Event(b"delta", None),
        Event(b"", b"1"),
        Event(b"delta", None),
        Event(b"", b"2", torn=True),
    ]
    assert (parser.ends, parser.reading.notes) == (1, ())


def test_an_event_that_is_too_large_is_said() -> None:
    parser = Taking()
    for _ in range(9):  # the reader keeps 8 MiB
        parser.feed(b"data: " + b"[" * 1_000_000 + b"\n")
    parser.close()
    assert parser.reading.notes == (notes.EVENT_TOO_LARGE,)
