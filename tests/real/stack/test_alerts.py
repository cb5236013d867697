"""The alert rules in the real Prometheus' own checker, and the facts that they rest on."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.e2e.bench import Bench, wait_until
from tests.real.stack import grafana, otlp, programs
from tests.real.stack.stack import Stack
from tests.test_dashboard_files import expressions
from tokenproxy.simulator.server import Simulator

DOCKER = Path(__file__).parents[3] / "docker"
ALERTS = DOCKER / "alerts.yaml"
HOUR_S = 3600


@pytest.mark.parametrize(
    "words",
    [
        ("check", "config", "--lint=all", "--lint-fatal", "prometheus.yaml"),
        ("check", "rules", "--lint=all", "--lint-fatal", "alerts.yaml"),
        ("test", "rules", "alerts_test.yaml"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_promtool_is_content(words: tuple[str, ...]) -> None:
    said = subprocess.run(
        [programs.promtool(), *words], cwd=DOCKER, capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stdout + said.stderr


def test_promtool_finds_a_rule_that_does_not_fire(tmp_path: Path) -> None:
    """The tests of the rules can fail: with thrice the budget they do."""
    rules = ALERTS.read_text()
    assert rules.count("vector(50)") == 1
    (tmp_path / "alerts.yaml").write_text(rules.replace("vector(50)", "vector(150)"))
    tests = tmp_path / "alerts_test.yaml"
    tests.write_text((DOCKER / "alerts_test.yaml").read_text())
    said = subprocess.run(
        [programs.promtool(), "test", "rules", tests], capture_output=True, text=True, check=False
    )
    assert said.returncode != 0
    assert "TokenproxyBudgetSpent" in said.stdout + said.stderr


def test_the_collector_knows_all_its_metrics_that_are_asked_for() -> None:
    """Some totals begin to exist with the first loss: their names are looked for in the program."""
    program = programs.collector().read_bytes()
    asked = {
        name
        for path in (ALERTS, *grafana.DIRECTORY.glob("*.json"))
        for expression in expressions(path)
        for name in re.findall(r"otelcol_\w+", expression)
    }
    assert len(asked) > 10
    for name in asked:
        own = name.removesuffix("_total")
        for unit in ("_seconds", "_bytes"):
            own = own.removesuffix(unit)
        assert own.encode() in program, name


def test_prometheus_runs_the_rules(stack: Stack) -> None:
    stated = {
        rule.get("alert") or rule["record"]
        for group in yaml.safe_load(ALERTS.read_text())["groups"]
        for rule in group["rules"]
    }

    def rules() -> dict[str, str]:
        groups = stack.prometheus.api("rules")["groups"]
        return {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}

    wait_until(lambda: "unknown" not in rules().values(), 90, "rules were not evaluated")
    assert rules() == dict.fromkeys(stated, "ok")


def test_a_backend_that_is_away_keeps_the_queue_from_emptying(bench: Bench, stack: Stack) -> None:
    waiting = 'otelcol_exporter_queue_size{exporter="otlp_grpc/jaeger"}'
    stack.services["jaeger"].stop()
    with Simulator("plain") as sim:
        run = bench.tokenproxy(
            *("run", "--", sys.executable, "-m", "tokenproxy.simulator.agent"),
            env={**stack.env, "ANTHROPIC_BASE_URL": sim.url},
        )
    assert run.stderr
    wait_until(lambda: stack.prometheus.value(waiting) > 0, 60, "nothing waits")
    # Sent again and again, and never out of the queue.
    kept = f"min_over_time({waiting}[15s])"
    wait_until(lambda: stack.prometheus.value(kept) > 0, 60, "the queue was empty between")
    stack.services["jaeger"].start()
    # gRPC lets up to two minutes pass before it tries to connect again.
    wait_until(lambda: stack.prometheus.value(waiting) == 0, 240, "it still waits")


def test_what_was_held_back_for_most_of_a_day_still_counts(stack: Stack) -> None:
    now = time.time()
    assert otlp.send(f"{stack.prometheus.url}/api/v1/otlp", now) == 200
    assert otlp.send(f"{stack.prometheus.url}/api/v1/otlp", now - 23 * HOUR_S) == 200
    assert stack.prometheus.value(f"sum(sum_over_time({otlp.NAME}_total[24h]))") == 2
    # And all that comes in one request with what is too old is refused with it.
    assert otlp.send(f"{stack.prometheus.url}/api/v1/otlp", now + 1, now - 26 * HOUR_S) == 400
    assert stack.prometheus.value(f"sum(sum_over_time({otlp.NAME}_total[2d]))") == 2
