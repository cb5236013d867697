"""In a process of its own: it forks, and signals its whole group."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.launch.harness import ROOT, WAIT_S, alive, until

PROLOGUE = """
import os, signal, sys, time
from tokenproxy.launch.witness import Witness
os.setpgid(0, 0)
INT, TERM, TSTP, CONT = signal.SIGINT, signal.SIGTERM, signal.SIGTSTP, signal.SIGCONT
witness = Witness()
witness.start()
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
def group(number): os.killpg(0, number)
"""


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROLOGUE + code],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
        text=True,
        timeout=WAIT_S,
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("code", "seen"),
    [
        ("group(INT); print(witness.saw({INT}))", {"SIGINT"}),
        ("print(witness.saw({INT}))", set()),
        ("group(INT); print(witness.saw({INT, TERM}))", {"SIGINT"}),
        ("group(INT); witness.saw({INT}); print(witness.saw({INT}))", set()),
        # It has one already that comes to us only afterwards.
        ("group(INT); group(TERM); witness.saw({INT}); print(witness.saw({TERM}))", {"SIGTERM"}),
        ("group(TERM); witness.saw({INT}); time.sleep(0.6); print(witness.saw({TERM}))", set()),
        ("group(TERM); witness.saw({INT}); witness.forget({TERM}); print(witness.saw({TERM}))", set()),  # noqa: E501 - one case a line
        # Stop and continue cancel each other.
        ("group(TSTP); group(CONT); print(witness.saw({TSTP, CONT}))", {"SIGTSTP", "SIGCONT"}),
        ("group(CONT); group(TSTP); print(witness.saw({CONT}))", {"SIGCONT"}),
    ],
)  # fmt: skip
def test_what_it_saw(code: str, seen: set[str]) -> None:
    text = run(code.replace("print(", "print(*(signal.Signals(n).name for n in ") + ")")
    assert set(text.split()) == seen


def test_ignored_signals_are_seen_too() -> None:
    code = "group(signal.SIGWINCH); print(witness.saw({signal.SIGWINCH}) == {signal.SIGWINCH})"
    assert run(code) == "True"


def test_it_ends_with_us() -> None:
    pid = int(run("print(witness.pid)"))
    until(lambda: not alive(pid))


def test_without_it_what_a_terminal_sends_counts_as_the_groups() -> None:
    code = "os.kill(witness.pid, signal.SIGKILL); print(witness.saw({INT, TERM}) == {INT})"
    assert run(code) == "True"


def test_it_keeps_no_file_of_ours_open() -> None:
    code = """
while len(os.listdir(f'/proc/{witness.pid}/fd')) != 1:
    time.sleep(0.01)
print("none")
"""
    assert run(code) == "none"


def test_it_continues_us_when_what_we_stopped_for_goes_on_and_says_that_it_has() -> None:
    code = """
child = os.posix_spawn("/bin/sleep", ["sleep", "60"], {})
os.kill(child, signal.SIGSTOP)
os.waitpid(child, os.WUNTRACED)
witness.watch(child)
os.kill(child, signal.SIGCONT)
os.kill(os.getpid(), signal.SIGSTOP)
# Stopped again, as cpulimit does, before we have looked.
os.kill(child, signal.SIGSTOP)
said = [witness.relieve()]
witness.watch(child)
said.append(witness.relieve())
os.kill(child, signal.SIGKILL)
print(*said)
"""
    assert run(code) == "True False"


def test_without_it_nobody_else_has_continued_us() -> None:
    code = "os.kill(witness.pid, signal.SIGKILL); witness.watch(1); print(witness.relieve())"
    assert run(code) == "False"
