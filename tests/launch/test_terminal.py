"""Under a terminal with a job-controlling shell: as without the prefix."""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.launch.harness import SUBJECT, Launch, alive, stopped, until
from tests.launch.terminal import PROMPT, Terminal

COUNT = [*SUBJECT, "count"]


@pytest.fixture(params=["plain", "prefixed"])
def prefix(request: pytest.FixtureRequest, launch: Callable[..., Launch]) -> Sequence[str]:
    """Nothing, or us: every test here must show the same with both."""
    return launch(summary=False).argv if request.param == "prefixed" else []


@pytest.fixture
def term(launch: Callable[..., Launch]) -> Iterator[Terminal]:
    with Terminal(launch().environment()) as terminal:
        terminal.expect(PROMPT)
        yield terminal


def counting(term: Terminal) -> int:
    """The pid of the counting subject."""
    return int(term.expect(r"counting (\d+)\n")[1])


def counts(term: Terminal, pid: int) -> str:
    os.kill(pid, signal.SIGUSR2)
    return term.expect(r"(SIG\S+=\d+.*)\n")[1]


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_ctrl_c_comes_once(term: Terminal, prefix: Sequence[str]) -> None:
    term.run([*prefix, *COUNT, "SIGINT", "SIGQUIT"])
    pid = counting(term)
    for times in (1, 2, 3):
        term.key("\x03")
        until(lambda times=times: f"SIGINT={times} " in counts(term, pid))  # type: ignore[misc] # the loop's value
    term.key("\x1c")
    until(lambda: counts(term, pid) == "SIGINT=3 SIGQUIT=1")
    os.kill(pid, signal.SIGTERM)
    term.expect(PROMPT)


def test_ctrl_c_ends_it_with_130(term: Terminal, prefix: Sequence[str]) -> None:
    term.run([*prefix, "sh", "-c", "echo begun; exec sleep 100"])
    term.expect("begun\n")
    term.type("\x03")
    term.expect(PROMPT)
    term.type("echo status $?\n")
    term.expect("status 130\n")


def test_ctrl_c_ends_a_script_that_loops_over_it(term: Terminal, prefix: Sequence[str]) -> None:
    """A shell goes on after a program that exits with 130, but not after one that SIGINT ended."""
    script = 'for i in 1 2; do "$@"; done; echo survived'
    term.run(["bash", "-c", script, "x", *prefix, "sh", "-c", "echo begun; exec sleep 100"])
    term.expect("begun\n")
    term.type("\x03")
    term.expect(PROMPT)
    assert "survived" not in term.seen
    term.type("echo status $?\n")
    term.expect("status 130\n")


def test_ctrl_z_and_fg(term: Terminal, prefix: Sequence[str]) -> None:
    term.run([*prefix, *COUNT, "SIGINT", "SIGCONT"])
    pid = counting(term)
    for times in (1, 2):
        term.type("\x1a")
        term.expect(r"\[1\]\+ +Stopped")
        term.expect(PROMPT)
        assert stopped(pid)
        term.type("fg\n")
        until(lambda: not stopped(pid))
        until(lambda times=times: counts(term, pid) == f"SIGINT=0 SIGCONT={times}")  # type: ignore[misc] # the loop's value
    term.key("\x03")
    until(lambda: counts(term, pid) == "SIGINT=1 SIGCONT=2")
    os.kill(pid, signal.SIGTERM)
    term.expect(PROMPT)
    term.type("echo status $?\n")
    term.expect("status 0\n")


def test_a_command_that_handles_ctrl_z_is_not_stopped(
    term: Terminal, prefix: Sequence[str]
) -> None:
    term.run([*prefix, *COUNT, "SIGTSTP"])
    pid = counting(term)
    term.key("\x1a")
    until(lambda: counts(term, pid) == "SIGTSTP=1")
    os.kill(pid, signal.SIGTERM)
    term.expect(PROMPT)
    assert "Stopped" not in term.seen


@pytest.mark.parametrize("signal_name", ["STOP", "TSTP"])
def test_a_command_that_stops_itself(
    term: Terminal, prefix: Sequence[str], signal_name: str
) -> None:
    term.run([*prefix, "sh", "-c", f"echo begun; kill -{signal_name} $$; echo resumed; exit 5"])
    term.expect("begun\n")
    term.expect(r"\[1\]\+ +Stopped")
    term.type("fg\n")
    term.expect("resumed\n")
    term.expect(PROMPT)
    term.type("echo status $?\n")
    term.expect("status 5\n")


