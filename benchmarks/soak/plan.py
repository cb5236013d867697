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
    "none", "gzip", "slow reader", "cut", "reset", "overloaded", "leaves", "leaves late",
    "garbage", "dropped", "short body", "half a chunk",
]  # fmt: skip

_IN_TURN: Final[tuple[Fault, ...]] = (
    "none", "cut", "none", "reset", "none", "overloaded", "gzip", "leaves", "none",
    "garbage", "none", "dropped", "none", "short body", "slow reader", "half a chunk", "none",
    "gzip", "leaves late", "none",
)  # fmt: skip

FIRST_WORD: Final = 1
"""Output tokens that an answer tells at its beginning."""

type Count = Literal["final", "first word", "none"]


class Due(msgspec.Struct, frozen=True):
    """What the row of such a call must say."""

    outcome: str
    count: Count
    """Of output tokens: the bill's, what was told before the fault, or nothing."""


DUE: Final[dict[Fault, Due]] = {
    "none": Due("complete", "final"),
    "gzip": Due("complete", "final"),
    "slow reader": Due("complete", "final"),
    "cut": Due("truncated", "first word"),
    "reset": Due("truncated", "first word"),
    "overloaded": Due("error", "none"),
    # The provider tells its last word when the client has gone, or before, and then waits.
    "leaves": Due("aborted", "first word"),
    "leaves late": Due("complete", "final"),
    "garbage": Due("truncated", "first word"),
    "dropped": Due("error", "none"),
    "short body": Due("truncated", "first word"),
    "half a chunk": Due("truncated", "first word"),
}
LEAVE: Final = ("leaves", "leaves late")
WHOLE: Final = ("none", "gzip", "slow reader", "leaves late")
LEAVES_AFTER: Final = 20_000
"""Bytes of an answer."""


class Call(msgspec.Struct, frozen=True):
    """One call."""

    number: int

    @property
    def fault(self) -> Fault:
        return _IN_TURN[self.number % len(_IN_TURN)]

    @property
    def chunks(self) -> int:
        """That the provider sends before the fault, if there is one."""
        if self.fault in WHOLE:
            return CHUNKS
        if self.fault == "leaves":
            return CHUNKS // 2  # more than its client reads
        return 1 + self.number % (CHUNKS // 4)

    @property
    def output_tokens(self) -> int:
        """Billed, were it whole: another number for each call."""
        return 10_000 + self.number


FAULTS: Final = tuple(dict.fromkeys(_IN_TURN))
