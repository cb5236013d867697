"""One ``tokenproxy run`` under attack: its command, its processes, the means to hit them."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec

from tests.e2e.bench import REPO, Bench
from tests.faults.upstream import WAIT_S, Upstream, wait_for

HERE = Path(__file__).parent
AGENT = (sys.executable, "-I", "-S", str(HERE / "agent.py"))


class Steps(msgspec.Struct, frozen=True):
    """Which process dies by itself, where and how: see ``steps/sitecustomize.py``."""

    who: str
    at: str
    how: str = "kill"

    def env(self, bench: Bench) -> dict[str, str]:
        """What tells a process of ``bench`` so."""
        return {
            "PYTHONPATH": f"{HERE / 'steps'}:{REPO}",
            "FAULTS_ROOT": str(bench.root),
            "FAULTS_LOG": str(bench.root / "steps.log"),
            "FAULTS_WHO": self.who,
            "FAULTS_AT": self.at,
            "FAULTS_HOW": self.how,
        }


class Run:
    """A run that has been started. Its command makes the calls that it is told to make.

    A ``patient`` one takes any number of a proxy's deaths. With a ``gateway`` (its base URL)
    there is only the command, and nothing of ours around it.
    """

    def __init__(
        self,
        bench: Bench,
        upstream: Upstream,
        *,
        forward: bool = False,
        patient: bool = True,
        gateway: str | None = None,
        steps: Steps | None = None,
        name: str = "call",
        numbers: itertools.count[int] | None = None,
    ) -> None:
        self.bench = bench
        self.upstream = upstream
        self.kills = 0
        self.stops = 0
        self.asked: list[str] = []
        self.answers: dict[str, dict[str, Any]] = {}
        """Call -> what the command has told of it so far."""
        self.command = 0
        """The command's pid."""
        self._name = name
        self._numbers = itertools.count(1) if numbers is None else numbers
        env = {**bench.env, **(steps.env(bench) if steps else {})}
        argv = [*AGENT]
        if gateway is None:
            way = ["--route", f"api.anthropic.com={upstream.sim.url}"] if forward else []
            program = "tests.faults.launcher" if patient else "tokenproxy"
            argv = [sys.executable, "-m", program, "run", *way, "--", *AGENT]
        if not forward:
            env["ANTHROPIC_BASE_URL"] = gateway or upstream.sim.url
        self.errors = bench.root / f"stderr-{time.monotonic_ns()}"
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                argv, env=env, cwd=bench.work, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=errors,
            )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            told = json.loads(line)
            if "pid" in told:
                self.command = told["pid"]
            if "id" in told:
                self.answers[told["id"]] = {**self.answers.get(told["id"], {}), **told}

    # -- calls --------------------------------------------------------------

    def ask(self, **order: object) -> str:
        """Have the command make a call; returns its id."""
        call = f"{self._name}-{next(self._numbers)}"
        self.asked.append(call)
        self._tell(id=call, **order)
        return call

    def told(self, call: str, key: str) -> Any:
        """What the command has told of a call; None if nothing yet."""
        return self.answers.get(call, {}).get(key)

    def done(self, call: str) -> dict[str, Any]:
        """Wait for a call's end, as the command sees it."""
        wait_for(lambda: self.told(call, "done"), f"{call} does not end: {self.answers.get(call)}")
        return self.answers[call]

    def one(self, **order: object) -> dict[str, Any]:
        """A call from its beginning to its end."""
        return self.done(self.ask(**order))

    def _tell(self, **order: object) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it is dead: so much the better
            self.process.stdin.write(json.dumps(order).encode() + b"\n")
            self.process.stdin.flush()

    # -- processes ----------------------------------------------------------

    def proxy(self) -> int:
        """The proxy process that lives now, waited for if none does at the moment."""
        wait_for(self._proxies, "no proxy")
        return next(iter(self._proxies()), 0) or self.proxy()

    def _proxies(self) -> list[int]:
        return proxies_of(self.process.pid)

    def hit(self, pid: int, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal, and count it."""
        self.kills += number in (signal.SIGKILL, signal.SIGTERM)
        self.stops += number == signal.SIGSTOP
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    def up(self) -> None:
        """Wait until the command runs."""
        wait_for(lambda: self.command, f"the command does not start: {self.said()}")

    def end(self, *, tell: bool = True) -> int:
        """Let the command end, if it lives and is not to end otherwise; the launcher's status."""
        if tell:
            self._tell(end=True)
        try:
            return self.process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise TimeoutError(f"the run does not end: {self.said()}") from None
        finally:
            self._reader.join(5)
            assert self.process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()

    def reap(self) -> None:
        """Leave nothing behind, whatever went wrong."""
        for pid in (*self._proxies(), self.command, self.process.pid):
            if pid and (pid == self.process.pid or alive(pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def said(self) -> str:
        """What the launcher has said on stderr."""
        return self.errors.read_text(encoding="utf-8", errors="replace")


def proxies_of(parent: int) -> list[int]:
    """The proxy processes that a process has started and that live."""
    try:
        listed = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    except OSError:
        return []
    return [pid for pid in map(int, listed.split()) if b"tokenproxy.proxy" in command_line(pid)]


def proxies_of_place(bench: Bench) -> list[int]:
    """Proxy processes of any run there, whoever is left of it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words, env = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
        except OSError:
            continue
        if b"tokenproxy.proxy" in words and os.fsencode(bench.state) in env:
            found.append(int(process.name))
    return found


def command_line(pid: int) -> bytes:
    """A process's words; none of one that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def alive(pid: int) -> bool:
    """Whether it runs (a zombie does not)."""
    return bool(command_line(pid))


def next_start(bench: Bench) -> None:
    """What any later start does: the dead runs' accounts are settled.

    A run's end waits a second for that and no longer, so a machine that does much else may
    need the second start.
    """
    for words in (("run", "--no-summary", "--", "true"), ("ledger", "recover")):
        ran = bench.tokenproxy(*words)
        if ran.returncode:
            raise AssertionError(f"{words}: {ran.stderr.decode(errors='replace')}")
