"""What can wait a little is done together: one timer for all of it, not a call of the loop each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

DELAY_S = 0.005
"""The recorder works by turns of about this length: nothing would be known sooner."""


class Later:
    """Belongs to the event loop. What it is given to do must not raise."""

    def __init__(self) -> None:
        self._waiting: list[Callable[[], None]] = []

    def __call__(self, work: Callable[[], None]) -> None:
        """Do ``work`` soon: at the latest after ``DELAY_S``, in the order that it came in."""
        if not self._waiting:
            asyncio.get_running_loop().call_later(DELAY_S, self._do)
        self._waiting.append(work)

    def _do(self) -> None:
        waiting, self._waiting = self._waiting, []
        for work in waiting:
            work()
