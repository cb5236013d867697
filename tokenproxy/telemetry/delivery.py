"""What became of what was exported: counted where it leaves, said in one sentence.

Imports no opentelemetry.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tokenproxy import units
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
        self.why: str | None = None
        """Why there was no answer at the last try, ``Connection refused``."""
        self._doubtful = 0
        """Of those that failed: what had gone out whole, and was not answered."""
        self._awaited: float | None = None
        """When the first went out whole (monotonic) whose answer is still to come."""
        self._waited_s = 0.0
        """How long an answer was waited for that did not come."""
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

    def sent(self) -> None:
        """A request went out whole: from now on only an answer tells whether it arrived."""
        with self._lock:
            self._awaited = self._awaited or time.monotonic()

    def answered(self) -> None:
        """It was answered, whatever the answer."""
        with self._lock:
            self._awaited = self.why = None

    def tried(self, why: str | None) -> None:
        """There was no answer, and why; None: the time was up. It may be tried again."""
        with self._lock:
            self.why = why

    def end(self, *, delivered: bool, refusal: str | None = None, kept: bool = False) -> None:
        """It is over; what was not delivered may be kept for later."""
        with self._lock:
            self.under_way -= 1
            awaited, self._awaited = self._awaited, None
            if delivered:
                self.delivered += 1
                return
            self.failed += 1
            self.kept += kept
            self.refusal = refusal or self.refusal
            if awaited is not None:
                self._doubtful += not kept
                self._waited_s = time.monotonic() - awaited

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
        """``spans`` or ``some spans`` of what did not arrive; None if there are none."""
        unfinished = (self.under_way or self.late) and self._awaited is None
        if not (self.failed - self._doubtful > self.kept or unfinished):
            return None
        return f"some {self.what}" if self.delivered or self.kept or self.in_doubt else self.what

    @property
    def in_doubt(self) -> str | None:
        """The same of what was sent and not answered: it may have arrived."""
        unfinished = (self.under_way or self.late) and self._awaited is not None
        if not (self._doubtful or unfinished):
            return None
        return f"some {self.what}" if self.delivered or self.kept else self.what

    @property
    def waiting(self) -> str | None:
        """The same of what was not lost but kept."""
        if not self.kept:
            return None
        some = self.delivered or self.lost or self.in_doubt
        return f"some {self.what}" if some else self.what

    @property
    def waited_s(self) -> float:
        """How long an answer was, or is, waited for that did not come; 0: that was not it."""
        if self.why is not None or self.refusal is not None:
            return 0.0
        return self._waited_s if self._awaited is None else time.monotonic() - self._awaited

    @property
    def verdict(self) -> str:
        """What a collector did that did not take everything."""
        return self.verdict_beside([self])

    def verdict_beside(self, others: Sequence[Delivery]) -> str:
        """The same in the words of all that was sent there: no two sentences for one cause."""
        there = [one for one in others if one.address == self.address]
        why = next((one.why for one in there if one.why), None)
        waited_s = max(one.waited_s for one in there) if self.waited_s else 0.0
        return f"the collector at {self.address} {self._deed(why, waited_s)}"

    def _deed(self, why: str | None, waited_s: float) -> str:
        if self.refusal:
            return f"answered {self.refusal}"
        if waited := round(waited_s, 1):  # the time may have been up as soon as it was sent
            return f"gave no answer within {units.duration(waited * 1000)}"
        deed = "gave no answer" if self.in_doubt else "did not answer"
        return f"{deed} ({why})" if why else deed


def sentences(deliveries: Sequence[Delivery], spool: Path | None = None) -> tuple[str, ...]:
    """A sentence for each collector and each reason why not everything is there; none if it is."""
    later = f"are kept in {spool} for `tokenproxy otel replay`"
    found: dict[str, dict[str, list[str]]] = {}
    for delivery in deliveries:
        verdict = delivery.verdict_beside(deliveries)
        fates = {
            "{} of this run were not delivered": delivery.lost,
            "whether {} of this run arrived is not known": delivery.in_doubt,
            "{} of this run " + later: delivery.waiting,
        }
        for fate, what in fates.items():
            if what is not None:
                found.setdefault(verdict, {}).setdefault(fate, []).append(what)
    undelivered = (
        f"telemetry: {verdict}; "
        + "; ".join(fate.replace("{}", " and ".join(what), 1) for fate, what in fates.items())
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
