from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.insight.rows import Row, failed, legacy, row, write
from tests.insight.test_trace import at
from tokenproxy.insight.export import FIELDS, rows
from tokenproxy.insight.query import open_ledger


def export(tmp_path: Path, ledger: list[Row], *, per_iteration: bool) -> list[dict[str, Any]]:
    with open_ledger([write(tmp_path / "l.jsonl", ledger)]) as opened:
        return rows(opened, per_iteration=per_iteration)


def test_the_twelve_fields_of_each_call_in_their_order(tmp_path: Path) -> None:
    made = export(
        tmp_path, [row("b", timestamp=at(5)), legacy(timestamp=at(0))], per_iteration=False
    )
    assert made == [legacy(timestamp=at(0)), legacy(timestamp=at(5))]
    assert list(made[0]) == list(FIELDS[:12])


def test_an_iteration_is_the_sum_of_its_calls(tmp_path: Path) -> None:
    calls = [
        row("title", timestamp=at(0), model="claude-haiku-4-5", cost_usd=0.001, complexity=5),
        failed("refused", timestamp=at(1000)),
        row("again", timestamp=at(2000), fallback_used=True, latency_ms=500.5),
        row("next", run_id="another", iteration=4, timestamp=at(9000)),
    ]
    first, second = export(tmp_path, calls, per_iteration=True)
    assert first == {
        "timestamp": at(0),
        "story_id": "US-7",
        "iteration": 3,
        "provider": "anthropic",
        "model": "claude-opus-5-5",
        "complexity": 5,
        "input_tokens": 34_120,
        "output_tokens": 110,
        "cost_usd": 0.0155,
        "latency_ms": 2500.5,
        "success": True,
        "fallback_used": True,
    }
    assert (second["iteration"], second["latency_ms"]) == (4, 200)


def test_an_iteration_that_ended_in_failure_says_why(tmp_path: Path) -> None:
    calls = [failed("z", timestamp=at(0), error="first"), failed("a", timestamp=at(5))]
    (made,) = export(tmp_path, calls, per_iteration=True)
    assert (made["success"], made["error"]) == (False, "overloaded_error")
    assert "input_tokens" not in made
    assert "cost_usd" not in made


def test_a_success_after_a_failure_has_no_error(tmp_path: Path) -> None:
    calls = [failed("a", timestamp=at(0)), row("b", timestamp=at(50))]
    (made,) = export(tmp_path, calls, per_iteration=True)
    assert made["success"] is True
    assert "error" not in made


def test_a_cost_that_is_not_whole_is_not_stated(tmp_path: Path) -> None:
    (made,) = export(tmp_path, [row("a"), row("b", cost_usd=None)], per_iteration=True)
    assert made["input_tokens"] == 34_120
    assert "cost_usd" not in made


def test_rows_of_the_ancestor_are_iterations_already(tmp_path: Path) -> None:
    assert export(tmp_path, [legacy(), legacy()], per_iteration=True) == [legacy(), legacy()]


@pytest.mark.parametrize("per_iteration", [True, False])
def test_nothing_comes_of_nothing(tmp_path: Path, per_iteration: bool) -> None:
    assert export(tmp_path, [], per_iteration=per_iteration) == []


def test_the_providers_own_figure_is_the_cost(tmp_path: Path) -> None:
    calls = [
        row("a", provider_cost_usd=0.25),
        row("b", cost_usd=None, provider_cost_usd=0.5, model="dearest"),
    ]
    assert [made["cost_usd"] for made in export(tmp_path, calls, per_iteration=False)] == [
        0.25,
        0.5,
    ]
    (made,) = export(tmp_path, calls, per_iteration=True)
    assert (made["cost_usd"], made["model"]) == (0.75, "dearest")
