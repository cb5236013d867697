"""Loops of short runs at once, as people have them: many iterations, one ledger, one collector."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.bench import Bench, reverse_curl
from tokenproxy.simulator.server import Simulator

MIXED_AGENT = Path(__file__).parents[2] / "e2e" / "mixed_agent.py"
PRINT = ("--output-format", "json", "--dangerously-skip-permissions")


@dataclass(frozen=True)
class Iteration:
    """What a loop does once: ``tokenproxy run --story STORY options -- command``."""

    story: str
    command: list[str]
    options: list[str] = field(default_factory=list)
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """A run that is over, and what tokenproxy said at its end."""

    story: str
    iteration: int
    stderr: str


Maker = Callable[[int], Iteration]
"""Number of the iteration, from 1 -> the iteration."""


class Loops:
    """Up to four: the Claude CLI, an agent of many providers, curl, an agent that retries."""

    def __init__(self, bench: Bench, env: Mapping[str, str], *, claude: str = "") -> None:
        """Prepare.

        Args:
            bench: The user whose loops these are.
            env: Where telemetry goes.
            claude: The Claude CLI, if there is a loop of it.
        """
        self._bench = bench
        self._env = dict(env)
        self._claude = claude

    def run(self, *, claude: int = 0, mixed: int = 0, curl: int = 0, agent: int = 0) -> list[Run]:
        """Run each loop to this many iterations, all at once; the runs, loop by loop."""
        with self._makers() as makers, ThreadPoolExecutor(len(makers)) as pool:
            counts = (claude, mixed, curl, agent)
            return [run for loop in pool.map(self._loop, makers, counts) for run in loop]

    def _loop(self, make: Maker, count: int) -> list[Run]:
        return [self._run(number, make(number)) for number in range(1, count + 1)]

    def _run(self, number: int, what: Iteration) -> Run:
        done = self._bench.tokenproxy(
            *("run", "--story", what.story, "--iteration", str(number), *what.options),
            *("--", *what.command),
            env={**self._env, **what.env},
            timeout_s=120,
        )
        assert done.returncode == 0, done.stderr
        return Run(what.story, number, done.stderr.decode())

    @contextmanager
    def _makers(self) -> Iterator[tuple[Maker, ...]]:
        with (
            Simulator("agent") as of_claude,
            Simulator("slow") as slow,
            Simulator("rate-limited-once") as limited,
            Simulator("stream") as plain,
            Simulator("demo") as demo,
        ):
            routes = {
                "api.anthropic.com": slow.url,
                "api.openai.com": limited.url,
                "generativelanguage.googleapis.com": limited.url,
                "api.deepseek.com": f"{limited.url}/deepseek",
            }

            def by_claude(number: int) -> Iteration:
                prompt = "USE_SUBAGENT please" if number % 4 == 0 else "hello"
                command = [self._claude, "-p", prompt, *PRINT]
                return Iteration("CLAUDE", command, _forward({"api.anthropic.com": of_claude.url}))

            def by_mixed(_number: int) -> Iteration:
                return Iteration("MIXED", [sys.executable, str(MIXED_AGENT)], _forward(routes))

            def by_curl(number: int) -> Iteration:
                env = {"ANTHROPIC_BASE_URL": plain.url}
                return Iteration(f"CURL-{number % 3}", reverse_curl(), env=env)

            def by_agent(_number: int) -> Iteration:
                command = [sys.executable, "-m", "tokenproxy.simulator.agent"]
                return Iteration("AGENT", command, env={"ANTHROPIC_BASE_URL": demo.url})

            yield by_claude, by_mixed, by_curl, by_agent


def _forward(routes: Mapping[str, str]) -> list[str]:
    given = [word for host, url in routes.items() for word in ("--route", f"{host}={url}")]
    return ["--mode", "forward", *given]
