"""A process that tells a signal to the whole group from one to us alone.

The command shares our process group, as it must for Ctrl-C, Ctrl-Z and resizing
to work as without us. A signal that the terminal, or ``kill -TERM -PGID``, sends to
the group has reached the command by itself; forwarding it would deliver it twice. A
signal to our process alone has not, and must be forwarded. The signal itself does
not tell: a group's and a single process's look the same, and a hang-up from the
terminal may go to a session's leader only.

So there is a third process in the group that does nothing but block every signal.
When one comes to us, we ask it: what is pending there was sent to the group.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time

from tokenproxy.launch.signals import CAUGHT

ANSWER_S = 0.5
SETTLE_S = 0.001
"""How long the kernel may take between two members of a group; it takes microseconds."""
_SIZE = 9
"""Bytes of an answer: one bit a signal, numbers 1 to 64."""

TERMINAL = frozenset(
    {
        *(signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGWINCH),
        *(signal.SIGTTIN, signal.SIGTTOU, signal.SIGCONT),
    }
)
"""Taken for the group's if the witness is gone: mostly a terminal or a shell sends them."""


class Witness:
    """Our end. Start it while we have one thread and before signals are caught."""

    def __init__(self) -> None:
        self.pid = 0
        self._sock: socket.socket | None = None

    def start(self) -> None:
        """Fork it.

        Raises:
            OSError: No process is to be had.
        """
        ours, theirs = socket.socketpair()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, CAUGHT)
        try:
            self.pid = os.fork()
            if self.pid == 0:
                _stand_by(theirs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        ours.settimeout(ANSWER_S)
        self._sock = ours

    def saw(self, numbers: set[int]) -> set[int]:
        """Which of ``numbers``, just come to us, came to the whole group."""
        try:
            seen = self._ask()
            if not numbers <= seen:
                # Ours may have come a moment before its.
                time.sleep(SETTLE_S)
                seen |= self._ask()
        except OSError:
            self.stop()
            return numbers & TERMINAL
        return numbers & seen

    def stop(self) -> None:
        """Let it go; it ends by itself."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def _ask(self) -> set[int]:
        if self._sock is None:
            raise BrokenPipeError
        self._sock.sendall(b"?")
        answer = self._sock.recv(_SIZE)
        if len(answer) != _SIZE:
            raise BrokenPipeError
        bits = int.from_bytes(answer)
        return {number for number in range(1, 8 * _SIZE) if bits >> number & 1}


def _stand_by(sock: socket.socket) -> None:
    """The witness's whole life: in the forked process, every signal blocked. Never returns."""
    try:
        signal.set_wakeup_fd(-1)
        for number in CAUGHT:
            # Some systems drop a blocked signal whose action is to ignore it.
            signal.signal(number, lambda _number, _frame: None)
        for name in os.listdir("/dev/fd"):  # noqa: PTH208 - names are all there is
            if int(name) != sock.fileno():
                with contextlib.suppress(OSError):
                    os.close(int(name))
        while sock.recv(1):
            pending = signal.sigpending()
            for number in pending:
                while number in signal.sigpending():  # real-time signals queue
                    signal.sigwait({number})
            sock.sendall(sum(1 << number for number in pending).to_bytes(_SIZE))
    finally:
        os._exit(0)
