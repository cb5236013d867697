"""The launcher's event loop: signals, children, the proxy's answers. One thread.

Theory of operation. Everything that happens is readable: signals through the
inbox (SIGCHLD among them), answers on the proxy's line. Nothing is decided in a
handler. While the command lives:

- A signal that came to us alone is forwarded; one that came to the group is not,
  because the command has it (see ``witness``).
- The command *stopped* (Ctrl-Z, or by itself): we stop too, by the same signal,
  so that the shell sees its job stopped. Continued by the shell, the whole group
  is; continued by ``kill -CONT`` to us alone, we pass it on.
- The command *ended*: that is for whoever waits.
- The proxy ended: it replaces itself (``Proxy.exited``). One that does not get
  ready in time is killed, and so replaced.

We may be process 1 of a container: whatever else has become our child is waited
for and forgotten.
"""

from __future__ import annotations

import math
import os
import select
import signal
import time
from collections.abc import Callable

from tokenproxy.launch.child import Child
from tokenproxy.launch.proxy_process import Proxy
from tokenproxy.launch.signals import ENDING, STOPPING, Inbox
from tokenproxy.launch.witness import Witness
from tokenproxy.processes import STOPPED, state


class Conductor:
    """Waits for things to happen and reacts."""

    def __init__(self, inbox: Inbox, witness: Witness) -> None:
        self.child: Child | None = None
        self.proxy: Proxy | None = None
        self.interrupted: int | None = None
        """An ending signal that came to us while no command lived, and was not ignored."""
        self.shared: set[int] = set()
        """Signals that the whole group got while the command lived."""
        self._inbox = inbox
        self._witness = witness

    def wait(self, done: Callable[[], object], timeout_s: float | None = None) -> bool:
        """React until ``done()`` is true. False if the time was over before."""
        limit = None if timeout_s is None else time.monotonic() + timeout_s
        while not done():
            now = time.monotonic()
            if limit is not None and now >= limit:
                return False
            overdue = self.proxy.deadline if self.proxy is not None else None
            if overdue is not None and self.proxy is not None and now >= overdue:
                self.proxy.kill()
                overdue = None
            times = [moment - now for moment in (limit, overdue) if moment is not None]
            self._poll(min(times) if times else None)
        return True

    def turn(self) -> None:
        """React to what has happened already, also before signals were caught."""
        self._reap()
        self._poll(0)

    def _poll(self, timeout_s: float | None) -> None:
        poll = select.poll()
        poll.register(self._inbox.fileno(), select.POLLIN)
        line = self.proxy.fileno() if self.proxy is not None else None
        if line is not None:
            poll.register(line, select.POLLIN)
        # Rounded up: a poll that returns just before its time would spin.
        events = poll.poll(None if timeout_s is None else math.ceil(timeout_s * 1000))
        ready = {descriptor for descriptor, _ in events}
        if self._inbox.fileno() in ready:
            self._signals()
        elif line in ready and self.proxy is not None:
            self.proxy.read()

    def _signals(self) -> None:
        numbers = self._inbox.take()
        just_shared: set[int] = set()
        while numbers:
            came = numbers - {signal.SIGCHLD}
            if signal.SIGCONT in came:
                # Being continued discards a pending stop, for us as for any process.
                came -= STOPPING
            shared = self._witness.saw(came) if came else set()
            if self.child is None or self.child.ended:
                self._for_us(came)
            else:
                self.shared |= shared
                # Two of the same to the group may have been one for the witness.
                for number in sorted(came - shared - just_shared):
                    self.child.send(number)
            just_shared = shared
            later = self._inbox.take()
            if signal.SIGCHLD in numbers | later:
                later.discard(signal.SIGCHLD)
                stopped_by = self._reap()
                if stopped_by is not None:
                    later = self._stop_too(stopped_by, later)
            numbers = later

    def _stop_too(self, number: int, came: set[int]) -> set[int]:
        """Stop as the command has. Returns what is to be dealt with once we are continued."""
        pid = self.child.pid if self.child is not None else 0
        self._witness.watch(pid)
        self._inbox.stop_ourselves(number)
        for_us = self._witness.relieve()
        came = (came | self._inbox.take()) - STOPPING
        self._witness.forget(STOPPING)
        if signal.SIGCONT in came and (for_us or state(pid) not in (*STOPPED, None)):
            # It goes on already. Continued once more, it would miss its next stop.
            self._witness.saw({signal.SIGCONT})
            came.discard(signal.SIGCONT)
        return came

    def _for_us(self, numbers: set[int]) -> None:
        for number in sorted(numbers):
            if number in ENDING and number not in self._inbox.ignored:
                self.interrupted = self.interrupted or number
            elif number == signal.SIGTSTP and number not in self._inbox.ignored:
                self._inbox.stop_ourselves(number)

    def _reap(self) -> int | None:
        """Wait for whoever has changed. Returns the signal that has stopped the command, if so."""
        stopped_by = None
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                return stopped_by
            if pid == 0:
                return stopped_by
            if self.child is not None and pid == self.child.pid:
                stopped_by = self.child.changed(status)
            elif self.proxy is not None and pid == self.proxy.pid and not os.WIFSTOPPED(status):
                self.proxy.exited(status)
