"""Numbers as people read them: counts, money, time."""

from __future__ import annotations

_THOUSAND = 1000
_MINUTE = 60
_MILL = 0.001
_SI = ("", "k", "M", "G", "T", "P")


def si(count: int) -> str:
    """A count in SI steps: 0, 500, 5.2k, 567.9k, 1.2M.

    Below a thousand the number is exact; above, one decimal. What would round
    to a thousand of a step moves to the next one: 999,950 is 1.0M.
    """
    if count < 0:
        return "-" + si(-count)
    if count < _THOUSAND:
        return str(count)
    value, step = count / _THOUSAND, 1
    while round(value, 1) >= _THOUSAND and step < len(_SI) - 1:
        value, step = value / _THOUSAND, step + 1
    return f"{value:.1f}{_SI[step]}"


def usd(amount: float) -> str:
    """US dollars: $12.34, $0.0723, $0.000042. Below a dollar a call's cost is still readable."""
    if amount < 0:
        return "-" + usd(-amount)
    if amount == 0:
        return "$0.00"
    if round(amount, 4) >= 1:
        return f"${amount:,.2f}"
    if round(amount, 4) >= _MILL:  # two figures need no more than four decimals
        return f"${amount:.4f}"
    digits = f"{amount:.1e}"  # two significant figures: "4.2e-05"
    return f"${amount:.{1 - int(digits.partition('e')[2])}f}"


def duration(ms: float) -> str:
    """A length of time from milliseconds: 3 ms, 850 ms, 3.2 s, 2 min 5 s, 1 h 3 min."""
    if ms < 0:
        return "-" + duration(-ms)
    if round(ms) < _THOUSAND:
        return f"{ms:.0f} ms"
    if round(ms / _THOUSAND, 1) < _MINUTE:
        return f"{ms / _THOUSAND:.1f} s"
    seconds = round(ms / _THOUSAND)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min {seconds % 60} s"
