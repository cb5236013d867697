from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli
from tests.insight.rows import Row, row, write

USED = "17.1k in 55 out $0.0145"


def now(**changes: Any) -> Row:
    return row(timestamp=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}.000Z", **changes)


@pytest.fixture(autouse=True)
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.FileIO(os.dup(nothing.fileno()))))


def tell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, told: object) -> None:
    """Claude Code's JSON on stdin."""
    path = tmp_path / "stdin"
    path.write_text(json.dumps(told))
    monkeypatch.setattr(sys, "stdin", path.open())


def test_the_last_run_and_today(cli: Cli, ledger: Path) -> None:
    write(ledger, [now()])
    for words in (["--ledger", str(ledger)], ["--utc", "--ledger", str(ledger)]):
        ended = cli("statusline", *words)
        assert ended == (0, f"run {USED} · today {USED}\n", "")


def test_the_session_that_claude_code_tells(
    cli: Cli, ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(ledger, [now(session_id="s")])
    tell(monkeypatch, tmp_path, {"session_id": "s", "model": {"display_name": "Opus"}})
    assert cli("statusline", "--ledger", str(ledger)).out == f"Opus · {USED} · today {USED}\n"
    tell(monkeypatch, tmp_path, {"session_id": "s"})
    made = json.loads(cli("statusline", "--json", "--ledger", str(ledger)).out)
    assert made["session"]["input_tokens"] == 17_060


def test_typer_and_the_quick_way_say_the_same(cli: Cli, ledger: Path) -> None:
    write(ledger, [now()])
    said = [
        cli("statusline", *words).out
        for words in ([f"--ledger={ledger}"], ["--ledger", str(ledger)])
    ]
    assert said[0] == said[1] != ""


def test_before_the_first_run(cli: Cli) -> None:
    assert cli("statusline") == (0, "today 0 in 0 out $0.00\n", "")


@pytest.mark.parametrize("words", [["--nonsense"], ["--ledger"], ["more"]])
def test_wrong_words(cli: Cli, words: list[str]) -> None:
    ended = cli("statusline", *words)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("tokenproxy: ")


def test_a_ledger_that_is_none(cli: Cli, tmp_path: Path) -> None:
    ended = cli("statusline", "--ledger", str(tmp_path))
    assert (ended.status, ended.err) == (
        2,
        f"tokenproxy: the ledger {tmp_path} is not a regular file\n",
    )


def test_it_loads_nothing_that_a_prompt_would_wait_for() -> None:
    code = (
        "import sys; from tokenproxy.cli.prompt import quick; assert quick([])\n"
        "print([n for n in ('typer', 'rich', 'duckdb') if n in sys.modules],"
        " file=sys.stderr)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert ended.stderr == "[]\n"
