"""Lets one of our processes die, or stop, at one of its own steps.

Found by a child's interpreter because this directory is in its ``PYTHONPATH``: the
product knows nothing of it. A *step* is what a process does to files below one
directory, to locks or to other processes, as Python's audit events tell, and each
``os.write``. FAULTS_WHO says which process (words of its command line), FAULTS_LOG
names a file that gets a line for each start and each death.

FAULTS_AT is the step at which to die, counted from 1; with a ``+`` one more for each
start that the log tells of, so that a process that is started again and again dies a
step later each time. FAULTS_HOW is ``kill``, ``half`` (in the middle of a write),
``stop`` or ``term``.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading

EVENTS = frozenset(
    {
        *("open", "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.truncate", "os.link"),
        *("os.utime", "fcntl.flock", "subprocess.Popen", "os.fork", "os.kill", "socket.bind"),
    }
)
WITH_PATH = frozenset(
    {"open", "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.truncate", "os.link"}
)
SIGNALS = {"kill": signal.SIGKILL, "half": signal.SIGKILL, "stop": signal.SIGSTOP}


class Steps:
    def __init__(self, root: str, log: str, at: str, how: str) -> None:
        self.root = root
        self.how = how
        self.pid = os.getpid()
        self.numbers = itertools.count(1)
        self.thread = 0
        self.write = os.write
        self.log = os.open(log, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        starts = os.pread(self.log, 1 << 20, 0).count(b"start")
        self.at = int(at.rstrip("+")) + (starts if at.endswith("+") else 0)
        self.write(self.log, b"start %d\n" % self.pid)

    def hook(self, event: str, args: tuple[object, ...]) -> None:
        if event not in EVENTS or self.thread == threading.get_ident():
            return
        if event in WITH_PATH and not self.ours(args[0]):
            return
        self.step(" ".join([event, *map(str, args[:1])]))

    def ours(self, path: object) -> bool:
        return isinstance(path, (str, bytes, os.PathLike)) and os.fsdecode(path).startswith(
            self.root
        )

    def step(self, what: str) -> bool:
        """Count a step; dies there if it is the one. Whether it is, where dying is left to do."""
        if os.getpid() != self.pid:
            return False  # a fork of ours
        number = next(self.numbers)
        if number != self.at:
            return False
        self.thread = threading.get_ident()
        self.write(self.log, f"dies {self.pid} at {number}: {what}\n".encode())
        if self.how == "half" and what.startswith("write"):
            return True
        os.kill(self.pid, SIGNALS.get(self.how, signal.SIGTERM))
        self.thread = 0
        return False

    def writing(self, fd: int, data: bytes) -> int:
        if self.step(f"write {len(data)} to {fd}"):
            self.write(fd, data[: len(data) // 2])
            os.kill(self.pid, signal.SIGKILL)
        return self.write(fd, data)


def _install() -> None:
    who = os.environ.get("FAULTS_WHO", "")
    words = " ".join(sys.orig_argv)
    if not who or who not in words:
        return
    steps = Steps(
        os.environ["FAULTS_ROOT"],
        os.environ["FAULTS_LOG"],
        os.environ["FAULTS_AT"],
        os.environ["FAULTS_HOW"],
    )
    os.write = steps.writing  # type: ignore[assignment] # bytes are all that is written
    sys.addaudithook(steps.hook)


_install()
