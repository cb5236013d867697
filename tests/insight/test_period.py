from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from tokenproxy.insight.period import local_zone, parse_moment, unknown_zone

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 22, 0, 30, tzinfo=UTC)  # half past one in Berlin


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026-11-01", "2026-10-31T23:00", "2026-11-01T23:00"),
        ("2026-10-25", "2026-10-24T22:00", "2026-10-25T23:00"),  # clocks go back: 25 hours
        ("today", "2026-11-21T23:00", "2026-11-22T23:00"),
        ("yesterday", "2026-11-20T23:00", "2026-11-21T23:00"),
        ("2026-11-01T12:00", "2026-11-01T11:00", None),
        ("2026-11-01T12:00:30Z", "2026-11-01T12:00:30", None),
        ("2026-11-01 12:00+05:00", "2026-11-01T07:00", None),
        ("7d", "2026-11-15T00:30", None),
        ("24h", "2026-11-21T00:30", None),
        ("30 m", "2026-11-22T00:00", None),
        (" 2w ", "2026-11-08T00:30", None),
    ],
)
def test_moments(text: str, start: str, end: str | None) -> None:
    assert parse_moment(text, BERLIN, NOW) == utc(start)
    assert parse_moment(text, BERLIN, NOW, end=True) == utc(end or start)


@pytest.mark.parametrize(
    "text", ["", "yesterweek", "7", "-7d", "7y", "2026-13-01", "2026-02-30", "999999w", "d"]
)
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time") as caught:
        parse_moment(text, BERLIN, NOW)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "name"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        (":Europe/Berlin", "Europe/Berlin"),
        ("UTC", "UTC"),
        ("CET-1CEST,M3.5.0,M10.5.0/3", "UTC"),
        ("/etc/localtime", "UTC"),
        ("../../etc/passwd", "UTC"),
    ],
)
def test_the_zone_that_tz_names(variable: str, name: str) -> None:
    assert local_zone({"TZ": variable}).key == name


@pytest.mark.parametrize(
    ("variable", "unknown"),
    [
        ("Mars/Base", "Mars/Base"),
        ("CET-1CEST,M3.5.0,M10.5.0/3", "CET-1CEST,M3.5.0,M10.5.0/3"),
        ("/etc/localtime", "/etc/localtime"),
        (":Europe/Berlin", None),
        ("UTC", None),
        ("", None),
    ],
)
def test_a_zone_that_is_not_known_is_told(variable: str, unknown: str | None) -> None:
    assert unknown_zone({"TZ": variable}) == unknown


def test_without_tz_there_is_a_zone() -> None:
    assert local_zone({}).key
