"""What the prefix costs: time to the command's start, of the whole, and of the end."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from benchmarks.peers.tokenproxy import environment, program
from benchmarks.traffic_run import Upstream


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """One start of each kind, in milliseconds."""

    telemetry: bool
    exec_ms: float
    """From the prefix' start to the command's own."""
    exit_ms: float
    """From the command's start, which is also its end, to the end of the prefix."""
    plain_exec_ms: float
    """To the command's start without the prefix."""
    true_ms: float
    """``true`` without the prefix."""
    run_true_ms: float
    """``tokenproxy run -- true``."""


def start_ups(upstream: Upstream, work: Path, rounds: int) -> list[Start]:
    """With and without telemetry, in turns."""
    work.mkdir()
    loud = environment(upstream, work)
    quiet = {name: value for name, value in loud.items() if not name.startswith("OTEL_")}
    _run_clock(
        [program(), "run", "--"], upstream, quiet, work
    )  # an installation's first checks itself
    return [
        _start(upstream, env, work, telemetry=env is loud)
        for _ in range(rounds)
        for env in (loud, quiet)
    ]


def _start(upstream: Upstream, env: Mapping[str, str], work: Path, *, telemetry: bool) -> Start:
    prefix = [program(), "run", "--no-summary", "--"]
    exec_ms, exit_ms = _run_clock(prefix, upstream, env, work)
    plain_exec_ms, _ = _run_clock([], upstream, env, work)
    return Start(
        telemetry=telemetry,
        exec_ms=exec_ms,
        exit_ms=exit_ms,
        plain_exec_ms=plain_exec_ms,
        true_ms=_run(["true"], env, work),
        run_true_ms=_run([*prefix, "true"], env, work),
    )


def _run_clock(
    prefix: list[str], upstream: Upstream, env: Mapping[str, str], work: Path
) -> tuple[float, float]:
    """Milliseconds to the start of a command, and from there to the end."""
    began = time.monotonic_ns()
    done = subprocess.run(
        [*prefix, upstream.program, "clock"],
        env=env, cwd=work, check=True, capture_output=True,
    )  # fmt: skip
    ended = time.monotonic_ns()
    started = int(done.stdout)
    return (started - began) / 1e6, (ended - started) / 1e6


def _run(command: list[str], env: Mapping[str, str], work: Path) -> float:
    began = time.monotonic_ns()
    subprocess.run(command, env=env, cwd=work, check=True, capture_output=True)
    return (time.monotonic_ns() - began) / 1e6
