"""What became of what was exported: counted where it leaves, said in one sentence.

Imports no opentelemetry.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from tokenproxy.telemetry.switch import split


class Delivery:
    """The fate of one signal's exports to one collector."""

    def __init__(self, what: str, endpoint: str) -> None:
        self.what = what
        """``spans`` or ``metrics``."""
        self.endpoint = endpoint
        self.delivered = 0
        self.failed = 0
        self.under_way = 0
        self.late = False
        """Time was up before all was exported: an export may not even have begun."""
        self.refusal: str | None = None
        """What the collector answered that refused, ``401 Unauthorized``."""
        self._lock = threading.Lock()

    def begin(self) -> None:
        """An export is under way."""
        with self._lock:
            self.under_way += 1

    def end(self, *, delivered: bool, refusal: str | None = None) -> None:
        """It is over."""
        with self._lock:
            self.under_way -= 1
            if delivered:
                self.delivered += 1
            else:
                self.failed += 1
                self.refusal = refusal or self.refusal

    @property
    def address(self) -> str:
        """Scheme, host and port: a path says nothing, and a user's password must not be said."""
        parts = split(self.endpoint)
        host = parts.netloc.rpartition("@")[2]
        return f"{parts.scheme}://{host}" if parts.scheme else host

    @property
    def lost(self) -> str | None:
        """``spans`` or ``some spans`` if not everything arrived, else None."""
        if not (self.failed or self.under_way or self.late):
            return None
        return f"some {self.what}" if self.delivered else self.what

    @property
    def verdict(self) -> str:
        """What a collector did that did not take everything."""
        answered = f"answered {self.refusal}" if self.refusal else "did not answer"
        return f"the collector at {self.address} {answered}"


def sentences(deliveries: Sequence[Delivery]) -> tuple[str, ...]:
    """One sentence a collector that did not take everything; none if all arrived."""
    lost: dict[str, list[str]] = {}
    for delivery in deliveries:
        if delivery.lost is not None:
            lost.setdefault(delivery.verdict, []).append(delivery.lost)
    return tuple(
        f"telemetry: {said}; {' and '.join(what)} of this run were not delivered"
        for said, what in lost.items()
    )
