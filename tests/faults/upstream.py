"""The API behind the fault runs: the simulator, made to stop where a kill is wanted."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import msgspec

from tokenproxy.simulator import calls
from tokenproxy.simulator.exchange import Exchange
from tokenproxy.simulator.messages import Tokens
from tokenproxy.simulator.reply import Reply, Request, message_reply
from tokenproxy.simulator.server import Simulator

EVENTS = 18
"""Of a streamed answer: every kind of event there is, thinking and text, two last words."""
WAIT_S = 60.0
"""For what takes milliseconds, on a machine that does much else."""


class Upstream:
    """One simulator. Each call's bill is its own, so that rows cannot be mistaken for others.

    The agent says in a header how its answer is to come: ``late:S`` (nothing for S
    seconds), ``stall:K`` (K events, then nothing more), ``pause:K:S`` (K events, then
    the rest after S seconds).
    """

    def __init__(self) -> None:
        self.sim = Simulator(_answer)
        self._heads: dict[str, int] = {}
        self._exchanges: dict[str, Exchange] = {}
        self._read = (0, 0)

    def __enter__(self) -> Self:
        self.sim.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.sim.stop()

    def reached(self) -> dict[str, int]:
        """Attempts whose request's head has come -> how often."""
        self._index()
        return self._heads

    def exchange(self, call: str) -> Exchange | None:
        """What is known here of a call whose request came whole."""
        self._index()
        return self._exchanges.get(call)

    def sent(self, call: str, events: int) -> bool:
        """Whether so many events of the answer have been sent."""
        found = self.exchange(call)
        return found is not None and bool(found.head) and len(found.chunk_sizes) >= events

    def _index(self) -> None:
        heads, exchanges = self._read
        for head in self.sim.heads[heads:]:
            call = head.header("x-client-request-id") or ""
            self._heads[call] = self._heads.get(call, 0) + 1
        new = self.sim.exchanges[exchanges:]
        for exchange in new:
            self._exchanges[exchange.request.header("x-client-request-id") or ""] = exchange
        self._read = (len(self.sim.heads), exchanges + len(new))


def wait_for(what: Callable[[], object], told: str, timeout_s: float = WAIT_S) -> None:
    """Return once it is so; TimeoutError if it is not in time."""
    limit = time.monotonic() + timeout_s
    while not what():
        if time.monotonic() > limit:
            raise TimeoutError(told)
        time.sleep(0.002)


def bill(number: int, request: Request) -> Tokens:
    """What the n-th call costs: like no other's."""
    return calls.tokens(request, input=1_000 + number, output=1_000 + number, thinking=67)


def _answer(request: Request) -> Reply | None:
    if not request.is_call:
        return None
    number = int((request.header("x-client-request-id") or "0").rpartition("-")[2])
    message = msgspec.structs.replace(
        calls.rich_message(request), parts=(bill(number, request),), states_iterations=False
    )
    reply = message_reply(message, streamed=request.streamed)
    kind, _, given = (request.header("x-fault") or "").partition(":")
    match kind:
        case "late":
            return msgspec.structs.replace(reply, head_delay_s=float(given))
        case "stall":
            kept = reply.pieces[: int(given)]
            return msgspec.structs.replace(reply, pieces=kept, ending="stall", sized=False)
        case "pause":
            at, _, seconds = given.partition(":")
            pieces = list(reply.pieces)
            where = min(int(at), len(pieces) - 1)
            pieces[where] = msgspec.structs.replace(pieces[where], delay_s=float(seconds))
            return msgspec.structs.replace(reply, pieces=tuple(pieces))
    return reply
