"""A call that has ended and is on its way into the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from tokenproxy.record.batch import split
from tokenproxy.record.call import Call
from tokenproxy.record.row import Row
from tokenproxy.wire import notes
from tokenproxy.wire.usage import Reading


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
        case "batch_results" | "replay":
            return split(call)
        case _:
            return ()


def counted(call: Call) -> Sequence[Reading]:
    """Answers that have their rows now and may be fetched again."""
    reading = call.end.reading
    if call.start.replayable and reading.parts:
        return (reading,)
    return call.end.items


def without_usage(reading: Reading) -> Reading:
    """A reading whose usage has a row already, and must not count a second time."""
    said = dict.fromkeys([*reading.notes, notes.COUNTED_BEFORE])
    return msgspec.structs.replace(
        reading, parts=(), usage=[], completeness="none", notes=tuple(said)
    )


def take_written(batch: Sequence[Ended], written: int) -> Sequence[Ended]:
    """Those whose lines are all in the ledger; the next loses the lines that are."""
    for number, ended in enumerate(batch):
        if written < len(ended.lines):
            del ended.lines[:written]
            return batch[:number]
        written -= len(ended.lines)
    return batch
