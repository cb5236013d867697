"""Spans of time as people state them: 2026-11-01, 7d, 24h, today.

A day is a day of the user's own time zone (``TZ``, else the system's), or of UTC
when asked. Rows are in UTC; only the borders between days move.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO = re.compile(r"(\d{1,6})\s*([mhdw])")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_LOCALTIME = Path("/etc/localtime")


def local_zone(env: Mapping[str, str] | None = None) -> ZoneInfo:
    """The user's time zone by its IANA name; UTC where none is known."""
    name = _named(env)
    if not name:
        _, found, name = str(_LOCALTIME.resolve()).partition("zoneinfo/")
        if not found:
            name = "UTC"
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):  # a path, a POSIX rule, no zone data
        return ZoneInfo("UTC")


def unknown_zone(env: Mapping[str, str] | None = None) -> str | None:
    """What ``TZ`` says, if no zone of that name is known; :func:`local_zone` is UTC then."""
    name = _named(env)
    try:
        if name:
            ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        return name
    return None


def _named(env: Mapping[str, str] | None) -> str:
    return (os.environ if env is None else env).get("TZ", "").removeprefix(":")


def parse_moment(text: str, zone: tzinfo, now: datetime, *, end: bool = False) -> datetime:
    """The moment that ``text`` names, in UTC.

    Args:
        text: ``2026-11-01``, ``2026-11-01T12:00``, ``2026-11-01T12:00:00Z``, ``7d`` (seven days
            ago; also w, h, m), ``today`` or ``yesterday``.
        zone: The zone of dates and of times that name none.
        now: What ``7d`` counts back from.
        end: A whole day means its end: ``--until 2026-11-30`` includes that day.

    Raises:
        ValueError: With a sentence that says what is understood.
    """
    stripped = text.strip()
    try:
        if ago := _AGO.fullmatch(stripped):
            return (now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})).astimezone(UTC)
        day = _day(stripped, zone, now)
        if day is not None:
            return (day + timedelta(days=1) if end else day).astimezone(UTC)
        moment = datetime.fromisoformat(stripped)
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is not a time: use a date (2026-11-01), a time (2026-11-01T12:00Z), "
            "a span back from now (7d, 24h, 30m, 2w), today or yesterday"
        ) from None


def _day(text: str, zone: tzinfo, now: datetime) -> datetime | None:
    """Midnight at the start of the day that ``text`` names, if it names a whole day."""
    today = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    if text == "today":
        return today
    if text == "yesterday":
        return today - timedelta(days=1)
    if _DATE.fullmatch(text):
        return datetime.fromisoformat(text).replace(tzinfo=zone)
    return None
