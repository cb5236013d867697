"""The shipped configuration in the real programs: accepted, and nothing about it is deprecated."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.bench import Bench
from tests.real.stack import programs
from tests.real.stack.accounts import await_telemetry
from tests.real.stack.loops import Loops
from tests.real.stack.stack import ROOT, Stack

OLD_NAMES = re.compile(r"(?im)^.*\b(deprecat|alias|legacy .* format|will be removed).*$")


def validate(program: Path, config: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, "validate", f"--config={config}"], capture_output=True, text=True, check=False
    )


def test_the_collector_accepts_its_file(tmp_path: Path) -> None:
    done = validate(programs.collector(), ROOT / "otel-collector.yaml")
    assert done.returncode == 0, done.stderr
    assert not OLD_NAMES.search(done.stderr)
    broken = tmp_path / "broken.yaml"
    text = (ROOT / "otel-collector.yaml").read_text()
    broken.write_text(text.replace("memory_limiter:\n", "memory_limited:\n", 1))
    assert validate(programs.collector(), broken).returncode != 0


def test_jaeger_accepts_its_file() -> None:
    done = validate(programs.jaeger(), ROOT / "docker/jaeger.yaml")
    assert done.returncode == 0, done.stderr


def test_prometheus_accepts_its_file() -> None:
    done = subprocess.run(
        [programs.promtool(), "check", "config", ROOT / "docker/prometheus.yaml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_nothing_is_deprecated_and_nothing_fails_while_it_runs(bench: Bench, stack: Stack) -> None:
    assert not Loops(bench, stack.env).run(curl=1, agent=1)[0].stderr.count("telemetry:")
    await_telemetry(stack, bench.rows())
    for name, service in stack.services.items():
        service.stop()
        said = service.said()
        assert said, name
        assert not OLD_NAMES.search(said), OLD_NAMES.search(said)
        # Jaeger says that its pages are not built in; that is a warning.
        wrong = [line for line in said.splitlines() if re.search(r"\terror\t|level=ERROR", line)]
        assert not wrong, wrong


@pytest.mark.parametrize("line", ["warn\t`otlphttp` alias is deprecated; use `otlp_http`"])
def test_an_old_name_would_be_seen(line: str) -> None:
    assert OLD_NAMES.search(line)
