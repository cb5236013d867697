"""Money as whole numbers, so that it adds up."""

from __future__ import annotations

_NANO = 1_000_000_000


def nanodollars(usd: float | None) -> int:
    """US dollars in units of 1e-9, rounded to the nearest; unknown counts as nothing.

    Micros would not do: a cached token of a small model costs a tenth of one.
    """
    return 0 if usd is None else round(usd * _NANO)
