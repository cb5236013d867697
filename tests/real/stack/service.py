"""A real program as a service on loopback: started, asked whether it is ready, stopped by pid."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

HOST = "127.0.0.1"
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def free_ports(count: int) -> list[int]:
    """As many TCP ports of loopback that nobody listens on, all different."""
    sockets = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = [held.getsockname()[1] for held in sockets]
    for held in sockets:
        held.close()
    return ports


def get(url: str, timeout_s: float = 30) -> bytes:
    """The body of what is at ``url``; no proxy of the environment is asked.

    Raises:
        urllib.error.URLError: it cannot be had; HTTPError if the answer is not a 2xx.
    """
    with _OPENER.open(url, timeout=timeout_s) as answer:
        body: bytes = answer.read()
        return body


class Service:
    """A program that serves until it is stopped. What it says goes to ``log``."""

    def __init__(
        self, argv: Sequence[str | Path], *, env: Mapping[str, str], log: Path, ready: str
    ) -> None:
        """Prepare.

        Args:
            argv: The program and its arguments.
            env: Its whole environment.
            log: File that gets its standard output and error; starts add to it.
            ready: URL that answers with a 2xx once it can be used.
        """
        self._argv = [str(word) for word in argv]
        self._env = dict(env)
        self._log = log
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None
        return self._process.pid

    def start(self, timeout_s: float = 60) -> None:
        """Start, and return once it is ready."""
        assert self._process is None
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._argv, env=self._env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + timeout_s
        while not self._is_ready():
            assert self._process.poll() is None, f"{self._argv[0]} ended:\n{self.said()[-4000:]}"
            assert time.monotonic() < deadline, f"{self._argv[0]} not ready:\n{self.said()[-4000:]}"
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGTERM, timeout_s: float = 30) -> None:
        """End it and wait for its end; nothing if it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"{self._argv[0]} did not end by {how.name}") from None

    def kill(self) -> None:
        """SIGKILL: it gets no chance to put anything away."""
        self.stop(signal.SIGKILL)

    def said(self) -> str:
        """All that it wrote."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def _is_ready(self) -> bool:
        try:
            get(self._ready, timeout_s=2)
        except OSError:
            return False
        return True
