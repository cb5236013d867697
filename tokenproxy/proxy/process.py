"""The proxy process of one run: takes its orders, serves, settles the account.

Composition root: here the tap, the recorder and the telemetry are joined.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tokenproxy.config import IterationEnd, ProxyConfig, Summary
from tokenproxy.processes import running
from tokenproxy.proxy.control import Answer, Control
from tokenproxy.record.recorder import Recorder
from tokenproxy.record.sink import Deferred, Sink
from tokenproxy.telemetry import switch
from tokenproxy.wire import routes

if TYPE_CHECKING:
    from tokenproxy.proxy.gateway import Gateway
    from tokenproxy.record.capture import Captures

logger = logging.getLogger(__name__)

SWITCH_S = 0.0005
"""How long the event loop waits for the interpreter while the recorder computes. Python's own
5 ms is more than a call may be held up; much less makes both threads slower."""

CAPTURES_S = 2.0
"""How long a run's end waits for captures that are being written."""

AHEAD_AFTER_S = 0.02
"""A command that has ended by then makes no call: what would read it is not imported."""

CHILD_POLL_S = 0.5
"""How often a proxy whose launcher was killed looks whether the command still lives."""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry of ``python -m tokenproxy.proxy --control-fd N``. Returns the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if len(arguments) != 2 or arguments[0] != "--control-fd":  # noqa: PLR2004 - a flag and its value
        print("tokenproxy.proxy is started by `tokenproxy run`", file=sys.stderr)  # noqa: T201 - log
        return 2
    bound_ourselves()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    control = Control(socket.socket(fileno=int(arguments[1])))
    try:
        config = control.read_config()
        listener = socket.socket(fileno=config.listen_fd)
        summary = run_loop(
            serve(
                config,
                listener,
                ready=lambda: control.send(Answer(ready=True)),
                ended=_ordered_end(control, retire := asyncio.Event()),
                retire=retire,
            )
        )
    except Exception as error:
        logger.exception("the proxy cannot go on")
        control.send(Answer(fatal=f"{type(error).__name__}: {error}"))
        return 1
    control.send(Answer(summary=summary))
    return 0


def bound_ourselves() -> None:
    """Leave no core behind, which would hold keys; take the connections that may come."""
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = FILES if most == resource.RLIM_INFINITY else min(FILES, most)
    if files != resource.RLIM_INFINITY and files < enough:
        resource.setrlimit(resource.RLIMIT_NOFILE, (enough, most))


FILES = 16_384
"""Descriptors: two a connection that is served; many systems allow 1,024 unless asked."""


def run_loop[T](main: Coroutine[Any, Any, T]) -> T:
    """Run on uvloop where it is installed, else on asyncio's own loop."""
    sys.setswitchinterval(SWITCH_S)
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    return uvloop.run(main)


def telemetry_of(config: ProxyConfig, env: Mapping[str, str]) -> list[Deferred]:
    """Telemetry if an endpoint or a spool is configured; otherwise nothing is imported.

    Nor is it before it is opened: nobody who connects need wait for it.
    """
    spool = Path(config.otel_spool) if config.otel_spool else None
    if not switch.enabled(env) and not (spool and switch.any_spooled(env)):
        return []

    def make() -> Sink:
        from tokenproxy.telemetry.pipeline import open_telemetry

        return open_telemetry(env, config.run, spool=spool, console_fd=config.console_fd)

    return [Deferred(make)]


def open_captures(config: ProxyConfig) -> Captures | None:
    """What keeps the calls' bodies, if the user asked for that."""
    if config.capture_days is None:
        return None
    from tokenproxy.record.capture import Captures
    from tokenproxy.record.capture_files import captures_dir

    state = Path(config.run_dir).parents[1]
    return Captures(captures_dir(state), config.run.run_id, config.capture_days)


