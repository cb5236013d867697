"""Start a server, wait until it listens, stop it by its id."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

START_S = 60.0
STOP_S = 15.0


class Unavailable(Exception):  # noqa: N818 - a state of the machine, not a fault
    """A peer that cannot take part; the sentence says why and what to do."""


def free_port() -> int:
    """A port of loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A process that listens. Its output goes to ``NAME.log`` in its directory."""

    def __init__(
        self, name: str, command: Sequence[str], *, work: Path, env: Mapping[str, str]
    ) -> None:
        self.name = name
        self.log = work / f"{name}.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=work, env=dict(env), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_for_port(self, port: int, timeout_s: float = START_S) -> Self:
        """Return once it accepts on ``port``.

        Raises:
            Unavailable: It ended, or does not listen in time; with its last words.
        """
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return self
            time.sleep(0.02)
        words = " ".join(self.log.read_text(errors="replace")[-500:].split()).rstrip(".")
        self.stop()
        raise Unavailable(f"{self.name} does not start: {words}")

    def stop(self) -> None:
        """End it and wait for its end."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