def test_a_pipeline_stops_and_resumes_as_one(term: Terminal, prefix: Sequence[str]) -> None:
    words = shlex.join([*prefix, "sh", "-c", "echo be''gun; exec cat"])
    term.type(f"cat | {words}\n")
    term.expect("begun\n")
    term.type("one\n")
    term.expect("one\none\n")
    term.type("\x1a")
    term.expect(r"\[1\]\+ +Stopped")
    term.expect(PROMPT)
    term.type("fg\n")
    term.expect("fg\n.*exec cat'\n")
    term.type("two\n")
    term.expect("two\ntwo\n")
    term.type("\x04")
    term.expect(PROMPT)


def test_in_the_background(term: Terminal, prefix: Sequence[str]) -> None:
    term.run([*prefix, *COUNT, "SIGINT"])
    pid = counting(term)
    term.type("\x1a")
    term.expect("Stopped")
    term.expect(PROMPT)
    term.type("bg\n")
    term.expect(PROMPT)
    until(lambda: not stopped(pid))
    term.key("\x03")  # for the shell, not for a job in the background
    term.expect(PROMPT)
    assert counts(term, pid) == "SIGINT=0"
    # Asked for its status: of a job that is gone before `wait`, the shell may not say "Done".
    term.type("kill %1; wait %1; echo status $?\n")
    term.expect("status 0\n")
    until(lambda: not alive(pid))


def test_reading_from_the_background_stops_it(term: Terminal, prefix: Sequence[str]) -> None:
    term.type(f"{shlex.join([*prefix, 'cat'])} &\n")
    term.expect(r"\[1\] \d+")

    def is_stopped() -> bool:
        term.type("jobs\n")
        state = term.expect(r"\[1\]\+ +(\w+)")[1]
        term.expect(PROMPT)
        return state == "Stopped"

    until(is_stopped)
    term.type("fg\n")
    term.expect("fg\n.*cat\n")
    term.type("typed\n")
    term.expect(r"typed\n(.*\n)*?typed\n")  # the terminal's echo, and the command's
    term.type("\x04")
    term.expect(PROMPT)


def test_a_resize_comes_once(term: Terminal, prefix: Sequence[str]) -> None:
    term.run([*prefix, *COUNT, "SIGWINCH"])
    pid = counting(term)
    for times, columns in ((1, 90), (2, 80)):
        term.resize(columns, 28)
        until(lambda want=f"SIGWINCH={times} size={columns}x28": counts(term, pid) == want)  # type: ignore[misc] # the loop's value
    os.kill(pid, signal.SIGTERM)
    term.expect(PROMPT)


def test_a_shell_within(term: Terminal, prefix: Sequence[str]) -> None:
    """One that takes the terminal for itself and has jobs of its own."""
    shell = ["bash", "--norc", "--noprofile", "--noediting", "-i"]
    term.run(["env", "PS1=inner>", *prefix, *shell])
    term.expect("inner>")
    term.run(["sh", "-c", "echo begun; exec cat"])
    term.expect("begun\n")
    term.key("\x1a")
    term.expect(r"\[1\]\+ +Stopped")
    term.expect("inner>")
    term.type("fg\n")
    term.expect("fg\n.*cat'\n")
    term.type("\x04")
    term.expect("inner>")
    term.type("exit 3\n")
    term.expect(PROMPT)
    term.type("echo status $?\n")
    term.expect("status 3\n")


def test_the_summary_of_a_background_job_is_printed_under_tostop(
    term: Terminal, launch: Callable[..., Launch]
) -> None:
    term.type("stty tostop\n")
    term.expect(PROMPT)
    term.type(f"{shlex.join([*launch().argv, 'true'])} &\n")
    term.expect(r"tokenproxy: 0 calls")


def test_a_hangup_reaches_a_command_whose_launcher_leads_the_session(
    launch: Callable[..., Launch], prefix: Sequence[str], tmp_path: Path
) -> None:
    """The kernel tells only the leader; without us that would be the command."""
    out = tmp_path / "out"
    script = 'exec "$@" > "$0"'
    argv = ["sh", "-c", script, str(out), *prefix, *COUNT, "SIGHUP"]
    with Terminal(launch().environment(), argv) as term:
        until(lambda: out.exists() and "counting" in out.read_text())
        pid = int(out.read_text().split()[1])
        term.hang_up()

        def count() -> str:
            os.kill(pid, signal.SIGUSR2)
            return out.read_text().splitlines()[-1]

        until(lambda: count() == "SIGHUP=1")
        os.kill(pid, signal.SIGTERM)
        until(lambda: not alive(pid))
