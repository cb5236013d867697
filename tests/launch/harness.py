"""Runs `tokenproxy run` on a stub proxy, as its user's shell would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenproxy.launch import proven

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SUBJECT = (sys.executable, "-I", "-S", str(HERE / "subject.py"))
"""The wrapped command; `subject.py` tells what it can do."""
WAIT_S = 20.0
"""For what takes milliseconds, on a machine that does other things."""


class Launch:
    """One launcher's surroundings: state directory, stub, record of what the stub was told."""

    def __init__(self, home: Path, behaviour: Iterable[str] = (), **options: Any) -> None:
        self.home = home
        self.state = home / "state"
        self.record = home / "record.jsonl"
        stub = [sys.executable, "-S", str(HERE / "stub_proxy.py"), str(self.record), *behaviour]
        self.proxy: list[str] = stub
        self.options = {"ledger": str(home / "ledger.jsonl"), **options}

    @property
    def argv(self) -> list[str]:
        """What stands before the command."""
        given = json.dumps({"proxy": self.proxy, "options": self.options})
        return [sys.executable, "-m", "tests.launch.driver", given]

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return {
            **inherited,
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
            "TOKENPROXY_STATE_DIR": str(self.state),
            **(extra or {}),
        }

    def start(
        self, command: Sequence[str], env: Mapping[str, str] | None = None, **popen: Any
    ) -> subprocess.Popen[bytes]:
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(
            [*self.argv, *command], env=self.environment(env), **{**pipes, **popen}
        )

    def run(
        self, command: Sequence[str], env: Mapping[str, str] | None = None, **popen: Any
    ) -> subprocess.CompletedProcess[bytes]:
        data = popen.pop("input", None)
        with self.start(command, env, **popen) as process:
            out, err = process.communicate(data, timeout=WAIT_S)
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def prove(self) -> None:
        """As if the proxy had come up before: now the command starts with it at once."""
        self.state.mkdir(exist_ok=True)
        proven.remember(self.marker)

    @property
    def marker(self) -> Path:
        return proven.marker(self.state, self.proxy)

    def orders(self) -> list[dict[str, Any]]:
        """What the stub was told, and what it noted, in order."""
        try:
            return [json.loads(line) for line in self.record.read_text().splitlines()]
        except FileNotFoundError:
            return []

    def noted(self, key: str) -> list[Any]:
        return [order[key] for order in self.orders() if key in order]

    def run_dirs(self) -> list[Path]:
        return list((self.state / "runs").glob("*"))


def until(condition: Callable[[], object], what: str = "it", pause_s: float = 0.005) -> None:
    """Wait for it."""
    limit = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < limit, f"waited in vain for {what}"
        time.sleep(pause_s)


def alive(pid: int) -> bool:
    """Whether it runs (a zombie does not)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
