"""The quick way to read ``run``'s options comes to what Typer comes to, or leaves it to Typer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tokenproxy.cli import prefix
from tokenproxy.cli import run as run_module
from tokenproxy.cli.app import make_app

PLAIN: list[tuple[list[str], dict[str, str]]] = [
    (["--", "true"], {}),
    (["--", "a", "--", "-b", ""], {}),
    (["--story", "US-7", "--iteration=3", "--complexity", "5", "--", "true"], {}),
    (["--mode", "reverse", "--ledger", "--odd", "--no-summary", "--", "true"], {}),
    (["--fail-open", "--client-telemetry", "--inject-include-usage", "--", "true"], {}),
    (["--story=a=b", "--", "true"], {"TOKENPROXY_STORY_ID": "other"}),
    (["--label", "a=b", "--label=c=d=e", "--route", "h.example=http://u", "--", "true"], {}),
    (["--otel-spool", "a b", "--", "true"], {}),
    (["--", "true"], {"TOKENPROXY_OTEL_SPOOL": "/s"}),
    (["--label=", "--label", "-x", "--", "true"], {"TOKENPROXY_LABELS": "k=v"}),
    (["--", "true"], {"TOKENPROXY_STORY_ID": "é", "TOKENPROXY_ITERATION": "7"}),
    (
        ["--", "true"],
        {"TOKENPROXY_MODE": "forward", "TOKENPROXY_LEDGER": "/l", "TOKENPROXY_COMPLEXITY": ""},
    ),
]
OTHERS: list[tuple[list[str], dict[str, str]]] = [
    ([], {}),
    (["true"], {}),
    (["--"], {}),
    (["--help"], {}),
    (["-h", "--", "true"], {}),
    (["--story"], {}),
    (["--story", "--", "true"], {}),
    (["--story=", "--", "true"], {}),
    (["--story", "a", "--story", "b", "--", "true"], {}),
    (["--nonsense", "--", "true"], {}),
    (["--label", "--", "true"], {}),
    (["--iteration", "-1", "--", "true"], {}),
    (["--iteration", "٣", "--", "true"], {}),
    (["--iteration", "9" * 16, "--", "true"], {}),
    (["--mode", "none", "--", "true"], {}),
    (["--no-summary=1", "--", "true"], {}),
    (["--", "true"], {"TOKENPROXY_NO_SUMMARY": "1"}),
    (["--", "true"], {"TOKENPROXY_ITERATION": "x"}),
]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What was to be started."""
    found: list[dict[str, Any]] = []

    def start(**keywords: Any) -> int:
        found.append(keywords)
        return 0

    monkeypatch.setattr(prefix, "start", start)
    monkeypatch.setattr(run_module, "start", start)
    return found


@pytest.mark.parametrize(("words", "env"), PLAIN)
def test_plain_words_mean_what_they_mean_to_typer(
    started: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    env: dict[str, str],
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert prefix.quick(words) == 0
    make_app("run")(args=["run", *words], standalone_mode=False)
    ours, typers = started
    defaults = dict(prefix.start.__kwdefaults__ or {})
    said = {"story": "", "iteration": None, "complexity": 0, "mode": "auto", "ledger": None}
    said["capture_days"] = 7
    for keyword, value in typers.items():
        unsaid = said.get(keyword, defaults.get(keyword))
        assert (ours.get(keyword, unsaid) or None) == (value or None), keyword


@pytest.mark.parametrize(("words", "env"), OTHERS)
def test_all_else_is_left_to_typer(words: list[str], env: dict[str, str]) -> None:
    assert prefix.plain(words, env) is None


def test_what_is_wrong_with_the_command_is_said_as_ever(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOKENPROXY_STATE_DIR", str(tmp_path))
    assert prefix.quick(["--", "no-such-command"]) == 127
    assert "no-such-command: command not found" in capfd.readouterr().err


def test_typer_is_not_loaded_for_it() -> None:
    code = (
        "import sys; from tokenproxy.cli import prefix\n"
        "prefix.plain(['--', 'true'], {}); print('typer' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert ended.stdout == b"False\n"
