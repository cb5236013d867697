"""The command line in this process: fast, and its status and both streams at hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tokenproxy.cli.main import main


class Ended(NamedTuple):
    """What a command left."""

    status: int
    out: str
    err: str


type Cli = Callable[..., Ended]


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "provider_usage.jsonl"


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """``cli("report", "--json")`` in a directory and with a state of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOKENPROXY_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.delenv("TOKENPROXY_LEDGER", raising=False)

    def run(*words: str) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main(words)
        captured = capsys.readouterr()
        return Ended(int(ended.value.code or 0), captured.out, captured.err)

    return run
