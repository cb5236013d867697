"""The simulated APIs as a real HTTP/1.1 server on loopback, in a thread of its own.

    with Simulator("stream+gzip") as sim:
        ...                                   # a client of sim.url
        assert sim.calls[0].billed == ...     # what it was charged

One port serves every provider (``targets``). A scenario is asked for a reply to
every request; where it has none the rest of that API answers (``elsewhere``).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from tokenproxy.simulator import elsewhere, scenarios
from tokenproxy.simulator.connection import Connection
from tokenproxy.simulator.exchange import Exchange, Truth, by_model, by_provider, on_the_bill_of
from tokenproxy.simulator.messages import Known, Tokens
from tokenproxy.simulator.reply import Request, error_reply
from tokenproxy.simulator.scenarios import Scenario

BACKLOG = 1024


class Simulator:
    """Simulated model APIs. Use as a context manager from synchronous code."""

    def __init__(
        self,
        scenario: Scenario | str = "plain",
        *,
        tls: ssl.SSLContext | None = None,
        port: int = 0,
        record: Path | None = None,
    ) -> None:
        """Prepare; ``__enter__`` listens.

        Args:
            scenario: a scenario or the name of one, see ``scenarios.named``.
            tls: serve HTTPS with this context, see ``tokenproxy.simulator.tls``.
            port: port on 127.0.0.1; 0 for any free one.
            record: existing directory that gets each exchange as files.

        Raises:
            ValueError: there is no scenario of that name.
        """
        self._scenario = scenarios.named(scenario) if isinstance(scenario, str) else scenario
        self._tls = tls
        self._record = record
        self._faults: list[Exception] = []  # of scenarios, raised when the simulator is left
        self._thread = threading.Thread(target=self._run, name="simulator", daemon=True)
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._failure: OSError | OverflowError | None = None
        self.port = port
        self.heads: list[Request] = []
        """Every request whose head has come, without its body, whether that followed or not."""
        self.exchanges: list[Exchange] = []
        """Every exchange, in the order of the requests' arrival."""

    @property
    def url(self) -> str:
        """Base URL, without a trailing slash."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def requests(self) -> list[Request]:
        """Every request that arrived whole."""
        return [exchange.request for exchange in self.exchanges]

    @property
    def calls(self) -> list[Exchange]:
        """Exchanges that asked the model for an answer."""
        return [exchange for exchange in self.exchanges if exchange.is_call]

    def billed(self) -> dict[str, Tokens]:
        """What all calls were charged, by model."""
        return by_model([part for call in self.exchanges for part in call.billed])

    def billed_by_provider(self) -> dict[tuple[str, str], Tokens]:
        """What all calls were charged, by provider and model."""
        return by_provider([part for call in self.exchanges for part in call.billed])

    def known(self) -> dict[str, Tokens]:
        """What a reader of all responses can state and is charged for, by model."""
        return by_model(self._known())

    def known_by_provider(self) -> dict[tuple[str, str], Tokens]:
        """The same by provider and model."""
        return by_provider(self._known())

    def _known(self) -> list[Tokens]:
        """Parts of all calls; a response that was fetched again counts once."""
        found: dict[object, Known] = {}
        for call in self.exchanges:
            key = call.reply.stored.id if call.reply.stored else call.request.number
            if call.known is not None and (key not in found or not found[key].final):
                found[key] = call.known
        return [part for known in found.values() for part in known.parts if part.billable]

    def wait_for(self, condition: Callable[[Self], bool], timeout_s: float = 5.0) -> None:
        """Return once ``condition`` holds; TimeoutError if it does not in time."""
        deadline = time.monotonic() + timeout_s
        while not condition(self):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not so within {timeout_s} s: {condition}")
            time.sleep(0.005)

    def settle(self, timeout_s: float = 5.0) -> None:
        """Wait until no exchange is in flight."""
        self.wait_for(lambda sim: all(e.ended != "open" for e in sim.exchanges), timeout_s)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        if kind is None and self._faults:
            raise self._faults[0]

    def stop(self) -> None:
        """Break all connections and stop listening."""
        if self._loop is not None and self._stop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._listen())
        except (OSError, OverflowError) as error:  # the second: no such port
            self._failure = error
        finally:
            self._ready.set()

    async def _listen(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        connections: set[asyncio.Task[None]] = set()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = Connection(reader, writer, self._answer, self._write, self.heads.append)
            task = asyncio.ensure_future(connection.serve())
            connections.add(task)
            task.add_done_callback(ended)

        def ended(task: asyncio.Task[None]) -> None:
            connections.discard(task)
            if not task.cancelled() and isinstance(error := task.exception(), Exception):
                self._faults.append(error)

        server = await asyncio.start_server(
            connected, "127.0.0.1", self.port, ssl=self._tls, backlog=BACKLOG
        )
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    def _answer(self, request: Request) -> Exchange:
        request = msgspec.structs.replace(request, number=len(self.exchanges) + 1)
        try:
            reply = self._scenario(request) or elsewhere.answer(request, self.exchanges)
        except Exception as error:  # noqa: BLE001 - raised again where the test can see it
            self._faults.append(error)
            reply = error_reply(500, "api_error", f"scenario failed: {error!r}")
        if reply.stored and self._has_billed(reply.stored.id):
            reply = msgspec.structs.replace(reply, billed=())
        exchange = Exchange(request=request, reply=on_the_bill_of(request.target.provider, reply))
        self.exchanges.append(exchange)
        return exchange

    def _has_billed(self, kept: str) -> bool:
        """Whether what is kept under this id is only had again."""
        past = (e.reply for e in self.exchanges if e.billed)
        return any(reply.stored is not None and reply.stored.id == kept for reply in past)

    def _write(self, exchange: Exchange) -> None:
        if self._record is None:
            return
        stem = self._record / f"{exchange.request.number:04}"
        stem.with_suffix(".request").write_bytes(exchange.request.body)
        stem.with_suffix(".response").write_bytes(exchange.sent)
        account = msgspec.json.encode(Truth.of(exchange))
        stem.with_suffix(".json").write_bytes(msgspec.json.format(account) + b"\n")