async def serve(
    config: ProxyConfig,
    listener: socket.socket,
    *,
    ready: Callable[[], None],
    ended: Coroutine[Any, Any, IterationEnd | None],
    retire: asyncio.Event,
) -> Summary:
    """Serve on ``listener`` until ``ended``, then drain, settle the account and sum it up.

    When ``retire`` is set no connection is accepted any more, and the end is when none is left.
    """
    from tokenproxy.proxy.gateway import Gateway

    sinks = telemetry_of(config, os.environ)
    warnings: dict[str, None] = {}  # in order, each once: a gateway may live for months
    recorder = Recorder(
        run=config.run,
        ledger=Path(config.ledger),
        journal=Path(config.run_dir) / f"journal-{config.generation}.jsonl",
        sinks=sinks,
        runs=Path(config.run_dir).parent,
        resumed=config.generation > 0,
    )
    recorder.start()
    captures = open_captures(config)
    gateway = Gateway(
        config,
        recorder,
        listener=listener,
        warn=warnings.setdefault,
        captures=captures,
    )
    await gateway.start(listener)
    ready()
    over = threading.Event()
    threading.Thread(
        target=_import_ahead,
        args=(over, config.run.agent, sinks),
        name="tokenproxy-imports",
        daemon=True,
    ).start()
    end = await _end_of(gateway, ended, retire)
    over.set()
    await gateway.stop(config.drain_s)
    summary = await asyncio.to_thread(recorder.finish, end)
    missed = () if captures is None else await asyncio.to_thread(captures.finish, CAPTURES_S)
    unique = tuple(dict.fromkeys((*summary.warnings, *warnings, *missed)))
    return msgspec.structs.replace(summary, warnings=unique, relayed=gateway.relayed)


def _import_ahead(over: threading.Event, agent: str | None, sinks: Sequence[Deferred]) -> None:
    """Import what will read the calls while the command starts: the first call must not wait.

    Telemetry is opened then, too: it is told of a call when that has ended.
    """
    if over.wait(AHEAD_AFTER_S):
        return
    try:
        _import_readers(over, agent)
        for sink in sinks:
            sink.open()
    finally:
        # ``__main__`` has turned it off. What is here now stays, and need not be looked through.
        gc.freeze()
        gc.enable()


def _import_readers(over: threading.Event, agent: str | None) -> None:
    for name in routes.dialect_names():
        if over.is_set():
            return
        try:
            routes.dialect(name)
        except LookupError:
            logger.exception("dialect %s cannot be used", name)
    if agent in OTHER_WAY and not over.is_set():
        from tokenproxy.proxy import other_way

        del other_way


OTHER_WAY = ("codex",)
"""Commands that are known to need mitmproxy: these speak HTTP/2 beside their calls."""


RETIRE_S = 3600.0
"""How long a process that has a successor finishes what it has."""


async def _end_of(
    gateway: Gateway, ended: Coroutine[Any, Any, IterationEnd | None], retire: asyncio.Event
) -> IterationEnd | None:
    """Wait for ``ended``, or for having retired."""

    async def retired() -> None:
        await retire.wait()
        await gateway.retire(RETIRE_S)

    loop = asyncio.get_running_loop()
    waits = loop.create_task(ended), loop.create_task(retired())
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for task in waits:
        task.cancel()
    return waits[0].result() if waits[0].done() else None


async def _ordered_end(control: Control, retire: asyncio.Event) -> IterationEnd | None:
    """Wait for the launcher's ``finish``, a SIGTERM, or the end of an orphaned command."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[IterationEnd | None] = loop.create_future()
    child: list[int] = []

    def settle(end: IterationEnd | None) -> None:
        if not ended.done():
            ended.set_result(end)

    def orphaned() -> None:
        if child and running(child[0]):
            loop.call_later(CHILD_POLL_S, orphaned)
        else:
            settle(None)

    def listen() -> None:
        while (order := control.read_order()) is not None:
            if order.child is not None:
                child.append(order.child)
            if order.retire:
                loop.call_soon_threadsafe(retire.set)
            if order.finish is not None:
                loop.call_soon_threadsafe(settle, order.finish)
                return
        loop.call_soon_threadsafe(orphaned)

    threading.Thread(target=listen, name="tokenproxy-control", daemon=True).start()
    loop.add_signal_handler(signal.SIGTERM, settle, None)
    return await ended
