"""The telemetry sink: from finished calls to a collector, which may be down.

Lossy by contract: the ledger has the account, and has it first. Nothing here blocks
the recorder: spans and measurements go into queues, whose own daemon threads export
them, by one of two ways (:mod:`tokenproxy.telemetry.ways`). At the end everything is
flushed under one deadline, and what did not arrive is said in one sentence.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

from tokenproxy import paths
from tokenproxy.config import IterationEnd, RunContext
from tokenproxy.record.call import Call
from tokenproxy.record.row import Row
from tokenproxy.telemetry import semconv
from tokenproxy.telemetry.delivery import sentences
from tokenproxy.telemetry.instance import Instance, claim
from tokenproxy.telemetry.metrics import Metrics
from tokenproxy.telemetry.otlp import fit
from tokenproxy.telemetry.problems import problems
from tokenproxy.telemetry.scope import RunScope
from tokenproxy.telemetry.semconv import Semconv
from tokenproxy.telemetry.series import Series
from tokenproxy.telemetry.spans import Spans
from tokenproxy.telemetry.spool import Spool
from tokenproxy.telemetry.ways import Ways

logger = logging.getLogger(__name__)

DEADLINE_S: Final = 0.8
"""All that waiting for a collector can cost at the end of a run, seconds; a second is promised."""

IDLE_S: Final = 900.0
"""A gateway's turn without a call for so long is over: a tool may run for minutes."""

KEEPING_S: Final = 0.3
"""Of these so much is for keeping what did not arrive, where there is a spool."""

_SWEEP_S = 30.0


class Telemetry:
    """Where finished calls become spans and measurements. Thread-safe; nothing raises."""

    def __init__(
        self,
        *,
        run: RunContext,
        dialect: Semconv,
        ways: Ways,
        instance: Instance | None = None,
        spool: Spool | None = None,
    ) -> None:
        self._run = run
        self._dialect = dialect
        self._ways = ways
        self._instance = instance
        self._spool = spool
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._series = Series(dialect)
        self._own = self._scope(run)
        self._dead: dict[str, RunScope] = {}
        """Runs that were killed and whose calls we tell in their place, by run_id."""
        if run.gateway:
            threading.Thread(target=self._sweep, name="tokenproxy-turns", daemon=True).start()

    def _scope(self, run: RunContext) -> RunScope:
        spans: Spans | None = None
        metrics: Metrics | None = None
        if self._ways.spans is not None:
            spans = Spans(run=run, semconv=self._dialect, taker=self._ways.spans)
        if self._ways.measures is not None:
            meter = self._ways.measures
            metrics = Metrics(run=run, semconv=self._dialect, meter=meter, series=self._series)
        return RunScope(run, spans, metrics)

    def call(self, call: Call, row: Row | None) -> None:
        """Take a finished call. Returns at once; a fault of ours is ours alone."""
        try:
            with self._lock:
                self._own.take(call, row)
        except Exception:
            logger.exception("call %s is missing in telemetry", call.start.call_id)

    def recovered(self, run: RunContext, call: Call, row: Row) -> None:
        """Take a call of a run that was killed: told as that run's, never as ours."""
        if run.run_id == self._run.run_id:
            self.call(call, row)
            return
        try:
            with self._lock:
                if run.run_id not in self._dead:
                    self._dead[run.run_id] = self._scope(run)
                self._dead[run.run_id].take(call, row)
        except Exception:
            logger.exception("call %s is missing in telemetry", call.start.call_id)

    def recovery_done(self, over: Collection[str]) -> None:
        """Close the dead runs that are over; one that lives on tells its own turns and end."""
        with self._lock:
            dead, self._dead = self._dead, {}
            for run_id in dead.keys() & set(over):
                try:
                    dead[run_id].close(None)
                except Exception:
                    logger.exception("killed run %s: its iteration is not told", run_id)

    def resumed(self, rows: Sequence[Row]) -> None:
        """Sum up what our run used before its proxy was killed; its spans have been told."""
        with self._lock:
            self._own.resume(rows)

    def passed(self, provider: str, server_address: str) -> None:
        """Count a request that was no call."""
        with self._lock:
            self._own.passed(provider, server_address)

    def finish(self, end: IterationEnd | None) -> tuple[str, ...]:
        """The run is over: export what is left, within :data:`DEADLINE_S` seconds.

        Returns sentences worth telling the user. The second time there is nothing to say.
        """
        if self._over.is_set():
            return ()
        deadline = time.monotonic() + DEADLINE_S
        self._over.set()
        try:
            with self._lock:
                self._own.close(end)
        except Exception:
            logger.exception("the iteration is missing in telemetry")
        told = dict.fromkeys(self._ways.problems)
        if self._spool is None:
            self._shut_down(deadline)
            return (*told, *sentences(self._ways.deliveries))
        self._shut_down(deadline - KEEPING_S)
        kept = sentences(self._ways.deliveries, self._spool.directory)
        return (*told, *kept, *self._spool.sentences)

    def _sweep(self) -> None:
        """Export a gateway's turns that have gone quiet."""
        while not self._over.wait(_SWEEP_S):
            try:
                with self._lock:
                    self._own.sweep(time.time_ns() - int(IDLE_S * 1e9))
            except Exception:
                logger.exception("a turn is missing in telemetry")

    def _shut_down(self, deadline: float) -> None:
        """Flush both ways side by side; leave what takes longer to its daemon thread."""
        steps: dict[str, Callable[[], None]] = {}
        if self._ways.spans is not None:
            steps["spans"] = self._ways.spans.shutdown
        if self._ways.measures is not None:
            steps["metrics"] = self._ways.measures.shutdown
        threads = {
            what: threading.Thread(target=_quietly, args=(step,), daemon=True)
            for what, step in steps.items()
        }
        for thread in threads.values():
            thread.start()
        for thread in threads.values():
            thread.join(max(deadline - time.monotonic(), 0.0))
        late = {what for what, thread in threads.items() if thread.is_alive()}
        late -= {what for what in late if self._left(what)}
        for delivery in self._ways.deliveries:
            delivery.late = delivery.what in late
        if self._instance is not None and not late:
            self._instance.release()

    def _left(self, what: str) -> bool:
        """Keep what is not delivered, where there is a spool. Whether nothing is lost."""
        leave = self._ways.leave.get(what)
        try:
            return leave is not None and leave()
        except Exception:
            logger.exception("%s are not kept", what)
            return False


