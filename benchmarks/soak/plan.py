"""What becomes of each call, by its number: known to both ends, so that each row can be checked."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

STREAMS: Final = 50
CHUNKS: Final = 1_500
"""Of a whole answer: half a minute at 50 a second."""
BURST: Final = 25
HOUR_OF_CALLS: Final = STREAMS * 120
"""An hour of such answers, one after the other in each stream."""
INPUT: Final = 1_000

type Fault = Literal[
    "none", "gzip", "slow reader", "cut", "reset", "overloaded", "client leaves", "garbage",
    "dropped", "short body", "half a chunk",
]  # fmt: skip

_IN_TURN: Final[tuple[Fault, ...]] = (
    "none", "cut", "none", "reset", "none", "overloaded", "gzip", "client leaves", "none",
    "garbage", "none", "dropped", "none", "short body", "slow reader", "half a chunk", "none",
    "gzip", "none", "none",
)  # fmt: skip

WHOLE: Final = ("none", "gzip", "slow reader")
OUTCOMES: Final[dict[Fault, tuple[str, ...]]] = {
    "none": ("complete",),
    "gzip": ("complete",),
    "slow reader": ("complete",),
    "cut": ("truncated",),
    "reset": ("truncated",),
    "overloaded": ("error",),
    "client leaves": ("aborted", "complete"),  # what it leaves unread may have come whole
    "garbage": ("complete", "error", "truncated"),
    "dropped": ("truncated", "error"),
    "short body": ("truncated",),
    "half a chunk": ("truncated",),
}
"""What a row may say of such a call."""


class Call(msgspec.Struct, frozen=True):
    """One call."""

    number: int

    @property
    def fault(self) -> Fault:
        return _IN_TURN[self.number % len(_IN_TURN)]

    @property
    def chunks(self) -> int:
        """That the provider sends before the fault, if there is one."""
        if self.fault in WHOLE or self.fault == "client leaves":
            return CHUNKS
        return 1 + self.number % (CHUNKS // 4)

    @property
    def output_tokens(self) -> int:
        """Billed, were it whole: another number for each call."""
        return 10_000 + self.number


FAULTS: Final = tuple(dict.fromkeys(_IN_TURN))
