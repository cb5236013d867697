"""Response headers that providers share."""

from __future__ import annotations

import math
from collections.abc import Mapping

from tokenproxy.wire.words import word

_MAX_RETRY_AFTER_S = 7 * 86400.0


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait. A date instead of a number is not read: it would need a clock."""
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        if name not in headers:
            continue
        try:
            seconds = float(headers[name]) * unit_s
        except ValueError:
            continue
        if math.isfinite(seconds) and 0 <= seconds <= _MAX_RETRY_AFTER_S:
            return seconds
    return None


def limits(headers: Mapping[str, str], *prefixes: str) -> dict[str, str]:
    """Headers with these beginnings that say something short, as sent."""
    return {
        name: kept
        for name, value in headers.items()
        if name.startswith(prefixes) and (kept := word(value)) is not None
    }
