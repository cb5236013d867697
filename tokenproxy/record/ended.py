"""A call that has ended and is on its way into the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from tokenproxy.record.batch import split
from tokenproxy.record.call import Call
from tokenproxy.record.row import Row


class Ended(msgspec.Struct):
    """An ended call and what is left to append of it."""

    call: Call
    rows: list[tuple[Call, Row]]
    """With the call that each row is of: for batch results not the call itself."""
    lines: list[bytes]


def journaled(calls: Sequence[Ended]) -> tuple[str, ...]:
    """Their ids, as far as the journal knows them."""
    return tuple(ended.call.start.call_id for ended in calls if ended.call.start.kind != "count")


def billed(call: Call) -> Iterable[Call]:
    """The calls that rows are made of."""
    match call.start.kind:
        case "inference":
            return (call,)
        case "batch_results":
            return split(call)
        case _:
            return ()


def take_written(batch: Sequence[Ended], written: int) -> Sequence[Ended]:
    """Those whose lines are all in the ledger; the next loses the lines that are."""
    for number, ended in enumerate(batch):
        if written < len(ended.lines):
            del ended.lines[:written]
            return batch[:number]
        written -= len(ended.lines)
    return batch
