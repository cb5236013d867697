"""Signals to the launcher, as bytes to be read.

Every signal that can be caught is caught, also those that were ignored when we
were started: the command may have a handler for them, so it gets to decide. The
launcher itself never acts on one while the command lives.

Left alone: what the kernel raises for a fault of our own code (SIGSEGV and its
kin, SIGXCPU), and SIGPIPE, which our own writes may raise.
"""

from __future__ import annotations

import os
import signal
import socket
from types import FrameType

FAULTS = frozenset(
    getattr(signal, name)
    for name in (
        *("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGSYS", "SIGEMT"),
        *("SIGXCPU", "SIGPIPE", "SIGXFSZ"),
    )
    if hasattr(signal, name)
)
CAUGHT = signal.valid_signals() - FAULTS - {signal.SIGKILL, signal.SIGSTOP}
ENDING = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT})
STOPPING = frozenset({signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGSTOP})
CHANGED_BY_PYTHON = tuple(
    getattr(signal, name) for name in ("SIGPIPE", "SIGXFSZ", "SIGXFZ") if hasattr(signal, name)
)
"""Ignored by the interpreter at its start; what they were before is not to be known.
A command gets the default, as from Python's own subprocess module."""


class Inbox:
    """The launcher's signals. Only the main thread may open it."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.settimeout(0)
        self._writer.settimeout(0)
        self.inherited_mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self.ignored: frozenset[int] = frozenset()
        """Signals that were ignored when we were started."""

    def open(self) -> None:
        """Catch from now on."""
        self.ignored = frozenset(
            number for number in CAUGHT if signal.getsignal(number) is signal.SIG_IGN
        )
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        _catch(CAUGHT)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def close(self) -> None:
        """Read no more: from now on signals come to nothing. For the way out."""
        signal.set_wakeup_fd(-1)
        self._reader.close()
        self._writer.close()

    def fileno(self) -> int:
        """Readable when a signal has come."""
        return self._reader.fileno()

    def take(self) -> set[int]:
        """The numbers that have come since the last time. Never blocks."""
        numbers: set[int] = set()
        while True:
            try:
                received = self._reader.recv(4096)
            except BlockingIOError:
                return numbers
            numbers.update(received)

    def hold(self) -> None:
        """Let nothing arrive until :meth:`release`: for the moment of a fork."""
        signal.pthread_sigmask(signal.SIG_SETMASK, CAUGHT)

    def release(self) -> None:
        """Let arrive what was held back."""
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def give_up(self) -> None:
        """In a forked child, held: make every disposition and the mask what we were given.

        What arrives from here on acts as it would on the command.
        """
        signal.set_wakeup_fd(-1)
        for number in (*CAUGHT, *CHANGED_BY_PYTHON):
            as_given = signal.SIG_IGN if number in self.ignored else signal.SIG_DFL
            signal.signal(number, as_given)
        signal.pthread_sigmask(signal.SIG_SETMASK, self.inherited_mask)

    def stop_ourselves(self, number: int) -> None:
        """Stop, by the signal that stopped the command, and return when continued.

        The shell that waits for us then sees what it would have seen of the command.
        In a process group without a job-control shell the kernel lets nobody stop
        but by SIGSTOP; then this returns at once.
        """
        number = number if number in STOPPING else signal.SIGSTOP
        if number == signal.SIGSTOP:
            os.kill(os.getpid(), number)
            return
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        _catch({number})


def die_of(number: int) -> None:
    """End as the signal's default action ends a process. Returns only if that is not to end."""
    signal.set_wakeup_fd(-1)
    signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)


def _catch(numbers: frozenset[int] | set[int] | set[signal.Signals]) -> None:
    for number in numbers:
        signal.signal(number, _note)


def _note(_number: int, _frame: FrameType | None) -> None:
    """The wakeup descriptor has the number already."""
