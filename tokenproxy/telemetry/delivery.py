"""What became of what was exported: counted where it leaves, said in one sentence.

Imports no opentelemetry.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from tokenproxy.telemetry.switch import split


class Delivery:
    """The fate of one signal's exports to one collector."""

    def __init__(self, what: str, endpoint: str) -> None:
        self.what = what
        """``spans`` or ``metrics``."""
        self.endpoint = endpoint
        self.delivered = 0
        self.failed = 0
        self.kept = 0
        """Of those that failed: what waits in the spool."""
        self.under_way = 0
        self.late = False
        """Time was up before all was exported: an export may not even have begun."""
        self.refusal: str | None = None
        """What the collector answered that refused, ``401 Unauthorized``."""
        self.dropped = 0
        """How many found no room, and were not even sent."""
        self.rejected = 0
        """How many a collector did not take of requests that it took."""
        self.complaint = ""
        """Its word on the last of those."""
        self._lock = threading.Lock()

    def begin(self) -> None:
        """An export is under way."""
        with self._lock:
            self.under_way += 1

    def end(self, *, delivered: bool, refusal: str | None = None, kept: bool = False) -> None:
        """It is over; what was not delivered may be kept for later."""
        with self._lock:
            self.under_way -= 1
            if delivered:
                self.delivered += 1
            else:
                self.failed += 1
                self.kept += kept
                self.refusal = refusal or self.refusal

    def drop(self, count: int) -> None:
        """So many found no room, and are lost."""
        with self._lock:
            self.dropped += count

    def reject(self, count: int, complaint: str) -> None:
        """So many of a request that arrived were not taken."""
        with self._lock:
            self.rejected += count
            self.complaint = complaint or self.complaint

    @property
    def address(self) -> str:
        """Scheme, host and port: a path says nothing, and a user's password must not be said.

        A password with a slash in it passes for the port: then none of them is said.
        """
        parts = split(self.endpoint)
        host = parts.netloc.rpartition("@")[2]
        port = host.rpartition("]")[2].partition(":")[2]
        if (port and not port.isdecimal()) or "@" in parts.path + parts.query + parts.fragment:
            return "its endpoint, which is no URL,"
        return f"{parts.scheme}://{host}" if parts.scheme else host

    @property
    def lost(self) -> str | None:
        """``spans`` or ``some spans`` if not everything arrived, else None."""
        if not (self.failed > self.kept or self.under_way or self.late):
            return None
        return f"some {self.what}" if self.delivered or self.kept else self.what

    @property
    def waiting(self) -> str | None:
        """The same of what was not lost but kept; None if nothing was."""
        if not self.kept:
            return None
        return f"some {self.what}" if self.delivered or self.lost else self.what

    @property
    def verdict(self) -> str:
        """What a collector did that did not take everything."""
        answered = f"answered {self.refusal}" if self.refusal else "did not answer"
        return f"the collector at {self.address} {answered}"


def sentences(deliveries: Sequence[Delivery], spool: Path | None = None) -> tuple[str, ...]:
    """A sentence for each collector and each reason why not everything is there; none if it is."""
    later = f"are kept in {spool} for `tokenproxy otel replay`"
    found: dict[str, dict[str, list[str]]] = {}
    for delivery in deliveries:
        fates = {"were not delivered": delivery.lost, later: delivery.waiting}
        for fate, what in fates.items():
            if what is not None:
                found.setdefault(delivery.verdict, {}).setdefault(fate, []).append(what)
    undelivered = (
        f"telemetry: {verdict}; "
        + "; ".join(f"{' and '.join(what)} of this run {fate}" for fate, what in fates.items())
        for verdict, fates in found.items()
    )
    return (*undelivered, *(said for delivery in deliveries for said in _in_part(delivery)))


def _in_part(delivery: Delivery) -> Iterator[str]:
    if delivery.rejected:
        why = f": {delivery.complaint}" if delivery.complaint else ""
        yield (
            f"telemetry: the collector at {delivery.address} did not take {delivery.rejected}"
            f" of the {delivery.what} of this run{why}"
        )
    if delivery.dropped:
        yield (
            f"telemetry: {delivery.dropped} {delivery.what} of this run were dropped:"
            " too many waited at once (OTEL_BSP_MAX_QUEUE_SIZE)"
        )
