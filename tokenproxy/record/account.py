"""One run's calls on their way from the wire to the ledger.

Belongs to the recorder's thread. A call is *open*, then *ended* (its row waits
for prices and for the ledger), then settled and forgotten. Every step is in the
journal before it counts; see :mod:`tokenproxy.record.journal`.

No method raises for what the disk does: the user is warned, and what is not in
the ledger stays in the journal for the next start.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import msgspec

from tokenproxy.config import IterationEnd, RunContext
from tokenproxy.record import journal as wal
from tokenproxy.record import ledger as book
from tokenproxy.record.call import Call, CallEnd, CallStart, identified
from tokenproxy.record.ended import (
    Ended,
    billed,
    counted,
    journaled,
    take_written,
    without_usage,
)
from tokenproxy.record.kept_journal import KeptJournal
from tokenproxy.record.lineage import Lineage, Link
from tokenproxy.record.make_row import surely_row
from tokenproxy.record.price import Prices
from tokenproxy.record.recovery import Recovery, lost
from tokenproxy.record.row import encode
from tokenproxy.record.seen import SeenResults
from tokenproxy.record.sink import Sink, Sinks
from tokenproxy.record.tally import Tally, rows_of_run
from tokenproxy.wire.bodyreader import read_facts
from tokenproxy.wire.dialect import Dialect
from tokenproxy.wire.usage import Reading, RequestFacts

logger = logging.getLogger(__name__)

BATCH = 1_000
"""Calls settled with one append at most."""

KEPT_UNSETTLED = 10_000
"""Ended calls kept in mind while the ledger refuses them; the older are the journal's."""

KEPT_UNMADE = 1_000
"""Calls kept in mind of which no row can be made; what is more is the journal's."""

STOPPED = "proxy_stopped"
"""Error of calls that were still open when the run was over."""

APPENDED_LATER = "The next start of tokenproxy appends the calls it lacks."
NOT_KEPT = "The journal cannot be written either: calls of this run are lost."

LOCK_WAIT_S = 0.05
"""How long one try to append waits. Openings do not wait for it, the ends of calls do."""

SOON_S = 0.02
RETRY_S = 1.0
PATIENCE_S = 5.0
"""How long a ledger that others hold locked is nobody's concern."""