def open_telemetry(
    env: Mapping[str, str],
    run: RunContext,
    *,
    state: Path | None = None,
    spool: Path | None = None,
    console_fd: int | None = None,
) -> Telemetry:
    """The sink that the environment asks for (:func:`tokenproxy.telemetry.switch.enabled`).

    Args:
        env: The process's environment. What is left to the SDK it reads in ``os.environ``.
        run: The run that is traced.
        state: Our state directory; default the user's.
        spool: Where to keep what cannot be delivered, and what has no collector at all.
        console_fd: Descriptor that console exporters print to; default stderr.
    """
    kept = Spool(spool) if spool is not None else None
    dialect, instance = semconv.choose(env), _claim(env, state)
    if fit.fits(env):
        from tokenproxy.telemetry.otlp.ways import open_ways

        ways = open_ways(env, instance.id, dialect, kept)
    else:
        from tokenproxy.telemetry.sdk.ways import open_sdk_ways

        ways = open_sdk_ways(env, instance.id, dialect, kept, console_fd)
    if kept is not None:
        from tokenproxy.telemetry.otlp.ways import add_spooled

        add_spooled(ways, env, instance.id, dialect, kept)
    ways.problems[:0] = problems(env)
    return Telemetry(run=run, dialect=dialect, ways=ways, instance=instance, spool=kept)


def _claim(env: Mapping[str, str], state: Path | None) -> Instance:
    try:
        return claim((paths.state_dir(env) if state is None else state) / "telemetry")
    except OSError as error:
        logger.warning("no state directory: %s", error)
        return claim(None)


def _quietly(step: Callable[[], None]) -> None:
    try:
        step()
    except Exception:
        logger.debug("shutdown", exc_info=True)
