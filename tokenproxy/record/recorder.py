"""The recorder: from what the proxy sees to journal, ledger and sinks, in one thread.

The proxy's event loop only hands events over. The recorder's thread has two ways
of working:

* *Openings at once*: journaled and acknowledged, because requests wait for it. They
  are looked for between any two steps of the rest, and while it waits for the
  ledger's lock.
* *The rest by turns*, at most one in ``TURN_S``. The first event after a quiet time is
  worked off at once; what comes soon after it waits for the next turn. A turn takes
  all that is there: the events as they came, then the latest *news* of each response
  that is still under way (earlier ones, and those of responses that have ended, are of
  no use any more), then all calls that ended are *settled* with one lock and one write.

So one call costs its journal entries, a lock and a write, and a hundred calls at once
cost hardly more of these, nor more waking of this thread, which the event loop would
pay for: both share the interpreter.

Settling is put off, without holding up the rest, while the price library is
being imported (0.3 s, once) and while somebody else holds the ledger's lock.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue

import msgspec

from tokenproxy.config import IterationEnd, RunContext, Summary
from tokenproxy.record.account import Account
from tokenproxy.record.call import CallEnd, CallStart
from tokenproxy.record.held import Held
from tokenproxy.record.recovery import Recovery, recover
from tokenproxy.record.sink import Sink
from tokenproxy.record.tally import Tally
from tokenproxy.wire.dialect import Dialect
from tokenproxy.wire.usage import Reading, RequestFacts

logger = logging.getLogger(__name__)

SINKS_SHARE_S = 1.0
"""Of the time to finish in, the part that is the sinks'."""

RECOVERY_SHARE_S = 1.0
"""How long the settling of other runs' journals may hold up our end; it may be killed anywhere."""

FAULT = "A fault inside tokenproxy left a call incompletely recorded; the run's log says more."
LATE = "The recorder did not finish in time; what is missing is appended at the next start."

SEEN_RESULTS = "batch-results-seen"
"""File in the state directory: see :mod:`tokenproxy.record.seen`."""

TURN_S = 0.004
"""From the beginning of one turn to that of the next, at least."""


class _Opened(msgspec.Struct, frozen=True):
    start: CallStart
    ack: Callable[[], None] | None


class _Requested(msgspec.Struct, frozen=True):
    call_id: str
    body: bytes | None
    encoding: str


class _Asked(msgspec.Struct, frozen=True):
    call_id: str
    request: RequestFacts


class _Passed(msgspec.Struct, frozen=True):
    provider: str
    server_address: str


class _Progressed(msgspec.Struct, frozen=True):
    call_id: str
    reading: Reading
    at_ns: int


class _Closed(msgspec.Struct, frozen=True):
    call_id: str
    end: CallEnd


class _Finish(msgspec.Struct, frozen=True):
    end: IterationEnd | None
    deadline: float
    """On the monotonic clock, seconds."""


type _Event = _Requested | _Asked | _Passed | _Progressed | _Closed | Recovery | _Finish
"""What is dealt with by turns."""


