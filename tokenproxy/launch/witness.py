"""A process that tells a signal to the whole group from one to us alone.

The command shares our process group, as it must for Ctrl-C, Ctrl-Z and resizing
to work as without us. A signal that the terminal, or ``kill -TERM -PGID``, sends to
the group has reached the command by itself; forwarding it would deliver it twice. A
signal to our process alone has not, and must be forwarded. The signal itself does
not tell: a group's and a single process's look the same, and a hang-up from the
terminal may go to a session's leader only.

So there is a third process in the group that does nothing but block every signal.
When one comes to us, we ask it: what is pending there was sent to the group.

It has a second use. We stop when the command does, and who is stopped sees nothing:
neither that somebody has continued the command alone, nor that it was killed. The
witness sees it, and continues us.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
from collections.abc import Set as AbstractSet

from tokenproxy.launch.signals import CAUGHT, STOPPING
from tokenproxy.processes import STOPPED, state

ANSWER_S = 0.5
SETTLE_S = 0.001
"""How long the kernel may take between two members of a group; it takes microseconds."""
UNCLAIMED_S = 0.5
WATCH_S = 0.1
"""How often it looks at a command that has stopped."""
_PID_SIZE = 8
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
    """Our end. Start it while we have one thread and before there is a command."""

    def __init__(self) -> None:
        self.pid = 0
        self._sock: socket.socket | None = None
        self._unclaimed: dict[int, float] = {}
        """Seen by it, not yet come to us -> when (monotonic)."""

    def start(self) -> None:
        """Fork it.

        Raises:
            OSError: No process is to be had.
        """
        ours, theirs = socket.socketpair()
        launcher = os.getpid()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, CAUGHT)
        try:
            self.pid = os.fork()
            if self.pid == 0:
                _stand_by(theirs, launcher)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        ours.settimeout(ANSWER_S)
        self._sock = ours

    def saw(self, numbers: set[int]) -> set[int]:
        """Which of ``numbers``, just come to us, came to the whole group."""
        try:
            self._ask()
            if not numbers <= self._unclaimed.keys():
                # Ours may have come a moment before its.
                time.sleep(SETTLE_S)
                self._ask()
        except OSError:
            self.stop()
            return numbers & TERMINAL
        seen = numbers & self._unclaimed.keys()
        # A stop and a continue cancel each other while they are pending: the later remains.
        if self._unclaimed.keys() & STOPPING:
            seen |= numbers & {signal.SIGCONT}
        if signal.SIGCONT in self._unclaimed:
            seen |= numbers & STOPPING
        self.forget(numbers)
        return seen

    def watch(self, pid: int) -> None:
        """We are about to stop because process ``pid`` has: continue us if it goes on, or ends."""
        with contextlib.suppress(OSError):
            self._tell(pid)

    def relieve(self) -> bool:
        """Watch no more. Whether it was the witness that has continued us.

        Its signal looks like anybody's, and is not for the command: the command goes on
        already, or did, and has been stopped again since.
        """
        try:
            self._tell(0)
            return self._hear(1) == b"c"
        except OSError:
            self.stop()
            return False

    def _tell(self, watched: int) -> None:
        if self._sock is None:
            raise BrokenPipeError
        self._sock.sendall(b"w" + watched.to_bytes(_PID_SIZE))

    def forget(self, numbers: AbstractSet[int]) -> None:
        """These will not be claimed any more."""
        for number in numbers:
            self._unclaimed.pop(number, None)

    def stop(self) -> None:
        """Let it go; it ends by itself."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def _ask(self) -> None:
        """Take over what is pending there.

        It may have one already that comes to us only after we ask; that one keeps for
        a moment, no longer, or it would pass for another that comes to us alone.
        """
        if self._sock is None:
            raise BrokenPipeError
        self._sock.sendall(b"?")
        bits, now = int.from_bytes(self._hear(_SIZE)), time.monotonic()
        kept = {
            number: when for number, when in self._unclaimed.items() if now - when < UNCLAIMED_S
        }
        new = {number: now for number in range(1, 8 * _SIZE) if bits >> number & 1}
        self._unclaimed = kept | new

    def _hear(self, size: int) -> bytes:
        if self._sock is None:
            raise BrokenPipeError
        answer = self._sock.recv(size)
        if len(answer) != size:
            raise BrokenPipeError
        return answer


def _stand_by(sock: socket.socket, launcher: int) -> None:
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
        _serve(sock, launcher)
    finally:
        os._exit(0)


def _serve(sock: socket.socket, launcher: int) -> None:
    watched = 0
    continued = False
    while True:
        if watched and not select.select([sock], [], [], WATCH_S)[0]:
            if state(launcher) in STOPPED and state(watched) not in STOPPED:
                os.kill(launcher, signal.SIGCONT)
                watched, continued = 0, True
            continue
        word = sock.recv(1)
        if word == b"?":
            sock.sendall(_taken().to_bytes(_SIZE))
        elif word:
            watched = int.from_bytes(sock.recv(_PID_SIZE, socket.MSG_WAITALL))
            if not watched:
                sock.sendall(b"c" if continued else b"-")
            continued = False
        else:
            return


def _taken() -> int:
    """What is pending, as bits, and is not any more."""
    pending = signal.sigpending()
    for number in pending:
        while number in signal.sigpending():  # real-time signals queue
            signal.sigwait({number})
    return sum(1 << number for number in pending)
