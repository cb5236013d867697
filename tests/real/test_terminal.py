"""Interactive programs under a real terminal: the same with and without the prefix."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.e2e.bench import Bench
from tests.real import needs
from tests.real.terminal import Terminal
from tokenproxy.simulator.server import Simulator

CLI_PROMPT = "\N{HEAVY RIGHT-POINTING ANGLE QUOTATION MARK ORNAMENT}"
PREFIX = pytest.mark.parametrize("prefix", [False, True], ids=["plain", "prefixed"])


def words(bench: Bench, prefix: bool, *command: str) -> list[str]:
    return bench.argv("run", "--no-summary", "--", *command) if prefix else list(command)


@PREFIX
def test_less_searches_resizes_suspends_resumes_and_quits(
    bench: Bench, tmp_path: Path, prefix: bool
) -> None:
    text = tmp_path / "text"
    text.write_text("".join(f"line {number}\n" for number in range(1, 200)))
    with Terminal(tmp_path, bench.env) as term:
        term.run(words(bench, prefix, str(needs.program("less")), str(text)))
        term.wait_for("line 29")
        term.resize(80, 20)
        term.wait_gone("line 25")
        term.type("/line 150", enter=True)
        term.wait_for("line 150")
        term.key("C-z")
        term.wait_for("Stopped")
        term.type("fg")
        term.wait_for("line 150")
        term.key("C-c")  # less goes on; what is typed before it has reacted is discarded
        time.sleep(0.5)
        term.type("q", enter=False)
        term.wait_prompt()
        assert term.status_of_last() == 0


@PREFIX
def test_vim_edits_suspends_resumes_and_writes(bench: Bench, tmp_path: Path, prefix: bool) -> None:
    target = tmp_path / "edited"
    with Terminal(tmp_path, bench.env) as term:
        term.run(words(bench, prefix, str(needs.program("vim")), "-u", "NONE", str(target)))
        term.wait_for("~")
        term.type("ione", enter=True)
        term.key("Escape")
        term.key("C-z")
        term.wait_for("Stopped")
        term.type("fg")
        term.wait_for("one")
        term.type(":set lines?")
        term.wait_for("lines=30")
        term.resize(100, 24)
        term.type(":set lines?")
        term.wait_for("lines=24")
        term.type(":wq")
        term.wait_prompt()
        assert term.status_of_last() == 0
    assert target.read_text() == "one\n\n"


@PREFIX
def test_ctrl_c_ends_a_command_as_the_terminal_would(
    bench: Bench, tmp_path: Path, prefix: bool
) -> None:
    with Terminal(tmp_path, bench.env) as term:
        term.run(words(bench, prefix, "sh", "-c", "echo begun; exec sleep 100"))
        term.wait_for("begun\n")
        term.key("C-c")
        term.wait_prompt()
        assert term.status_of_last() == 130


@PREFIX
def test_the_claude_cli_talks_suspends_resumes_and_leaves(
    bench: Bench, claude: str, tmp_path: Path, prefix: bool
) -> None:
    """Its prompt, an answer, Ctrl-Z and fg, a resize, and Ctrl-C twice."""
    with Simulator("agent") as sim:
        bench.env["ANTHROPIC_BASE_URL"] = sim.url
        _accept_first_run_dialogs(bench)
        with Terminal(tmp_path, bench.env) as term:
            term.run(words(bench, prefix, claude))
            term.wait_for(CLI_PROMPT, 30)
            term.type("hello there", enter=False)
            term.wait_for("hello there")
            term.key("Enter")
            term.wait_for("Hello from the simulated model.", 30)
            term.resize(90, 28)
            term.wait_for("Hello from the simulated model.")
            term.key("C-z")
            term.wait_for("Stopped")
            term.resume("Hello from the simulated model.")
            term.key("C-c")
            term.wait_for("again to exit")
            term.key("C-c")
            term.wait_prompt()
            assert term.status_of_last() == 0
    if prefix:
        assert any(row["outcome"] == "complete" for row in bench.rows())


def _accept_first_run_dialogs(bench: Bench) -> None:
    """The CLI's own record of a first run that is behind it."""
    settings = {
        "hasCompletedOnboarding": True,
        "theme": "dark",
        "customApiKeyResponses": {"approved": ["sk-ant-test-000"[-20:]], "rejected": []},
        "projects": {
            str(place): {"hasTrustDialogAccepted": True} for place in (bench.root, bench.work)
        },
    }
    (bench.root / ".claude.json").write_text(json.dumps(settings))