class Account:
    """The calls of one run, from opening to the ledger."""

    def __init__(
        self,
        *,
        run: RunContext,
        ledger: Path,
        journal: Path,
        sinks: Sequence[Sink],
        dialects: Callable[[str], Dialect],
        seen: Path | None = None,
        meanwhile: book.Pause | None = None,
    ) -> None:
        """Open a run's account, and its journal.

        Args:
            run: The iteration that all calls belong to.
            ledger: Where rows go.
            journal: This account's own journal, a new file.
            sinks: Told of every call after the ledger has it.
            dialects: Dialect by name.
            seen: What batch results are in the ledger; None keeps nothing.
            meanwhile: Called between the steps of long work with 0, and with seconds
                where there is something to wait for; may open calls. Default: only waits.
        """
        self.tally = Tally()
        self._run = run
        self._ledger = ledger
        self._sinks = Sinks(sinks)
        self._dialects = dialects
        self._prices = Prices()
        self.tally.declined = self._prices.declined
        self._lineage = Lineage()
        self._seen = SeenResults(ledger, seen)
        self._open: dict[str, wal.Pending] = {}
        self._unpriced: deque[Call] = deque()
        self._ended: deque[Ended] = deque()
        self._unmade: list[Call] = []
        """Calls of which no row can be made: for the next start, perhaps of another version."""
        self._abandoned = False
        """Some ended calls are in the journal as it is, and nowhere else."""
        self._trouble: str | None = None
        """Why the last append did not succeed, one sentence."""
        self._worried = False
        self._hopeless = False
        """The last append failed, and not because somebody held the lock."""
        self._next_try = 0.0
        self._locked_since: float | None = None
        self._meanwhile = meanwhile or _only_wait
        self._journal = KeptJournal(
            journal, header=self._header, records=self._records, warn=self.tally.warn
        )

    # -- the life of a call -------------------------------------------------

    def open(self, starts: Sequence[CallStart]) -> None:
        """Requests are about to go upstream; they are in the journal when this returns."""
        for start in starts:
            self._open[start.call_id] = wal.Pending(start)
            self._note(start, wal.Opened(start=start))
        self.flush()
        self._prices.warm()

    def request(self, call_id: str, body: bytes | None, encoding: str = "") -> None:
        """A request's body as sent, None if it was not kept, and its ``Content-Encoding``."""
        pending = self._open.get(call_id)
        if pending is not None:
            dialect = self._dialects(pending.start.dialect)
            # Megabytes may come of a compressed one, and other requests wait to be opened.
            facts = read_facts(dialect, body, encoding, lambda: self._meanwhile(0))
            self._ask(pending, facts)

    def asked(self, call_id: str, request: RequestFacts) -> None:
        """What a request says, read already."""
        pending = self._open.get(call_id)
        if pending is not None:
            self._ask(pending, request)

    def passed(self, provider: str, server_address: str) -> None:
        """A request to a provider that is no model call went by."""
        self._sinks.passed(provider, server_address)

    def progress(self, call_id: str, reading: Reading, at_ns: int) -> None:
        """What is known of a response at a moment."""
        pending = self._open.get(call_id)
        if pending is not None:
            record = wal.Seen(id=call_id, at_ns=at_ns, reading=reading)
            pending.learn(record)
            self._note(pending.start, record)

    def close(self, call_id: str, end: CallEnd) -> None:
        """A call is over."""
        pending = self._open.pop(call_id, None)
        if pending is None:
            logger.warning("call %s ended and was not open", call_id)
            return
        if not pending.asked:
            self._ask(pending, RequestFacts())
        provider = pending.start.provider
        if end.items:
            end = msgspec.structs.replace(end, items=self._seen.new(provider, end.items))
        elif pending.start.replayable and end.reading.parts:
            # One that tells no usage yet is no news: the look that tells it is.
            if pending.request.background and not self._seen.new(provider, [end.reading]):
                # Whoever looked at it in the meantime has counted it.
                end = msgspec.structs.replace(end, reading=without_usage(end.reading))
            self._seen.remember(provider, end.reading)
        link = pending.link
        self._end(
            Call(
                start=pending.start,
                end=end,
                request=pending.request,
                attempt=link.attempt,
                retry_of=link.retry_of,
                fallback_used=link.fallback_used,
            ),
            link,
        )

    def resume(self) -> None:
        """Take up the sums of our run's calls that are in the ledger, before any of ours is."""
        rows = rows_of_run(self._ledger, self._run.run_id)
        for row in rows:
            self.tally.count(row)
        self._sinks.resumed(rows)

    def close_rest(self) -> None:
        """The run is over: calls still open end here, with what is known of them."""
        for pending in list(self._open.values()):
            del self._open[pending.start.call_id]
            if pending.start.kind == "inference":
                self._end(lost(pending, STOPPED, time.time_ns()), pending.link)

    def adopt(self, recovery: Recovery) -> None:
        """Rows that were appended in a dead recorder's place: telemetry has not heard of them."""
        for problem in recovery.problems:
            logger.warning("%s", problem)
        for one in recovery.recovered:
            if one.run.run_id == self._run.run_id:
                self.tally.count(one.row)
                link = Link(
                    attempt=one.call.attempt,
                    first_provider=one.call.start.provider,
                    first_model=one.call.request.model,
                )
                self._lineage.ended(one.call, link)
            if not one.told:
                self._sinks.recovered(one.run, one.call, one.row)
        self._sinks.recovery_done({one.run.run_id for one in recovery.recovered if one.run_over})

    def _ask(self, pending: wal.Pending, request: RequestFacts) -> None:
        start = pending.start
        # Some APIs name the model, and whether they stream, in the path alone.
        if start.path_model is not None or start.path_stream is not None:
            request = msgspec.structs.replace(
                request,
                model=request.model or start.path_model,
                stream=request.stream if start.path_stream is None else start.path_stream,
            )
        start = identified(start, request)
        link = Link(attempt=start.attribution.attempt)
        if start.kind == "inference":
            link = self._lineage.begun(start, request)
        record = wal.Asked(id=pending.start.call_id, request=request, link=link)
        pending.learn(record)
        self._note(pending.start, record)

    def _end(self, call: Call, link: Link) -> None:
        if call.start.kind == "inference":
            self._lineage.ended(call, link)
        self._note(call.start, wal.Ended(call=call))
        self._unpriced.append(call)

    # -- settling -----------------------------------------------------------

    @property
    def unsettled(self) -> int:
        """Ended calls whose rows are not in the ledger yet, as far as they are kept in mind."""
        return len(self._unpriced) + len(self._ended)

    def settle(self, *, wait_s: float = LOCK_WAIT_S) -> float | None:
        """Append what has ended. Returns when to come again, in seconds; None: nothing waits."""
        if not self._abandoned:
            self._journal.heal()
        while True:
            self._price(BATCH)
            if not self._ended:
                return SOON_S if self._unpriced else None
            due = time.monotonic() >= self._next_try
            if not due or not self._append(list(islice(self._ended, BATCH)), wait_s):
                self._forget()
                return max(self._next_try - time.monotonic(), 0.0)

    def idle(self) -> float | None:
        """Nothing waits. Returns when to come again all the same, in seconds; None: never."""
        return self._journal.beat()

    def settle_until(self, deadline: float) -> None:
        """Append everything that can be, until a time on the monotonic clock."""
        if self._unpriced:
            self._prices.load()
        self._next_try = 0.0
        while self.settle(wait_s=SOON_S) is not None and time.monotonic() < deadline:
            if self._hopeless:
                return  # a full disk will not be emptied while the user waits for the prompt
            time.sleep(SOON_S)
            self._next_try = 0.0

    def finish(self, end: IterationEnd | None) -> None:
        """Tell the sinks that the run is over, and give up the journal."""
        left = list(self._ended)
        lacking = bool(left or self._unmade or self._abandoned)
        if lacking:
            if not self._abandoned:
                self._journal.heal(at_once=True)
            trouble = self._trouble or f"The ledger {self._ledger} lacks some calls."
            self.tally.warn(f"{trouble} {APPENDED_LATER if self._journal.whole else NOT_KEPT}")
        for ended in left:
            self._tell(ended)
        if left:
            self._journal.add(wal.Told(ids=journaled(left)))
        self.flush()
        for sentence in self._sinks.finish(end):
            self.tally.warn(sentence)
        self._journal.close(settled=not lacking)
        self._seen.close()

    def _price(self, most: int) -> None:
        """Make rows of what has ended, once prices are there."""
        if not self._unpriced or not self._prices.ready:
            return
        if self._prices.problem is not None:
            self.tally.warn(self._prices.problem)
            self.tally.no_prices = self._prices.broken
        for _ in range(min(most, len(self._unpriced))):
            call = self._unpriced.popleft()
            try:
                rows = [(one, surely_row(one, self._run, self._prices)) for one in billed(call)]
                self._ended.append(Ended(call, rows, [encode(row) for _, row in rows]))
            except Exception:
                logger.exception("no row can be made of call %s", call.start.call_id)
                if len(self._unmade) < KEPT_UNMADE:
                    self._unmade.append(call)
                else:
                    self._abandoned = True
                continue
            for _, row in rows:
                self.tally.count(row)
            self._meanwhile(0)

    def _forget(self) -> None:
        """Leave to the journal what is too much for memory while the ledger refuses it."""
        if self.unsettled > KEPT_UNSETTLED:
            self._price(len(self._unpriced))
            while len(self._ended) > KEPT_UNSETTLED:
                self._ended.popleft()
                self._abandoned = True

    def _append(self, batch: list[Ended], wait_s: float) -> bool:
        """Append the rows of the oldest ended calls. False if not all could be."""
        self.flush()
        lines = [line for ended in batch for line in ended.lines]
        try:
            end = self._write(lines, wait_s) if lines else None
        except book.LedgerBusyError as error:
            self._hopeless = False
            self._be_patient(error)
            return False
        except book.LedgerError as error:
            self._settled(take_written(batch, error.written), None)
            self._hopeless = True
            self._worry(error)
            self._next_try = time.monotonic() + RETRY_S
            return False
        self._locked_since = self._trouble = None
        self._worried = self._hopeless = False
        self._settled(batch, end)
        if not self._abandoned:
            self._journal.compact()
        return True

    def _write(self, lines: Sequence[bytes], wait_s: float) -> book.Mark:
        return book.append(
            self._ledger, lines, wait_s=wait_s, pause=self._meanwhile, badge=self._journal.badge
        )

    def _settled(self, batch: Sequence[Ended], end: book.Mark | None) -> None:
        """These are in the ledger: mark them so, then tell the sinks."""
        ids = journaled(batch)
        if ids:
            self._journal.add(wal.Closed(ids=ids, mark=end))
        self.flush()
        for ended in batch:
            self._ended.popleft()
            self._seen.keep(ended.call.start.provider, counted(ended.call))
            self._tell(ended)
            self._meanwhile(0)

    def _be_patient(self, error: book.LedgerError) -> None:
        now = time.monotonic()
        if self._locked_since is None:
            self._locked_since = now
        if now - self._locked_since > PATIENCE_S:
            self._worry(error)
            self._next_try = now + RETRY_S
        else:
            self._trouble = str(error)
            self._next_try = now + SOON_S

    def _worry(self, error: book.LedgerError) -> None:
        self._trouble = str(error)
        if not self._worried:
            self._worried = True
            logger.warning("%s The calls are kept until it is well again.", error)

    def _tell(self, ended: Ended) -> None:
        if ended.call.start.kind != "inference":
            self._sinks.call(ended.call, None)
        for call, row in ended.rows:
            self._sinks.call(call, row)

    # -- the journal --------------------------------------------------------

    def flush(self) -> None:
        """Write the journal's records that wait."""
        self._journal.flush()

    def _header(self) -> wal.Header:
        # A batch of which the ledger has some results already lies across its end.
        whole = all(len(ended.lines) == len(ended.rows) for ended in self._ended)
        mark = book.mark(self._ledger) if whole else wal.NOWHERE
        return wal.Header(run=self._run, ledger=str(self._ledger.absolute()), mark=mark)

    def _note(self, start: CallStart, record: wal.Record) -> None:
        # Counting tokens leaves no row, so there is nothing to lose.
        if start.kind != "count":
            self._journal.add(record)

    def _records(self) -> Iterator[wal.Record]:
        """All that a new journal must hold."""
        yield self._header()
        for pending in self._open.values():
            if pending.start.kind == "count":
                continue
            call_id = pending.start.call_id
            yield wal.Opened(start=pending.start)
            yield wal.Asked(id=call_id, request=pending.request, link=pending.link)
            yield wal.Seen(id=call_id, at_ns=pending.last_ns, reading=pending.reading)
        for call in (*self._unmade, *(ended.call for ended in self._ended), *self._unpriced):
            if call.start.kind != "count":
                yield wal.Ended(call=call)


def _only_wait(seconds: float) -> None:
    if seconds:
        time.sleep(seconds)
