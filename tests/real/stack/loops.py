"""Loops of short runs at once, as people have them: many iterations, one ledger, one collector."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.bench import Bench, reverse_curl
from tokenproxy.simulator.server import Simulator

MIXED_AGENT = Path(__file__).parents[2] / "e2e" / "mixed_agent.py"
PRINT = ("--output-format", "json", "--dangerously-skip-permissions")

Words = list[str]
Iteration = Callable[[int], tuple[Words, dict[str, str]]]
"""Number of the iteration -> the words after ``tokenproxy``, and variables for it."""


class Loops:
    """Four loops: the Claude CLI, an agent of many providers, curl, an agent that retries."""

    def __init__(self, bench: Bench, claude: str, env: dict[str, str]) -> None:
        """Prepare.

        Args:
            bench: The user whose loops these are.
            claude: The Claude CLI.
            env: Where telemetry goes.
        """
        self._bench = bench
        self._claude = claude
        self._env = env

    def run(self, claude: int, mixed: int, curl: int, agent: int) -> int:
        """Run each loop to this many iterations, all four at once; the number of runs."""
        with self._iterations() as (by_claude, by_mixed, by_curl, by_agent):
            loops = [(by_claude, claude), (by_mixed, mixed), (by_curl, curl), (by_agent, agent)]
            with ThreadPoolExecutor(len(loops)) as pool:
                list(pool.map(lambda loop: self._loop(*loop), loops))
        return claude + mixed + curl + agent

    def _loop(self, iteration: Iteration, count: int) -> None:
        for number in range(1, count + 1):
            words, env = iteration(number)
            done = self._bench.tokenproxy(
                "run", "--iteration", str(number), *words, env={**self._env, **env}, timeout_s=120
            )
            assert done.returncode == 0, done.stderr

    @contextmanager
    def _iterations(self) -> Iterator[tuple[Iteration, ...]]:
        with (
            Simulator("agent") as of_claude,
            Simulator("slow") as slow,
            Simulator("rate-limited-once") as limited,
            Simulator("stream") as plain,
            Simulator("demo") as demo,
        ):

            def by_claude(number: int) -> tuple[Words, dict[str, str]]:
                prompt = "USE_SUBAGENT please" if number % 4 == 0 else "hello"
                route = f"api.anthropic.com={of_claude.url}"
                words = ["--mode", "forward", "--route", route, "--story", "CLAUDE"]
                return [*words, "--", self._claude, "-p", prompt, *PRINT], {}

            def by_mixed(_number: int) -> tuple[Words, dict[str, str]]:
                routes = {
                    "api.anthropic.com": slow.url,
                    "api.openai.com": limited.url,
                    "generativelanguage.googleapis.com": limited.url,
                    "api.deepseek.com": f"{limited.url}/deepseek",
                }
                given = [word for at in routes.items() for word in ("--route", "=".join(at))]
                words = ["--mode", "forward", *given, "--story", "MIXED"]
                return [*words, "--", sys.executable, str(MIXED_AGENT)], {}

            def by_curl(number: int) -> tuple[Words, dict[str, str]]:
                words = ["--story", f"CURL-{number % 3}", "--", *reverse_curl()]
                return words, {"ANTHROPIC_BASE_URL": plain.url}

            def by_agent(_number: int) -> tuple[Words, dict[str, str]]:
                agent = [sys.executable, "-m", "tokenproxy.simulator.agent"]
                return ["--story", "AGENT", "--", *agent], {"ANTHROPIC_BASE_URL": demo.url}

            yield by_claude, by_mixed, by_curl, by_agent
