"""An interactive, job-controlling shell on a pseudo-terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shlex
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from tests.launch.harness import WAIT_S

PROMPT = "ready>"
# pty.fork() would go on in Python in the child of a process that may have threads.
LEAD = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""
"""What a session's leader does before it becomes ``argv``: the terminal is its own."""


class Terminal:
    """``with Terminal(env) as term``: bash, or ``argv`` as the session's leader."""

    def __init__(self, env: Mapping[str, str], argv: Sequence[str] = ()) -> None:
        shell = ["bash", "--norc", "--noprofile", "--noediting", "-i"]
        words = list(argv) or shell
        self.master, theirs = pty.openpty()
        self._leader = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", LEAD, *words],
            env={**env, "PS1": PROMPT, "TERM": "dumb"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self.pid = self._leader.pid
        self.seen = ""
        self.resize(100, 30)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.hang_up()
        self._leader.kill()
        self._leader.wait()

    def hang_up(self) -> None:
        if self.master >= 0:
            os.close(self.master)
            self.master = -1

    def run(self, words: Sequence[str]) -> None:
        """Have the shell run it."""
        self.type(shlex.join(words) + "\n")

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def key(self, control: str) -> None:
        """Press one, and wait for its echo: before it, the terminal throws its output away."""
        self.type(control)
        self.expect(re.escape("^" + chr(ord(control) + 64)))

    def resize(self, columns: int, lines: int) -> None:
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, size)

    def expect(self, pattern: str) -> re.Match[str]:
        """Wait until what came since the last match matches; forget it."""
        limit = time.monotonic() + WAIT_S
        while not (found := re.search(pattern, self.seen)):
            left = limit - time.monotonic()
            if left <= 0 or not select.select([self.master], [], [], left)[0]:
                raise AssertionError(f"no {pattern!r} in {self.seen!r}")
            self.seen += os.read(self.master, 65536).decode(errors="replace").replace("\r", "")
        self.seen = self.seen[found.end() :]
        return found
