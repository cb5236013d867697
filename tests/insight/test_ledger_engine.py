"""A report reads only what it needs, and answers as if it had read everything."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.insight.rows import failed, legacy, row, write
from tokenproxy.insight import database
from tokenproxy.insight.ledger_engine import needed
from tokenproxy.insight.query import open_ledger
from tokenproxy.insight.question import DIMENSIONS, Choice, dimension
from tokenproxy.insight.report import make_report

PARTS = [
    {"model": "claude-haiku-4-5", "input_tokens": 5, "output_tokens": 2, "cost_usd": 0.25},
    {"model": "claude-opus-5-5", "input_tokens": 7, "output_tokens": 3, "cost_usd": 0.5},
]
LINES: list[Any] = [
    row("a", labels={"team": "x"}, parts=PARTS, provider_cost_usd=1.5),
    row("b", completeness="partial", outcome="lost", output_tokens=3),
    b"{torn\n",
    failed("c", agent_type="Explore"),
    row("b", story_id="US-9"),
    legacy(cost_usd=None),
    b'{"story_id": "v.5", "cost_usd": .060000}\n',
    # Rows for whoever asks for what they have; for all others lines that may be none.
    b'{"labels": {"team": "z"}}\n',
    b'{"timestamp": "no time"}\n',
    b'{"project": "shop"}\n',
    b'{"iteration": "third"}\n',
    b'{"else": 1}\n',
]
CHOICES = (
    Choice(),
    Choice(since=datetime(2026, 11, 22, tzinfo=UTC)),
    Choice(where=((dimension("model"), "claude-opus-5-5"),)),
    Choice(where=((dimension("label:team"), "x"),)),
)


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("name", [*DIMENSIONS[:-1], "label:team"])
def test_the_answer_does_not_depend_on_what_was_read(
    tmp_path: Path, name: str, choice: Choice
) -> None:
    path = write(tmp_path / "l.jsonl", LINES)
    by = [dimension(name)]
    with open_ledger([path]) as whole, open_ledger([path], needed(by, choice)) as part:
        assert part.kept < whole.kept | {"spent", "unpriced", "incomplete", "used", "fullness"}
        assert (part.rows, part.skipped) == (whole.rows, whole.skipped)
        assert part.rows == 8
        assert make_report(part, by, choice) == make_report(whole, by, choice)


def test_it_does_not_read_what_nobody_asks_for() -> None:
    assert "labels" not in needed([dimension("day")], Choice())
    assert "parts" not in needed([dimension("day")], Choice())
    assert "started" not in needed([dimension("story")], Choice())
    assert {"story_id", "spent"} <= needed([dimension("story")], Choice()).keys()


def test_a_question_that_needs_more_memory_gets_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "ASKING", "1MB")
    path = write(tmp_path / "l.jsonl", [row(str(number)) for number in range(5_000)])
    with open_ledger([path], needed([dimension("model")], Choice())) as ledger:
        made = make_report(ledger, [dimension("model")])
    assert (made.total.calls, made.total.cost_usd) == (5_000, 72.5)
