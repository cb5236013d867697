"""Calls as they begin: given their ids, journaled, and kept in mind until they are over."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol

from tokenproxy import ids
from tokenproxy.config import RunContext
from tokenproxy.proxy.director import Target
from tokenproxy.record.call import CallStart
from tokenproxy.record.recorder import Recorder
from tokenproxy.wire.attribution import read_attribution
from tokenproxy.wire.endpoints import Route

logger = logging.getLogger(__name__)

JOURNAL_WAIT_S = 0.25
"""How long a request may wait for its journal entry; a stuck disk must not hold calls."""


class Live(Protocol):
    """An open call, or a connection that has some."""

    def over(self, broken: str | None = None) -> None:
        """It ended as its protocol ends, or one side broke it off: ``broken`` says which."""
        ...


class Calls:
    """The calls of a run that are open. Belongs to the event loop."""

    def __init__(self, run: RunContext, recorder: Recorder) -> None:
        self.recorder = recorder
        self._run = run
        self._live: set[Live] = set()
        self._none_open = asyncio.Event()
        self.closed = False
        """The account is: what begins now would have a row that nobody writes, or a second one."""

    def start(
        self,
        route: Route,
        target: Target,
        headers: Mapping[str, str],
        started_ns: int | None = None,
    ) -> CallStart:
        """A call that begins (now, if nothing is said), from its request's headers.

        Their names are lower-cased.
        """
        attribution = read_attribution(headers)
        return CallStart(
            call_id=ids.uuid7(),
            trace_id=self._trace_id(attribution.turn_id),
            span_id=ids.new_span_id(),
            started_ns=time.time_ns() if started_ns is None else started_ns,
            provider=route.provider,
            family=route.family if route.family != route.provider else None,
            dialect=route.dialect,
            operation=route.operation,
            kind=route.kind,
            path_model=route.model,
            path_stream=route.stream,
            replayable=route.replayable,
            server_address=target.server_address,
            server_port=target.server_port,
            attribution=attribution,
        )

    def add(self, call: Live) -> None:
        """It is open from now on."""
        self._live.add(call)

    def remove(self, call: Live) -> None:
        """It is over; harmless when repeated."""
        self._live.discard(call)
        if not self._live:
            self._none_open.set()

    async def journaled(self, start: CallStart) -> None:
        """Wait until a call that begins is in the journal, but not for ever."""
        loop = asyncio.get_running_loop()
        done = asyncio.Event()

        def acknowledge() -> None:
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(done.set)

        self.recorder.opened(start, acknowledge)
        try:
            await asyncio.wait_for(done.wait(), JOURNAL_WAIT_S)
        except TimeoutError:
            logger.warning("call %s: sent before its journal entry was written", start.call_id)

    def journal(self, start: CallStart, then: Callable[[], None]) -> None:
        """Like :meth:`journaled`, without a task: ``then`` is called once it is time."""
        loop = asyncio.get_running_loop()
        waiting = [then]

        def go_on() -> None:
            late.cancel()
            if waiting:
                waiting.pop()()

        def go_on_unjournaled() -> None:
            logger.warning("call %s: sent before its journal entry was written", start.call_id)
            go_on()

        def acknowledge() -> None:
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(go_on)

        late = loop.call_later(JOURNAL_WAIT_S, go_on_unjournaled)
        self.recorder.opened(start, acknowledge)

    @property
    def any_open(self) -> bool:
        """Whether a call is."""
        return bool(self._live)

    async def idle(self, timeout_s: float) -> None:
        """Wait until no call is open, but no longer than ``timeout_s``."""
        if self._live:
            self._none_open.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._none_open.wait(), timeout_s)

    def close(self, broken: str) -> None:
        """Account for the calls that are still open: no other may begin."""
        self.closed = True
        for call in list(self._live):
            call.over(broken)
            self.remove(call)

    def _trace_id(self, turn_id: str | None) -> str:
        if not self._run.gateway:
            return self._run.trace_id
        return ids.derived_trace_id("turn", turn_id) if turn_id else ids.new_trace_id()
