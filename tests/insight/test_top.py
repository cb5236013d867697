from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.insight.rows import failed, row, write
from tokenproxy.insight import top as module
from tokenproxy.insight.terminal import open_console
from tokenproxy.insight.top import Top

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def text(top: Top, width: int = 120) -> str:
    out = io.StringIO()
    console = open_console(out)
    console.width = width
    console.print(top.render("utf-8", width))
    return out.getvalue()


def test_totals_and_the_latest_follow_the_ledger(tmp_path: Path) -> None:
    part = row("a", completeness="partial", output_tokens=3)
    path = write(tmp_path / "l.jsonl", [part, failed("b", story_id="US-8", agent_type="Explore")])
    top = Top(path, UTC)
    assert top.look(NOW)
    assert not top.look(NOW)
    with path.open("ab") as file:
        file.write(json.dumps(row("a")).encode() + b"\n")
    assert top.look(NOW)
    made = top.as_json()
    assert (made["total"]["calls"], made["total"]["output_tokens"]) == (2, 55)
    assert (made["total"]["failed"], made["total"]["incomplete"]) == (1, 0)
    assert list(made["story"]) == ["US-7", "US-8"]
    assert list(made["agent"]) == ["main", "Explore"]
    assert [call["call_id"] for call in made["latest"]] == ["a", "b"]
    assert "claude-opus-5-5" in text(top)
    assert "00:54:55" in text(top)


def test_yesterdays_calls_are_latest_but_not_todays(tmp_path: Path) -> None:
    path = write(tmp_path / "l.jsonl", [row("a")])
    top = Top(path, UTC)
    top.look(NOW)
    assert top.look(NOW + timedelta(days=1))
    assert top.total.calls == 0
    assert len(top.latest) == 1


def test_a_first_look_at_a_large_ledger_tells_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_BYTES", 2000)
    top = Top(write(tmp_path / "l.jsonl", [row(str(n)) for n in range(50)]), UTC)
    top.look(NOW)
    assert "≥51.2k" in text(top)


def test_names_have_no_power_over_the_terminal(tmp_path: Path) -> None:
    top = Top(write(tmp_path / "l.jsonl", [row("a", model="\x1b[2J", story_id="[red]x")]), UTC)
    top.look(NOW)
    assert "\x1b" not in text(top)
    assert "[red]x" in text(top)


def test_before_the_first_run(tmp_path: Path) -> None:
    top = Top(tmp_path / "none.jsonl", UTC)
    top.look(NOW)
    assert top.as_json()["total"]["calls"] == 0


@pytest.mark.parametrize("width", [80, 100, 200])
def test_numbers_are_whole_on_a_usual_terminal_and_names_give_way(
    tmp_path: Path, width: int
) -> None:
    story = "a-story-with-a-long-name-" * 3
    path = write(tmp_path / "l.jsonl", [row("a", story_id=story, latency_ms=211.4)])
    top = Top(path, UTC)
    top.look(NOW)
    latest = text(top, width).partition("Latest")[2].splitlines()
    assert all(len(line.rstrip()) <= width for line in latest)
    assert latest[1].split()[0] == "00:54:55"
    assert latest[1].split()[-4:] == ["$0.0145", "211", "ms", "complete"]
    assert (story in latest[1]) == (width == 200)


@pytest.mark.parametrize("width", [20, 30, 40, 60, 80, 200])
def test_a_narrow_terminal_keeps_the_cost_whole(tmp_path: Path, width: int) -> None:
    rows = [row("a", model="a-model-with-a-very-long-name-indeed", cost_usd=1234.5678)]
    top = Top(write(tmp_path / "l.jsonl", [*rows, failed("b", story_id="a-story")]), UTC)
    top.look(NOW)
    lines = text(top, width).splitlines()
    assert max(map(len, lines)) <= width
    assert sum("$1,234.57" in line or "$1234.57" in line for line in lines) >= 4
    if width >= 40:
        assert any(line.startswith("Today by model") and "Calls" in line for line in lines)
    if width >= 80:
        assert all(name in text(top, width) for name in ("Failed", "Input", "Output", "Outcome"))
