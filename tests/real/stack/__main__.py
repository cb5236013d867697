"""``python -m tests.real.stack up|down``: the stack on its own ports, until it is stopped.

``make stack-up`` and ``make stack-down`` call it. It is the compose file's stack without
Grafana, for machines that run no containers. Data, logs and pids are in the cache.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from tests.real import needs
from tests.real.stack.service import HOST
from tests.real.stack.stack import Ports, Stack


def up(directory: Path) -> int:
    """Start all three; 1 if they run already or cannot start."""
    if running := _pids(directory):
        sys.stdout.write(f"It runs already ({_listed(running)}); make stack-down stops it.\n")
        return 1
    directory.mkdir(parents=True, exist_ok=True)
    stack = Stack(directory, Ports())
    try:
        for name, service in stack.services.items():
            service.start()
            (directory / f"{name}.pid").write_text(f"{service.pid}\n")
    except AssertionError as error:
        stack.stop()
        sys.stderr.write(f"{error}\n")
        return 1
    ports = stack.ports
    sys.stdout.write(f"Jaeger      http://{HOST}:{ports.jaeger}\n")
    sys.stdout.write(f"Prometheus  http://{HOST}:{ports.prometheus}\n")
    sys.stdout.write(f"Logs        {directory}\n")
    for name, value in stack.env.items():
        sys.stdout.write(f"export {name}={value}\n")
    return 0


def down(directory: Path, timeout_s: float = 30) -> int:
    """Stop what runs, senders first."""
    running = _pids(directory)
    if not running:
        sys.stdout.write("The stack does not run.\n")
    for name in reversed(Stack.NAMES):
        if name in running:
            os.kill(running[name], signal.SIGTERM)
            deadline = time.monotonic() + timeout_s
            while _runs(running[name], name) and time.monotonic() < deadline:
                time.sleep(0.05)
            (directory / f"{name}.pid").unlink()
    return 0


def _pids(directory: Path) -> dict[str, int]:
    """Program -> pid of those that run."""
    found = {name: directory / f"{name}.pid" for name in Stack.NAMES}
    pids = {name: int(path.read_text()) for name, path in found.items() if path.exists()}
    return {name: pid for name, pid in pids.items() if _runs(pid, name)}


def _runs(pid: int, name: str) -> bool:
    """Whether this pid is still the program's, and not another process' by now."""
    program = {"collector": "otelcol"}.get(name, name)
    try:
        return program in Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False


def _listed(pids: dict[str, int]) -> str:
    return ", ".join(f"{name} {pid}" for name, pid in pids.items())


if __name__ == "__main__":
    act = {"up": up, "down": down}.get(" ".join(sys.argv[1:]))
    if act is None:
        sys.stderr.write("usage: python -m tests.real.stack up|down\n")
        sys.exit(2)
    sys.exit(act(needs.cache() / "stack"))
