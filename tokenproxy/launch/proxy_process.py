"""The proxy process: started, spoken to, replaced when it dies.

It serves on the launcher's listening socket. One that dies is replaced by a new
generation on the same socket with the same orders; the new one settles the dead
one's journal itself. The line between us is newline-delimited JSON over a socket
pair: orders one way, answers the other.

It lives in a session of its own, so that nothing that the terminal or the user's
shell sends to the command's group reaches it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from tokenproxy.config import IterationEnd, ProxyConfig, Summary
from tokenproxy.launch import background

# -P: a module in the user's working directory must not pass for one of ours.
COMMAND = (sys.executable, "-P", "-m", "tokenproxy.proxy")
LOG_NAME = "proxy.log"
FIRST_TRIES = 2
"""Starts until it must have come up once."""
RESTARTS = 5
"""Deaths within ``WITHIN_S``, and starts in vain in a row, that are made good."""
WITHIN_S = 60.0
"""Older deaths are forgotten: one that dies once an hour serves a run of a day to its end."""
START_S = 30.0
"""Time for a start. It takes a fraction of a second, but where Python's files come over a network
much more."""


class Answer(msgspec.Struct, frozen=True):
    """One line from the proxy. Unknown keys are for a later version."""

    ready: bool = False
    fatal: str | None = None
    summary: Summary | None = None


class Proxy:
    """The proxy of one run, through all its generations."""

    def __init__(
        self,
        listener: socket.socket,
        run_dir: Path,
        env: Mapping[str, str],
        command: Sequence[str] = COMMAND,
        *,
        console_fd: int | None = None,
    ) -> None:
        self.pid = 0
        """Of the living process; 0 if there is none."""
        self.was_ready = False
        """Whether any generation came up."""
        self.summary: Summary | None = None
        self.failure: str | None = None
        """Why there will be no further generation; None while there may be."""
        self.deaths = 0
        """All of them, forgotten or not."""
        self.generation = 0
        self._command = command
        self.listener = listener
        self._run_dir = run_dir
        self._kept = () if console_fd is None else (console_fd,)
        self._env = env
        self._config: ProxyConfig | None = None
        self._child: int | None = None
        self._end: IterationEnd | None = None
        self._ready = False
        self._died: list[float] = []
        """When (``time.monotonic()``), within the last ``WITHIN_S``."""
        self._in_vain = 0
        """Generations in a row that did not come up. These are not forgotten: each may take
        ``START_S``, and meanwhile calls wait."""
        self._fatal: str | None = None
        self._deadline = 0.0
        self._control: socket.socket | None = None
        self._received = b""

    @property
    def log(self) -> Path:
        """What it wrote to its stdout and stderr, all generations."""
        return self._run_dir / LOG_NAME

    @property
    def deadline(self) -> float | None:
        """By when (``time.monotonic()``) it must be ready; None if it is, or is no more."""
        return self._deadline if self.pid and not self._ready else None

    def start(self) -> None:
        """Start the process. It imports what it needs and then waits for :meth:`configure`."""
        try:
            self._spawn()
        except OSError as error:
            self.failure = f"cannot start {self._command[0]}: {error.strerror}"

    def configure(self, config: ProxyConfig) -> None:
        """Give it its orders."""
        self._config = config
        self._send(msgspec.structs.replace(config, generation=self.generation))

    def command_started(self, pid: int) -> None:
        """Tell it the command's process: the one whose end is the run's if we are killed."""
        self._child = pid
        self._send({"child": pid})

    def finish(self, end: IterationEnd) -> None:
        """Tell it that the command has ended."""
        self._end = end
        self._send({"finish": end})

    def fileno(self) -> int | None:
        """Readable when it has answered; None when there is nothing to read from."""
        return self._control.fileno() if self._control is not None else None

    def read(self) -> None:
        """Take in its answers. Never blocks."""
        if self._control is None:
            return
        try:
            while received := self._control.recv(65536, socket.MSG_DONTWAIT):
                self._received += received
            self._hang_up()
        except BlockingIOError:
            pass
        except OSError:
            self._hang_up()
        *lines, self._received = self._received.split(b"\n")
        for line in lines:
            self._take(line)

    def exited(self, wait_status: int) -> None:
        """Its process has ended and been waited for: replace it, unless it was done."""
        self.read()
        self._hang_up()
        self.pid = 0
        if (self._end is not None and self.summary is not None) or self.failure is not None:
            return
        self.summary = None
        if self._given_up():
            self.failure = self._reason(wait_status)
            return
        self.generation += 1
        self.start()
        if self._config is not None:
            self.configure(self._config)
        if self._child is not None:
            self.command_started(self._child)
        if self._end is not None:
            self.finish(self._end)

    def _given_up(self) -> bool:
        """Count a death. Returns whether it was one too many."""
        now = time.monotonic()
        self.deaths += 1
        self._died = [*(at for at in self._died if now - at < WITHIN_S), now]
        self._in_vain = 0 if self._ready else self._in_vain + 1
        if not self.was_ready:
            return self._fatal is not None or self._in_vain >= FIRST_TRIES
        return max(len(self._died), self._in_vain) > RESTARTS

    def kill(self, failure: str | None = None) -> None:
        """End it at once. With ``failure`` it is not replaced."""
        if failure is not None:
            self.failure = self.failure or failure
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to settle its account and end; it is not replaced."""
        self.failure = self.failure or "stopped"
        if self.pid:
            os.kill(self.pid, signal.SIGTERM)

    def retire(self) -> None:
        """Ask it to take no more connections and to end when it has no more to do."""
        self.failure = self.failure or "stopped"
        self._send({"retire": True})

    def _spawn(self) -> None:
        ours, theirs = socket.socketpair()
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with theirs, os.fdopen(log, "wb"):
            self.pid = background.spawn(
                [*self._command, "--control-fd", str(theirs.fileno())],
                self._env,
                output=log,
                keep=(self.listener.fileno(), theirs.fileno(), *self._kept),
            )
        self._control = ours
        self._ready, self._fatal, self._received = False, None, b""
        self._deadline = time.monotonic() + START_S

    def _take(self, line: bytes) -> None:
        try:
            answer = msgspec.json.decode(line, type=Answer)
        except msgspec.MsgspecError:
            return  # not for us; its log has more
        if answer.ready:
            self._ready = self.was_ready = True
        if answer.fatal is not None:
            self._fatal = answer.fatal
        if answer.summary is not None:
            self.summary = answer.summary

    def _send(self, order: object) -> None:
        if self._control is not None:
            # One that is dead gets it again in its next generation.
            with contextlib.suppress(OSError):
                self._control.sendall(msgspec.json.encode(order) + b"\n")

    def _hang_up(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None

    def _reason(self, wait_status: int) -> str:
        """Why it ended, in words: its own, else its log's last, else its status."""
        if self._fatal is not None:
            return self._fatal
        with contextlib.suppress(OSError):
            lines = self.log.read_text(encoding="utf-8", errors="replace").split("\n")
            last = next((line.strip() for line in reversed(lines) if line.strip()), None)
            if last is not None:
                return last
        code = os.waitstatus_to_exitcode(wait_status)
        return f"killed by signal {-code}" if code < 0 else f"exit status {code}"
