"""All that a dashboard has a panel for: runs that succeed, stream, fail, retry, fall back, are
cut, killed, unpriced, of several stories, providers and models, in both dialects."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.e2e.bench import BODY, Bench, curl, proxy_of, reverse_curl, wait_until
from tests.real.stack.loops import MIXED_AGENT
from tokenproxy.simulator.server import Simulator

AGENT = [sys.executable, "-m", "tokenproxy.simulator.agent"]
UNKNOWN_MODEL = "mystery-1"
ODD_STORY = "ST 3 (odd+name.)"
"""A story whose name is no regular expression for itself."""


@dataclass
class Traffic:
    """What was run, for comparison with what is shown."""

    iterations: dict[str, int] = field(default_factory=dict)
    """Exit status -> runs that were seen to their end."""
    by_story: dict[str, int] = field(default_factory=dict)
    """Story -> the same."""
    lost: int = 0
    """Runs whose end nobody saw."""
    passed: int = 0
    """Requests that were no calls."""


APART_S = 6.0
"""Between the first runs and the others: a range that is cut has to have some on both sides."""


def make(bench: Bench, env: Mapping[str, str]) -> Traffic:
    """Run it all; telemetry goes where ``env`` says."""
    done = Traffic()

    def run(
        story: str,
        command: Sequence[str],
        *options: str,
        status: int = 0,
        **more: str,
    ) -> None:
        words = ["run", *(("--story", story) if story else ()), *options, "--", *command]
        over = bench.tokenproxy(*words, env={**env, **more})
        assert over.returncode == status, over.stderr
        assert b"telemetry: the collector" not in over.stderr, over.stderr
        done.iterations[str(status)] = done.iterations.get(str(status), 0) + 1
        done.by_story[story] = done.by_story.get(story, 0) + 1

    def asked(scenario: str, story: str, command: Sequence[str], status: int = 0) -> None:
        with Simulator(scenario) as sim:
            run(story, command, status=status, ANTHROPIC_BASE_URL=sim.url)

    for _ in range(2):
        asked("demo", "ST-1", AGENT)
    time.sleep(APART_S)
    _mixed(run)
    asked("cut-fin", "ST-2", reverse_curl(), status=18)
    asked("rate-limited", ODD_STORY, reverse_curl("--fail"), status=22)
    asked("fallback", ODD_STORY, reverse_curl())
    asked("malformed-stream", "ST-2", [*reverse_curl()[:2], f"{reverse_curl()[2]}; true"])
    asked("stream", "", reverse_curl())
    with Simulator("stream") as sim:
        unknown = curl(
            "https://api.anthropic.com/v1/messages", body={**BODY, "model": UNKNOWN_MODEL}
        )
        route = ("--mode", "forward", "--route", f"api.anthropic.com={sim.url}")
        run("ST-1", unknown, *route)
        run("ST-1", ["curl", "-sS", "https://api.anthropic.com/v1/organizations/x"], *route)
        done.passed += 1
        untold = curl(
            "https://api.openai.com/v1/chat/completions",
            body={**BODY, "model": "gpt-6-sol", "stream": True},
        )
        run("ST-2", untold, "--mode", "forward", "--route", f"api.openai.com={sim.url}")
    with Simulator("stream") as sim:
        run(
            "ST-1",
            reverse_curl(),
            ANTHROPIC_BASE_URL=sim.url,
            OTEL_SEMCONV_STABILITY_OPT_IN="gen_ai_latest_experimental",
        )
    _lost(bench, env)
    done.lost += 1
    # Finds the killed run and tells of its call, for which the end of a run alone may be short.
    run("ST-1", ["sleep", "1"])
    return done


def _mixed(run: Callable[..., None]) -> None:
    """Four providers in one iteration, one call aborted, one refused and repeated."""
    with Simulator("slow") as claude, Simulator("rate-limited-once") as rest:
        run(
            "ST-2",
            [sys.executable, str(MIXED_AGENT)],
            *("--mode", "forward"),
            *("--route", f"api.anthropic.com={claude.url}"),
            *("--route", f"api.openai.com={rest.url}"),
            *("--route", f"generativelanguage.googleapis.com={rest.url}"),
            *("--route", f"api.deepseek.com={rest.url}/deepseek"),
        )


def _lost(bench: Bench, env: Mapping[str, str]) -> None:
    """Kill a run and its proxy in the middle of an answer."""
    with Simulator("stall") as sim:
        run = bench.start(
            *("run", "--story", "ST-2", "--", *reverse_curl()),
            env={**env, "ANTHROPIC_BASE_URL": sim.url},
        )
        proxy = proxy_of(run)
        wait_until(lambda: sim.calls and sim.calls[0].known, 30, "no call")
        wait_until(
            lambda: any(b'"usage"' in path.read_bytes() for path in bench.journals()),
            30,
            "usage was not journaled",
        )
        run.kill()
        proxy.kill()
        run.communicate(timeout=30)
