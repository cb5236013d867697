"""Bad input gets one clear sentence and a way out, exit code 2, no traceback."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.e2e.bench import Bench, reverse_curl
from tokenproxy.cli.app import COMMANDS


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
        ["run", "--story", "--", "true"],
        ["run", "--ledger", "--", "true"],
        ["no-such-command"],
        ["report", "--by", "colour"],
        ["report", "--since", "yesterweek"],
        ["show", "no-such-run"],
        ["show", "\udcff"],
        ["top", "--once", "--ledger", "no-such-file"],
        ["top", "--json", "--ledger", "no-such-file"],
        ["report", "--ledger", "no-such-file"],
        ["captured", "no-such-call"],
        ["otel", "replay", "no-such-directory", "--endpoint", "x"],
        ["serve", "--listen", "192.0.2.1:4040", "--allow-remote", "--no-token"],
        ["serve", "--ledger", "\udcff"],
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


READERS = (
    ["report"],
    ["show"],
    ["top", "--once"],
    ["statusline"],
    ["captured"],
    ["ledger", "verify"],
    ["ledger", "recover"],
    ["ledger", "export"],
    ["serve", "--listen", "127.0.0.1:0"],
    ["run", "--", "true"],
)


@pytest.mark.parametrize("words", READERS, ids=" ".join)
@pytest.mark.parametrize("place", ["/dev/null/state", "/proc/nowhere/state"])
def test_no_place_for_state_is_said_with_a_way_out(
    bench: Bench, words: list[str], place: str
) -> None:
    """As in a container whose home cannot be written to."""
    del bench.env["TOKENPROXY_LEDGER"]
    run = bench.tokenproxy(*words, env={"TOKENPROXY_STATE_DIR": place})
    assert (run.returncode, run.stdout) == (2, b"")
    assert run.stderr.count(b"\n") == 1
    assert b"no directory for state: " in run.stderr
    assert b"File exists" not in run.stderr, "what is in the way is no directory"
    assert b"; name one with TOKENPROXY_STATE_DIR" in run.stderr


def test_fail_open_needs_no_place_for_state(bench: Bench) -> None:
    env = {"TOKENPROXY_STATE_DIR": "/proc/nowhere/state"}
    run = bench.tokenproxy("run", "--fail-open", "--", "sh", "-c", "echo ran; exit 3", env=env)
    assert (run.returncode, run.stdout) == (3, b"ran\n")
    assert b"unobserved" in run.stderr
    missing = bench.tokenproxy("run", "--fail-open", "--", "no-such-command-here", env=env)
    assert missing.returncode == 127


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "--iteration", "x", "--", "true"], b"'x' is not a whole number"),
        (["run", "--story", "--", "true"], b"--story has no value"),
        (["serve", "--idle-timeout", "x"], b"'x' is not a number"),
        (
            ["serve", "--listen", "192.0.2.1:4040", "--allow-remote", "--no-token"],
            b"Cannot assign requested address; name an address of this machine\n",
        ),
    ],
)
def test_what_is_wrong_in_plain_words(bench: Bench, words: list[str], said: bytes) -> None:
    run = bench.tokenproxy(*words)
    assert run.returncode == 2
    assert said in run.stderr


def test_nothing_yet_is_said(bench: Bench) -> None:
    del bench.env["TOKENPROXY_LEDGER"]
    for words in (["report"], ["top", "--once"], ["ledger", "verify"], ["ledger", "ship"]):
        run = bench.tokenproxy(*words)
        assert run.returncode == 0, words
        assert run.stderr.count(b"\n") == 1
        assert b"no calls recorded yet" in run.stderr
    run = bench.tokenproxy("captured")
    assert (run.returncode, run.stdout) == (0, b"")
    assert b"nothing is captured" in run.stderr


def test_no_line_of_the_help_is_cut(bench: Bench) -> None:
    run = bench.tokenproxy("--help", env={"COLUMNS": "80"})
    for command in COMMANDS.values():
        assert f"  {command.help}\n" in run.stdout.decode()