class Recorder:
    """Called from any thread; every method but ``finish`` returns at once, and none raises."""

    def __init__(
        self,
        *,
        run: RunContext,
        ledger: Path,
        journal: Path,
        sinks: Sequence[Sink] = (),
        runs: Path | None = None,
        dialects: Callable[[str], Dialect] | None = None,
        resumed: bool = False,
    ) -> None:
        """Make a recorder; :meth:`start` sets it to work.

        Args:
            run: The iteration that all calls belong to.
            ledger: Where rows go.
            journal: This recorder's own journal, a new file.
            sinks: Told of every call after the ledger has it.
            runs: Where all runs' journals lie (``{state}/runs``); the dead ones
                are settled at the start. None leaves them alone, and no batch
                results are known from earlier runs.
            dialects: Dialect by name; default the route table's.
            resumed: The run has had a recorder before, which was killed: its rows
                are read back for the summary.
        """
        self._account = Account(
            run=run,
            ledger=ledger,
            journal=journal,
            sinks=sinks,
            dialects=dialects or _routes_dialect,
            seen=None if runs is None else runs.parent / SEEN_RESULTS,
            meanwhile=self._answer,
        )
        self._runs = runs
        self._resumed = resumed
        self._urgent: SimpleQueue[_Opened | None] = SimpleQueue()
        """Openings; None only wakes the thread."""
        self._later: deque[_Event] = deque()
        self._bodies = Held()
        self._asleep = False
        """The thread waits for anything to happen, not for its next turn."""
        self._hurry = False
        """The end has come: no turn is waited for."""
        self._next_turn = 0.0
        """On the monotonic clock, seconds."""
        self._finish: _Finish | None = None
        self._thread = threading.Thread(target=self._work, name="tokenproxy-recorder", daemon=True)
        self._recovery: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread. Of a resumed run the ledger's end is read first (0.1 s at most)."""
        if self._resumed:
            # Before anybody can append or recover a call: each is summed once.
            with self._guarded("resuming"):
                self._account.resume()
        self._thread.start()
        if self._runs is not None:
            self._recovery = threading.Thread(
                target=self._recover, args=(self._runs,), name="tokenproxy-recovery", daemon=True
            )
            self._recovery.start()

    def opened(self, start: CallStart, ack: Callable[[], None] | None = None) -> None:
        """A request's headers have come. Our thread calls ``ack`` once it is journaled."""
        self._urgent.put(_Opened(start, ack))

    def requested(self, call_id: str, body: bytes | None, encoding: str = "") -> None:
        """A request is complete.

        Args:
            call_id: The call's.
            body: As sent; None if it was not kept. Where far too many wait it is not, either.
            encoding: Its ``Content-Encoding``; undone in our thread.
        """
        if self._bodies.overfull:
            body = None
        self._bodies.add(body)
        self._put(_Requested(call_id, body, encoding))

    @property
    def crowded(self) -> bool:
        """Whether so many bodies wait here that the next is better read by who has it."""
        return self._bodies.full

    def asked(self, call_id: str, request: RequestFacts) -> None:
        """A request that was read already (a WebSocket's message)."""
        self._put(_Asked(call_id, request))

    def passed(self, provider: str, server_address: str) -> None:
        """A request to a provider that is no model call went by."""
        self._put(_Passed(provider, server_address))

    def progressed(self, call_id: str, reading: Reading) -> None:
        """News of a response; ``reading`` is a copy."""
        self._put(_Progressed(call_id, reading, time.time_ns()))

    def closed(self, call_id: str, end: CallEnd) -> None:
        """A call is over."""
        self._put(_Closed(call_id, end))

    def finish(self, end: IterationEnd | None, timeout_s: float = 5.0) -> Summary:
        """Settle everything, flush the sinks, stop the thread. Blocks up to ``timeout_s``.

        Args:
            end: How the wrapped command ended; None for a gateway.
            timeout_s: Seconds; what is not done by then stays in the journal.
        """
        if self._thread.is_alive():
            self._later.append(_Finish(end, time.monotonic() + timeout_s))
            self._hurry = True
            self._urgent.put(None)
            self._thread.join(timeout_s)
            if self._thread.is_alive():
                self._account.tally.warn(LATE)
        return self._account.tally.summary()

    def _put(self, event: _Event) -> None:
        self._later.append(event)
        # Looked at after the event is there, and by the thread the other way round: one sees it.
        if self._asleep:
            self._asleep = False
            self._urgent.put(None)

    # -- the thread -----------------------------------------------------------

    def _work(self) -> None:
        pause = self._account.idle()
        while self._finish is None:
            self._wait(pause)
            self._next_turn = time.monotonic() + TURN_S
            self._work_off()
            pause = None
            with self._guarded("settling"):
                self._account.flush()
                pause = self._account.settle()
                if pause is None:
                    pause = self._account.idle()
        self._wind_up(self._finish)

    def _wind_up(self, finish: _Finish) -> None:
        settle_by = finish.deadline - SINKS_SHARE_S
        if self._recovery is not None:
            self._recovery.join(min(max(settle_by - time.monotonic(), 0.0), RECOVERY_SHARE_S))
        self._answer(0.0)
        self._work_off()
        with self._guarded("settling at the end"):
            self._account.close_rest()
            self._account.settle_until(settle_by)
        with self._guarded("finishing"):
            self._account.finish(finish.end)

    def _wait(self, pause_s: float | None) -> None:
        """Answer openings until it is time for a turn, at the latest after ``pause_s``."""
        until = None if pause_s is None else time.monotonic() + pause_s
        while not self._hurry:
            left = None if until is None else until - time.monotonic()
            self._asleep = not self._later
            if self._later:
                self._asleep = False
                left = self._next_turn - time.monotonic()
            if left is not None and left <= 0:
                break
            self._answer(left)
        self._asleep = False

    def _answer(self, wait_s: float | None) -> None:
        """Journal and acknowledge the openings that are there, waiting for a first one."""
        urgent = self._urgent
        if wait_s == 0 and urgent.empty():
            return
        events: list[_Opened | None] = []
        try:
            # Nobody else takes any: what is there once is there still.
            events.append(urgent.get(timeout=wait_s) if wait_s != 0 else urgent.get_nowait())
            while not urgent.empty():
                events.append(urgent.get_nowait())
        except Empty:
            return
        opened = [event for event in events if event is not None]
        if not opened:
            return
        with self._guarded("opening"):
            self._account.open([event.start for event in opened])
        for event in opened:
            if event.ack is not None:
                with self._guarded("acknowledging"):
                    event.ack()

    def _work_off(self) -> None:
        news: dict[str, _Progressed] = {}
        for _ in range(len(self._later)):
            event = self._later.popleft()
            # After an event was taken: its call's own opening is there by now.
            self._answer(0)
            if isinstance(event, _Progressed):
                news[event.call_id] = event
                continue
            with self._guarded(type(event).__name__):
                self._handle(event)
        for latest in news.values():
            with self._guarded("news"):
                self._account.progress(latest.call_id, latest.reading, latest.at_ns)

    def _handle(self, event: _Event) -> None:
        match event:
            case _Requested():
                self._bodies.remove(event.body)
                self._account.request(event.call_id, event.body, event.encoding)
            case _Asked():
                self._account.asked(event.call_id, event.request)
            case _Passed():
                self._account.passed(event.provider, event.server_address)
            case _Closed():
                self._account.close(event.call_id, event.end)
            case _Finish():
                self._finish = event
            case Recovery():
                self._account.adopt(event)

    def _recover(self, runs: Path) -> None:
        with self._guarded("recovery"):
            self._put(recover(runs))

    def _guarded(self, what: str) -> _Guarded:
        return _Guarded(what, self._account.tally)


class _Guarded:
    """A fault of ours ends here: the call is told incompletely, and all others go on."""

    __slots__ = ("_tally", "_what")

    def __init__(self, what: str, tally: Tally) -> None:
        self._what = what
        self._tally = tally

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, Exception):
            return False
        logger.error("a fault in the recorder: %s", self._what, exc_info=error)
        self._tally.warn(FAULT)
        return True


def _routes_dialect(name: str) -> Dialect:
    from tokenproxy.wire import routes

    return routes.dialect(name)
