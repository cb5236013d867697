"""Several proxy processes on one port: what a gateway needs when one core is not enough.

They share nothing. Each has a listening socket of its own on the same address
(``SO_REUSEPORT``: Linux deals connections out among them), its own run, journal and
recorder, and appends to the ledger under its lock. One that dies is replaced on its
socket; connections that wait there are served by its successor.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Callable, Sequence

import msgspec

from tokenproxy.config import ProxyConfig, Summary
from tokenproxy.launch.errors import CannotRunError
from tokenproxy.launch.proxy_process import Proxy
from tokenproxy.launch.run_dir import RunDir
from tokenproxy.launch.signals import ENDING

BACKLOG = 1024


def open_listeners(host: str, port: int, count: int) -> list[socket.socket]:
    """Sockets that listen on one address, all of them.

    Args:
        host: An address.
        port: 0 for any free one.
        count: How many, at least one. A single one does not share its port.

    Raises:
        OSError: The address cannot be had, or somebody listens there.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    first = socket.create_server((host, port), family=family, backlog=BACKLOG)
    if count == 1:
        return [first]
    # It was had for us alone, so no other gateway shares it; now for us several times.
    port = first.getsockname()[1]
    first.close()
    return [
        socket.create_server((host, port), family=family, backlog=BACKLOG, reuse_port=True)
        for _ in range(count)
    ]


class Worker(msgspec.Struct, frozen=True):
    """One process that serves, and what it is told."""

    proxy: Proxy
    config: ProxyConfig
    run_dir: RunDir


class Workers:
    """The processes, from their start until a signal ends them. For the main thread.

    SIGHUP replaces them without a gap: their successors serve on the same sockets as soon as
    they are ready, and only then do they stop accepting, finish what they have, and end.
    """

    def __init__(
        self, make: Callable[[], Sequence[Worker]], say: Callable[[str], object] = lambda _: None
    ) -> None:
        """Prepare.

        Args:
            make: A worker for each socket, not started yet; called again at each reload. It may
                raise CannotRunError or OSError.
            say: Takes a sentence about a reload.
        """
        self._make = make
        self._say = say
        self._serving: list[Worker] = []
        self._coming: list[Worker] = []
        """Of a reload, not all ready yet."""
        self._retired: list[Worker] = []
        """They have successors."""
        self._total = Summary()
        self._stopping = False

    @property
    def _all(self) -> list[Worker]:
        return [*self._serving, *self._coming, *self._retired]

    def run(self, ready: Callable[[], None]) -> Summary:
        """Serve until SIGINT or SIGTERM; what all of them recorded.

        Args:
            ready: Called once, when all serve.

        Raises:
            ChildProcessError: One cannot be started at all; the message says why.
        """
        woken, wakes = socket.socketpair()
        woken.settimeout(0)
        wakes.settimeout(0)
        before = signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
        handlers = {
            number: signal.signal(number, lambda *_: None)
            for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
        try:
            self._serving = list(self._make())
            _start(self._serving)
            self._watch(woken, ready)
        finally:
            for worker in self._all:
                worker.proxy.kill("stopped")
                if worker.proxy.pid:
                    worker.proxy.exited(os.waitpid(worker.proxy.pid, 0)[1])
                self._is_over(worker)
            signal.set_wakeup_fd(before)
            for number, handler in handlers.items():
                signal.signal(number, handler)
            woken.close()
            wakes.close()
        return self._total

    def _watch(self, woken: socket.socket, ready: Callable[[], None]) -> None:
        said = False
        while any(worker.proxy.pid for worker in self._all):
            self._wait(woken)
            self._reap()
            failed = [one.proxy for one in self._serving if _never_came_up(one)]
            if failed and not self._stopping:
                raise ChildProcessError(failed[0].failure)
            if not said and all(worker.proxy.was_ready for worker in self._serving):
                said = True
                ready()
            self._take_over()

    def _wait(self, woken: socket.socket) -> None:
        """Until one of them answers or ends, or a signal comes; one that is stuck is ended."""
        now = time.monotonic()
        proxies = [worker.proxy for worker in self._all]
        deadlines = [(proxy, at) for proxy in proxies if (at := proxy.deadline) is not None]
        for proxy, _ in (one for one in deadlines if one[1] <= now):
            proxy.kill()  # its end wakes us, and it is replaced
        timeout_s = min((at - now for _, at in deadlines if at > now), default=None)
        lines = {fd: proxy for proxy in proxies if (fd := proxy.fileno()) is not None}
        readable, _, _ = select.select([woken.fileno(), *lines], [], [], timeout_s)
        for source in readable:
            if source != woken.fileno():
                lines[source].read()
                continue
            numbers = set(woken.recv(4096))
            if numbers & ENDING - {signal.SIGHUP} and not self._stopping:
                self._stop()
            elif signal.SIGHUP in numbers and not self._stopping:
                self._reload()

    def _stop(self) -> None:
        self._stopping = True
        for worker in self._all:
            worker.proxy.stop()

    def _reload(self) -> None:
        """Start successors. What is not ready of an earlier reload is not waited for."""
        self._drop_coming()
        try:
            self._coming = list(self._make())
        except (CannotRunError, OSError) as error:
            self._say(f"not reloaded, the gateway serves on as before: {error}")
            return
        _start(self._coming)

    def _take_over(self) -> None:
        """Let successors that are ready serve alone; forget those that do not come up."""
        failed = next((one.proxy.failure for one in self._coming if _never_came_up(one)), None)
        if failed is not None and not self._stopping:
            self._drop_coming()
            self._say(f"not reloaded, the gateway serves on as before: {failed}")
        elif self._coming and all(worker.proxy.was_ready for worker in self._coming):
            for worker in self._serving:
                worker.proxy.retire()
            self._retired += self._serving
            self._serving, self._coming = self._coming, []
            self._say("reloaded")

    def _drop_coming(self) -> None:
        for worker in self._coming:
            worker.proxy.failure = worker.proxy.failure or "not needed"
            worker.proxy.kill()
        self._retired += self._coming
        self._coming = []

    def _reap(self) -> None:
        for worker in self._all:
            proxy = worker.proxy
            if proxy.pid:
                pid, status = os.waitpid(proxy.pid, os.WNOHANG)
                if pid:
                    proxy.exited(status)
            if not proxy.pid and worker in self._retired:
                self._retired.remove(worker)
                self._is_over(worker)
            elif not proxy.pid and proxy.failure and not self._stopping:
                # Given up: connections must not be dealt to a socket that nobody serves.
                proxy.listener.close()

    def _is_over(self, worker: Worker) -> None:
        if worker.proxy.summary is not None:
            self._total = together([self._total, worker.proxy.summary])
        worker.run_dir.close(keep_log=False)


def _start(workers: Sequence[Worker]) -> None:
    for worker in workers:
        worker.proxy.start()
        worker.proxy.configure(worker.config)


def _never_came_up(worker: Worker) -> bool:
    return worker.proxy.failure is not None and not worker.proxy.was_ready


def together(summaries: Sequence[Summary]) -> Summary:
    """The sums of several; each warning once."""
    total: dict[str, object] = {}
    for name in Summary.__struct_fields__:
        if name != "warnings":
            total[name] = sum(getattr(summary, name) for summary in summaries)
    warnings = dict.fromkeys(text for summary in summaries for text in summary.warnings)
    return msgspec.convert({**total, "warnings": tuple(warnings)}, Summary)
