"""Settling the account of runs whose recorder was killed.

For every journal whose owner is dead: a call that was still open becomes a row
with outcome ``lost`` and the counts of its last reading; one that had ended
becomes the row it was about to be. What the ledger has already (the owner was
killed between the append and the close mark) is left out. Then the journal is
deleted.

Exactly once, whoever is killed when: the journal's lock admits one recoverer;
one that dies between append and deletion leaves a journal whose rows the next
one finds in the ledger.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from tokenproxy.config import RunContext
from tokenproxy.record import journal, ledger, lock_file
from tokenproxy.record.badge import badge_of
from tokenproxy.record.batch import split
from tokenproxy.record.call import RESULTS, Call, CallEnd
from tokenproxy.record.leftovers import abandoned, tidy
from tokenproxy.record.make_row import surely_row
from tokenproxy.record.price import Prices
from tokenproxy.record.row import Row, encode

logger = logging.getLogger(__name__)

LOST = "proxy_killed"

_CALL_ID = re.compile(rb'"call_id": ?"([0-9A-Za-z-]+)"')


class Recovered(msgspec.Struct, frozen=True):
    """A row that was appended in a dead recorder's place."""

    run: RunContext
    call: Call
    row: Row
    told: bool
    """The dead recorder's sinks were told of it."""
    run_over: bool = False
    """No journal of the run is left: neither does a newer recorder of it live, nor will more
    of its calls be recovered."""


class Recovery(msgspec.Struct, frozen=True):
    """What a recovery did."""

    recovered: tuple[Recovered, ...] = ()
    journals: int = 0
    """Journals settled and deleted."""
    problems: tuple[str, ...] = ()
    """Sentences on journals that had to be left."""


def recover(
    runs: Path, prices: Prices | None = None, *, wait_s: float = ledger.LOCK_WAIT_S
) -> Recovery:
    """Settle all dead journals under ``runs`` (``{state}/runs``). Any number may do so at once.

    Args:
        runs: Parent of the runs' directories.
        prices: A price list of this thread's own; made when needed.
        wait_s: How long to wait for a ledger's lock, seconds.
    """
    recovered: list[Recovered] = []
    problems: list[str] = []
    places: dict[str, Path] = {}
    settled = 0
    prices = prices or Prices()
    for path in sorted(runs.glob(f"*/{journal.GLOB}")):
        fd = journal.own_dead(path)
        if fd is None:
            continue
        try:
            with open(fd, "rb", closefd=False) as file:
                replay = journal.Replay.read(file)
            made, unmade = _settle(replay, prices, wait_s)
            recovered += made
            places.update(dict.fromkeys((one.run.run_id for one in made), path.parent))
            if unmade:
                # Its other calls are in the ledger, where the next start finds them.
                calls = "one call" if unmade == 1 else f"{unmade} calls"
                problems.append(f"No row can be made of {calls} in {path}, which is kept.")
                continue
            badge_of(path).unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            settled += 1
        except ledger.LedgerError as error:
            problems.append(f"{error} The calls stay in {path}.")
        except Exception as error:
            logger.exception("journal %s cannot be settled", path)
            problems.append(f"The journal {path} cannot be settled ({type(error).__name__}).")
        finally:
            journal.disown(fd, path)
    if settled and prices.problem is not None:
        problems.append(prices.problem)
    # Between a proxy's death and its successor there is no journal, but a living launcher.
    over = {run_id for run_id, place in places.items() if abandoned(place)}
    recovered = [msgspec.structs.replace(one, run_over=one.run.run_id in over) for one in recovered]
    tidy(runs)
    return Recovery(tuple(recovered), settled, tuple(problems))


def lost(pending: journal.Pending, error: str = LOST, ended_ns: int | None = None) -> Call:
    """A call that nobody will hear the end of, as far as it is known."""
    return Call(
        start=pending.start,
        end=CallEnd(
            ended_ns=pending.last_ns if ended_ns is None else ended_ns,
            outcome="lost",
            error=error,
            reading=pending.reading,
        ),
        request=pending.request,
        attempt=pending.link.attempt,
        retry_of=pending.link.retry_of,
        fallback_used=pending.link.fallback_used,
    )


