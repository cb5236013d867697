from __future__ import annotations

from tests.wire.fixtures.google import counts
from tokenproxy.wire import notes
from tokenproxy.wire.google.meter import Meter
from tokenproxy.wire.usage import Reading, UsagePart


def test_what_says_more_takes_the_place_of_what_said_less() -> None:
    reading = Reading()
    meter = Meter(reading)
    for usage in (
        {"cachedContentTokenCount": 4},
        counts(8, None, 8),
        counts(8, 3, 11),
        counts(8, 5, 13, cachedContentTokenCount=4),
    ):
        assert meter.take(usage)
    assert reading.usage == [
        {"cachedContentTokenCount": 4},
        counts(8, 5, 13, cachedContentTokenCount=4),
    ]


def test_what_repeats_changes_nothing() -> None:
    meter = Meter(Reading())
    assert meter.take(counts(8, 5, 13))
    assert not meter.take(counts(8, 5, 13))
    assert not meter.take({"promptTokenCount": 0, "else": 7})


def test_of_too_many_the_last_stays() -> None:
    reading = Reading()
    meter = Meter(reading)
    for number in range(20):
        meter.take({f"key{number}": 1, "promptTokenCount": 8})
    assert len(reading.usage) == 16
    assert reading.usage[-1] == {"key19": 1, "promptTokenCount": 8}
    assert reading.notes == (notes.USAGE_OBJECTS_DROPPED,)


def test_notes_on_objects() -> None:
    reading = Reading()
    meter = Meter(reading)
    meter.take({"promptTokenCount": "8"})
    meter.take({"junk": "x" * 70_000})
    assert reading.notes == (notes.BAD_COUNT, notes.USAGE_NOT_KEPT)
    assert reading.usage == [{"promptTokenCount": "8"}]


def test_a_note_on_the_sum_is_taken_back_when_the_sum_comes_right() -> None:
    reading = Reading(notes=("kept",))
    meter = Meter(reading)
    meter.take(counts(8, 5, 20))
    meter.settle({}, None)
    assert list(reading.notes) == ["kept", notes.TOTAL_MISMATCH]
    meter.take(counts(8, 12, 20))
    meter.settle({}, None)
    assert list(reading.notes) == ["kept"]


def test_settling() -> None:
    reading = Reading()
    meter = Meter(reading)
    meter.settle({}, "flex")
    assert reading == Reading()
    meter.take(counts(8, 5, 13))
    meter.settle({"web_search_requests": 2}, "flex")
    part = UsagePart(
        uncached_input_tokens=8,
        output_tokens=5,
        server_tool_use={"web_search_requests": 2},
        service_tier="flex",
    )
    assert (reading.parts, reading.completeness) == ((part,), "partial")
    reading.ended = True
    meter.take({"serviceTier": "PRIORITY"})
    meter.settle({}, "flex")
    assert reading.parts[0].service_tier == "priority"
    assert reading.completeness == "final"
