"""Bad input gets one clear sentence and a way out, exit code 2, no traceback."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.e2e.bench import Bench, reverse_curl


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
        ["run", "--ledger", "~nobody-of-this-name/x.jsonl", "--", "true"],
        ["run", "--client-telemetry", "--", "true"],
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


def test_a_ledger_that_is_no_file_is_refused_before_anything_runs(bench: Bench) -> None:
    fifo, dangling, loop = bench.root / "fifo", bench.root / "dangling", bench.root / "loop"
    os.mkfifo(fifo)
    dangling.symlink_to(bench.root / "nowhere" / "x")
    loop.symlink_to(loop)
    for ledger in (fifo, dangling, loop, bench.work, "/dev/full", "/dev/null", "/dev/stdout"):
        run = bench.tokenproxy("run", "--ledger", str(ledger), "--", "echo", "ran", timeout_s=10)
        assert (run.returncode, run.stdout) == (2, b""), ledger
        assert run.stderr.count(b"\n") == 1


def test_numbers_that_json_cannot_carry_are_refused(bench: Bench) -> None:
    for option in ("--iteration", "--complexity"):
        run = bench.tokenproxy("run", option, str(2**53), "--", "echo", "ran")
        assert (run.returncode, run.stdout) == (2, b"")


def test_a_directory_that_is_gone_does_not_stop_a_command(bench: Bench) -> None:
    command = " ".join([*bench.argv("run", "--", "echo"), "ran"])
    line = f"mkdir gone && cd gone && rmdir ../gone && {command}"
    run = subprocess.run(
        ["sh", "-c", line], env=bench.env, cwd=bench.work, capture_output=True, check=False
    )
    assert (run.returncode, run.stdout) == (0, b"ran\n"), run.stderr


@pytest.mark.parametrize("fail_open", [False, True])
def test_state_that_cannot_be_written(bench: Bench, fail_open: bool) -> None:
    """``--fail-open`` runs the command all the same, and says so; else it is not run."""
    bench.state.mkdir(mode=0o700)
    (bench.state / "runs").write_text("in the way")
    words = ["--fail-open"] if fail_open else []
    run = bench.tokenproxy("run", *words, "--", "echo", "ran")
    assert (run.returncode, run.stdout) == ((0, b"ran\n") if fail_open else (125, b""))
    assert run.stderr.count(b"\n") == 1
    assert b"Traceback" not in run.stderr
    assert (b"the command runs unobserved" in run.stderr) is fail_open


def test_nothing_known_is_not_said_as_nothing_used(bench: Bench) -> None:
    env = {"ANTHROPIC_BASE_URL": "http://127.0.0.1:9"}
    run = bench.tokenproxy("run", "--", *reverse_curl(), env=env)
    assert b"1 call (1 failed)" in run.stderr
    assert b"$" not in run.stderr.partition(b"tokenproxy:")[2]
