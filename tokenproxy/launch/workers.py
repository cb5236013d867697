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
from tokenproxy.launch.proxy_process import Proxy
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


class Workers:
    """The processes, from their start until a signal ends them. For the main thread."""

    def __init__(self, proxies: Sequence[Proxy], configs: Sequence[ProxyConfig]) -> None:
        """Prepare.

        Args:
            proxies: Not started yet.
            configs: The orders of each.
        """
        self._proxies = proxies
        self._configs = configs
        self._stopping = False

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
            for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM)
        }
        try:
            for proxy, config in zip(self._proxies, self._configs, strict=True):
                proxy.start()
                proxy.configure(config)
            self._watch(woken, ready)
        finally:
            for proxy in self._proxies:
                proxy.kill("stopped")
                if proxy.pid:
                    proxy.exited(os.waitpid(proxy.pid, 0)[1])
            signal.set_wakeup_fd(before)
            for number, handler in handlers.items():
                signal.signal(number, handler)
            woken.close()
            wakes.close()
        return together([proxy.summary for proxy in self._proxies if proxy.summary is not None])

    def _watch(self, woken: socket.socket, ready: Callable[[], None]) -> None:
        said = False
        while any(proxy.pid for proxy in self._proxies):
            self._wait(woken)
            self._reap()
            failed = [proxy for proxy in self._proxies if proxy.failure and not proxy.was_ready]
            if failed and not self._stopping:
                raise ChildProcessError(failed[0].failure)
            if not said and all(proxy.was_ready for proxy in self._proxies):
                said = True
                ready()

    def _wait(self, woken: socket.socket) -> None:
        """Until one of them answers or ends, or a signal comes; one that is stuck is ended."""
        now = time.monotonic()
        deadlines = [(proxy, at) for proxy in self._proxies if (at := proxy.deadline) is not None]
        for proxy, _ in (one for one in deadlines if one[1] <= now):
            proxy.kill()  # its end wakes us, and it is replaced
        timeout_s = min((at - now for _, at in deadlines if at > now), default=None)
        lines = {fd: proxy for proxy in self._proxies if (fd := proxy.fileno()) is not None}
        readable, _, _ = select.select([woken.fileno(), *lines], [], [], timeout_s)
        for source in readable:
            if source == woken.fileno():
                numbers = set(woken.recv(4096))
                if numbers & ENDING and not self._stopping:
                    self._stop()
            else:
                lines[source].read()

    def _stop(self) -> None:
        self._stopping = True
        for proxy in self._proxies:
            proxy.stop()

    def _reap(self) -> None:
        for proxy in self._proxies:
            if not proxy.pid:
                continue
            pid, status = os.waitpid(proxy.pid, os.WNOHANG)
            if pid:
                proxy.exited(status)
                if proxy.failure and not self._stopping:
                    # Given up: connections must not be dealt to a socket that nobody serves.
                    proxy.listener.close()


def together(summaries: Sequence[Summary]) -> Summary:
    """The sums of several; each warning once."""
    total: dict[str, object] = {}
    for name in Summary.__struct_fields__:
        if name != "warnings":
            total[name] = sum(getattr(summary, name) for summary in summaries)
    warnings = dict.fromkeys(text for summary in summaries for text in summary.warnings)
    return msgspec.convert({**total, "warnings": tuple(warnings)}, Summary)
