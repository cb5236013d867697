"""In a process of its own: dispositions are the process's."""

from __future__ import annotations

import subprocess
import sys

from tests.launch.harness import ROOT, WAIT_S

PROLOGUE = """
import os, signal
from tokenproxy.launch.signals import CAUGHT, FAULTS, Inbox, die_of
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROLOGUE + code],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
        text=True,
        timeout=WAIT_S,
    )


def test_all_but_faults_are_caught() -> None:
    code = """
inbox = Inbox(); inbox.open()
for number in CAUGHT:
    os.kill(os.getpid(), number)
print(inbox.take() == CAUGHT, inbox.take())
print({signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV, signal.SIGPIPE} & CAUGHT)
"""
    assert run(code).stdout == "True set()\nset()\n"


def test_ignored_and_blocked_ones_are_caught_and_remembered() -> None:
    code = """
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
os.kill(os.getpid(), signal.SIGTERM)
inbox = Inbox(); inbox.open()
os.kill(os.getpid(), signal.SIGHUP)
print(sorted(inbox.take()), *map(int, inbox.ignored), *inbox.inherited_mask)
"""
    assert run(code).stdout == "[1, 15] 1 15\n"


def test_what_is_held_comes_later() -> None:
    code = """
inbox = Inbox(); inbox.open(); inbox.hold()
os.kill(os.getpid(), signal.SIGTERM)
print(inbox.take()); inbox.release(); print(inbox.take())
"""
    assert run(code).stdout == "set()\n{15}\n"


def test_a_child_that_gives_up_acts_as_the_command_would() -> None:
    code = """
signal.signal(signal.SIGHUP, signal.SIG_IGN)
inbox = Inbox(); inbox.open(); inbox.hold()
pid = os.fork()
if pid == 0:
    inbox.give_up()
    os.kill(os.getpid(), signal.SIGHUP)
    os.kill(os.getpid(), signal.SIGTERM)
print(os.waitpid(pid, 0)[1])
"""
    assert run(code).stdout == "15\n"


def test_on_the_way_out_signals_come_to_nothing() -> None:
    code = """
inbox = Inbox(); inbox.open(); inbox.close(); del inbox
os.kill(os.getpid(), signal.SIGCHLD); os.kill(os.getpid(), signal.SIGTERM)
"""
    done = run(code)
    assert (done.returncode, done.stderr) == (0, "")


def test_dying_of_a_signal() -> None:
    assert run("inbox = Inbox(); inbox.open(); die_of(signal.SIGINT)").returncode == -2
