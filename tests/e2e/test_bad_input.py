"""Bad input gets one clear sentence and a way out, exit code 2, no traceback."""

from __future__ import annotations

import pytest

from tests.e2e.bench import Bench


@pytest.mark.parametrize(
    "words",
    [
        ["run"],
        ["run", "--"],
        ["run", "--no-such-option", "--", "true"],
        ["run", "--mode", "sideways", "--", "true"],
        ["run", "--route", "api.anthropic.com", "--", "true"],
        ["run", "--route", "api.anthropic.com=ftp://x", "--", "true"],
        ["run", "--route", "=http://x", "--", "true"],
        ["run", "--route", "api.anthropic.com=http://", "--", "true"],
        ["run", "--iteration", "many", "--", "true"],
        ["run", "--label", "novalue", "--", "true"],
        ["run", "--ledger", "/proc/nowhere/x.jsonl", "--", "true"],
        ["no-such-command"],
        ["report", "--by", "colour"],
        ["report", "--since", "yesterweek"],
        ["show", "no-such-run"],
    ],
)
def test_exit_2_and_a_sentence(bench: Bench, words: list[str]) -> None:
    marker = bench.work / "ran"
    if words[-1] == "true":
        words = [*words[:-1], "touch", str(marker)]
    run = bench.tokenproxy(*words)
    assert run.returncode == 2, (run.stdout, run.stderr)
    assert run.stdout == b""
    assert b"Traceback" not in run.stderr
    assert 10 < len(run.stderr) < 1200
    assert not marker.exists()


def test_a_variable_is_checked_like_its_option(bench: Bench) -> None:
    run = bench.tokenproxy("run", "--", "true", env={"TOKENPROXY_ROUTES": "nonsense"})
    assert run.returncode == 2
    assert b"Traceback" not in run.stderr


def test_command_not_found(bench: Bench) -> None:
    run = bench.tokenproxy("run", "--", "no-such-command-here")
    assert run.returncode == 127
    assert run.stderr.count(b"\n") == 1
    assert b"no-such-command-here" in run.stderr


def test_command_not_executable(bench: Bench) -> None:
    plain = bench.work / "plain.txt"
    plain.write_text("not a program")
    run = bench.tokenproxy("run", "--", str(plain))
    assert run.returncode == 126
    assert run.stderr.count(b"\n") == 1


def test_a_read_only_ledger_directory_is_said_before_anything_runs(bench: Bench) -> None:
    blocked = bench.root / "file"
    blocked.write_text("in the way")
    run = bench.tokenproxy("run", "--ledger", str(blocked / "x.jsonl"), "--", "echo", "ran")
    assert run.returncode == 2
    assert run.stdout == b""
