"""The line that a run leaves on stderr."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys

from tokenproxy import units
from tokenproxy.config import Summary

WAIT_S = 1.0
"""For a stderr that nobody reads; once, whatever there is to be said."""


def summary_line(summary: Summary, *, elapsed_ms: float, iteration: int | None) -> str:
    """What a run used, for people; a gateway has no iteration.

    ``5 calls · 85.2k in (75.0k cached) · 258 out · $0.0723 · 3.2 s · iteration 7``
    """
    calls = f"{units.si(summary.calls)} {'call' if summary.calls == 1 else 'calls'}"
    asides = []
    if summary.failed:
        asides.append(f"{units.si(summary.failed)} failed")
    if summary.incomplete:
        asides.append(f"{units.si(summary.incomplete)} incomplete")
    parts = [f"{calls} ({', '.join(asides)})" if asides else calls]
    # Where no provider said anything about usage nothing is known, which is not 0.
    if summary.input_tokens or summary.output_tokens or summary.cost_usd:
        cached = summary.cache_read_input_tokens
        read = f" ({units.si(cached)} cached)" if cached else ""
        parts.append(f"{units.si(summary.input_tokens)} in{read}")
        parts.append(f"{units.si(summary.output_tokens)} out")
        unpriced = f"{units.si(summary.unpriced)} unpriced" if summary.unpriced else ""
        # Where no price is known the cost is not 0; what is free is.
        known = "" if unpriced and not summary.cost_usd else units.usd(summary.cost_usd)
        parts.append(" + ".join(part for part in (known, unpriced) if part))
    parts.append(units.duration(elapsed_ms))
    if iteration is not None:
        parts.append(f"iteration {iteration}")
    return " · ".join(parts)


def say(sentence: str) -> None:
    """One line of ours on stderr, whole, or not at all: a stderr that is gone is no fault."""
    line = f"tokenproxy: {' '.join(sentence.split())}\n"
    data = line.encode(getattr(sys.stderr, "encoding", None) or "utf-8", "backslashreplace")
    put(data)


def put(data: bytes) -> bool:
    """Write to stderr. Whether somebody takes it: one that is gone, or is not read, is no fault."""
    # From the background, a terminal with `stty tostop` would stop us here.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
    taken = False
    with contextlib.suppress(OSError):
        while data and _reader.takes():
            data = data[os.write(2, data) :]
        taken = not data
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return taken


class _Reader:
    """Whoever reads stderr. One that let us wait in vain is asked again, and not waited for."""

    def __init__(self) -> None:
        self._patience_s = WAIT_S

    def takes(self) -> bool:
        """Whether it takes some more now, or soon."""
        poll = select.poll()
        poll.register(2, select.POLLOUT)
        ready = bool(poll.poll(self._patience_s * 1000))
        self._patience_s = WAIT_S if ready else 0.0
        return ready


_reader = _Reader()