def find_calls(path: Path, call_ids: Collection[str], *since: ledger.Mark) -> set[str]:
    """Those of ``call_ids`` that have a whole row in the ledger behind the earliest of ``since``.

    A file beside it that has been the ledger at one of these marks (it was rotated) is read too.

    Raises:
        OSError: The ledger is there and cannot be read.
    """
    begins: dict[int, int] = {}
    for mark in since:
        begins[mark.inode] = min(mark.size, begins.get(mark.inode, mark.size))
    found: set[str] = set()
    with suppress(FileNotFoundError):
        begin = begins.pop(path.stat().st_ino, 0)
        # With marks in other files: what lies behind these may be anywhere in this one.
        found |= _find(path, call_ids, 0 if begins else begin)
    for old, begin in _rotated(path, begins):
        found |= _find(old, call_ids, begin)
    return found


def _rotated(path: Path, begins: Mapping[int, int]) -> Iterator[tuple[Path, int]]:
    """Other files of the ledger's directory that have one of these inodes, and its value."""
    if not begins:
        return
    with suppress(OSError):
        for other in os.scandir(path.resolve().parent):
            if other.inode() in begins and other.is_file(follow_symlinks=False):
                yield Path(other.path), begins[other.inode()]


def _find(path: Path, call_ids: Collection[str], begin: int) -> set[str]:
    """Those that have a whole row in a file, from a byte on."""
    wanted = {call_id.encode() for call_id in call_ids}
    found: set[str] = set()
    with path.open("rb") as file:
        # Cut off meanwhile: the place means nothing any more.
        if os.fstat(file.fileno()).st_size >= begin:
            file.seek(begin)
        for line in file:
            hits = wanted.intersection(_CALL_ID.findall(line))
            if hits and line.endswith(b"\n") and (call_id := _call_id(line)) in call_ids:
                found.add(call_id)
    return found


def _call_id(line: bytes) -> str:
    try:
        return msgspec.json.decode(line, type=_Key).call_id
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


class _Key(msgspec.Struct):
    call_id: str


def _settle(
    replay: journal.Replay, prices: Prices, wait_s: float
) -> tuple[Sequence[Recovered], int]:
    """The rows that were missing, and the number of calls of which none can be made.

    Raises:
        LedgerError: The rows cannot be appended, or the journal is another version's.
    """
    header = replay.header
    if header is None and not replay.foreign:
        # Killed before its first record was whole: no call was let through.
        return (), 0
    if header is None or header.format != journal.FORMAT:
        raise ledger.LedgerError("A journal was written by another version of tokenproxy.")
    made: list[Recovered] = []
    lines: dict[str, bytes] = {}
    unmade = 0
    for pending in replay.pending.values():
        try:
            found = [
                Recovered(header.run, call, surely_row(call, header.run, prices), pending.told)
                for call in _calls(pending)
            ]
            lines |= {one.row.call_id: encode(one.row) for one in found}
        except Exception:
            logger.exception("no row can be made of call %s", pending.start.call_id)
            unmade += 1
        else:
            made += found
    if not made:
        return (), unmade
    path = Path(header.ledger)
    ids = {one.row.call_id for one in made}
    marks = {pending.mark for pending in replay.pending.values()}
    try:
        there = find_calls(path, ids, *marks)
    except OSError as error:
        raise ledger.LedgerError(f"The ledger {path} cannot be read: {error.strerror}.") from error
    lock_file.tidy(path)
    missing = [one for one in made if one.row.call_id not in there]
    if missing:
        ledger.append(path, [lines[one.row.call_id] for one in missing], wait_s=wait_s)
    else:
        # Killed after its write: its lock is still there, in the way of those who know no owner.
        with suppress(ledger.LedgerError):
            ledger.append(path, [], wait_s=wait_s)
    return missing, unmade


def _calls(pending: journal.Pending) -> Iterable[Call]:
    """The calls to make rows of."""
    call = pending.ended
    if call is None:
        return [lost(pending)] if pending.start.kind == "inference" else []
    return split(call) if call.start.kind in RESULTS else [call]
