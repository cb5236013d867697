"""Signals by kill(2): to the launcher alone, to the group, from within."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from tests.launch.harness import SUBJECT, WAIT_S, Launch, stopped, until
from tokenproxy.launch import witness
from tokenproxy.launch.conductor import Conductor
from tokenproxy.launch.signals import Inbox
from tokenproxy.launch.witness import Witness

Make = Callable[..., Launch]


class Counting:
    """A launcher of its own group, whose command counts signals."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        self.out = process.stdout
        self.process = process
        self.child = int(self.line().split()[1])

    def line(self) -> str:
        return self.out.readline().decode().strip()

    def counts(self) -> str:
        os.kill(self.child, signal.SIGUSR2)
        return self.line()


@contextmanager
def counting(launch: Launch, *names: str, **popen: Any) -> Iterator[Counting]:
    process = launch.start([*SUBJECT, "count", *names], process_group=0, **popen)
    try:
        yield Counting(process)
    finally:
        with suppress(ProcessLookupError):  # it has ended
            os.killpg(process.pid, signal.SIGCONT)
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=WAIT_S)


NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGWINCH", "SIGCONT", "SIGRTMIN")


def test_a_signal_to_us_is_forwarded_once(launch: Make) -> None:
    with counting(launch(), *NAMES) as run:
        for times in (1, 2, 3):
            for name in NAMES:
                os.kill(run.process.pid, getattr(signal, name))
            until(lambda times=times: run.counts() == all_are(times))  # type: ignore[misc] # the loop's value
        assert run.counts() == all_are(3)


def test_a_signal_to_the_group_is_not_forwarded(launch: Make) -> None:
    with counting(launch(), *NAMES) as run:
        for times in range(1, 11):
            for name in NAMES:
                os.killpg(run.process.pid, getattr(signal, name))
            # Two of the same that wait are one.
            until(lambda times=times: run.counts() == all_are(times))  # type: ignore[misc] # the loop's value
        # A forwarded one would be there by now: ours would have been sent before.
        for name in NAMES:
            os.kill(run.process.pid, getattr(signal, name))
        until(lambda: run.counts() == all_are(11))


def all_are(times: int) -> str:
    return " ".join(f"{name}={times}" for name in NAMES)


def test_a_group_wide_signal_from_within(launch: Make) -> None:
    """A script that ends with ``kill 0`` must not have it sent back."""
    script = 'trap "echo trapped" TERM; kill -TERM 0; sleep 0.1; echo end'
    process = launch().start(["sh", "-c", script], process_group=0)
    out, _ = process.communicate(timeout=WAIT_S)
    assert out == b"trapped\nend\n"
    assert process.returncode == 0


def test_a_signal_that_was_ignored_before_us_still_reaches_a_handler(launch: Make) -> None:
    """A script's background job has SIGINT ignored; the command may handle it all the same."""

    def ignore() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    with counting(launch(), "SIGINT", preexec_fn=ignore) as run:
        os.kill(run.process.pid, signal.SIGINT)
        until(lambda: run.counts() == "SIGINT=1")


def test_a_signal_that_was_blocked_before_us_waits_for_the_command(launch: Make) -> None:
    def block() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})

    with counting(launch(), "SIGUSR1", "SIGUSR2", preexec_fn=block) as run:
        os.kill(run.process.pid, signal.SIGUSR1)
        mask = f"/proc/{run.child}/status"
        until(lambda: _pending(mask) >> (signal.SIGUSR1 - 1) & 1)


def _pending(path: str) -> int:
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 - one line of a status file
        line = next(line for line in file if line.startswith("ShdPnd"))
    return int(line.split()[1], 16)


def test_a_stopped_command_stops_us_and_continuing_us_continues_it(launch: Make) -> None:
    with counting(launch(), "SIGCONT") as run:
        for times in (1, 2):
            os.kill(run.child, signal.SIGSTOP)
            until(lambda: stopped(run.process.pid), "us to stop too")
            os.kill(run.process.pid, signal.SIGCONT)
            until(lambda times=times: run.counts() == f"SIGCONT={times}")  # type: ignore[misc] # the loop's value


def test_a_command_that_is_continued_alone_continues_us(launch: Make) -> None:
    """Whoever stops and continues the command alone (cpulimit does) knows nothing of us."""
    with counting(launch(), "SIGCONT") as run:
        for _ in range(10):
            os.kill(run.child, signal.SIGSTOP)
            until(lambda: stopped(run.process.pid), "us to stop too")
            os.kill(run.child, signal.SIGCONT)
            # Without a pause: the next stop comes before we have seen why we go on.
            until(lambda: not stopped(run.process.pid), "us to go on", pause_s=0)


def test_a_command_that_is_killed_while_it_is_stopped(launch: Make) -> None:
    with counting(launch(), "SIGCONT") as run:
        os.kill(run.child, signal.SIGSTOP)
        until(lambda: stopped(run.process.pid), "us to stop too")
        os.kill(run.child, signal.SIGKILL)
        until(lambda: run.process.poll() is not None, "us to end")
        assert run.process.returncode == 128 + signal.SIGKILL


def test_stopping_us_alone_is_not_undone(launch: Make) -> None:
    """After a command's stop too: it is watched only so long."""
    with counting(launch(), "SIGCONT") as run:
        os.kill(run.child, signal.SIGSTOP)
        until(lambda: stopped(run.process.pid), "us to stop too")
        os.kill(run.process.pid, signal.SIGCONT)
        until(lambda: run.counts() == "SIGCONT=1")
        os.kill(run.process.pid, signal.SIGSTOP)
        time.sleep(3 * witness.WATCH_S)
        assert stopped(run.process.pid)
        os.kill(run.process.pid, signal.SIGCONT)


def test_the_waiting_parent_sees_a_stop_and_a_signal_as_its_own(launch: Make) -> None:
    with counting(launch(), "SIGINT") as run:
        os.kill(run.child, signal.SIGSTOP)
        pid, status = os.waitpid(run.process.pid, os.WUNTRACED)
        assert pid == run.process.pid
        assert os.WIFSTOPPED(status)
        assert os.WSTOPSIG(status) == signal.SIGSTOP


def test_an_interrupt_to_us_alone_exits_with_130(launch: Make) -> None:
    process = launch().start(["sleep", "100"], process_group=0)
    until(lambda: _has_child(process.pid))
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=WAIT_S)
    assert process.returncode == 130


def test_an_interrupt_to_the_group_ends_us_as_it_ended_the_command(launch: Make) -> None:
    made = launch()
    process = made.start(["sh", "-c", "echo begun; exec sleep 100"], process_group=0)
    assert process.stdout is not None
    process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == -signal.SIGINT
    assert b"0 calls" in err
    assert made.noted("finish")[0]["exit_status"] == 130


def test_timeout_1_around_us(launch: Make) -> None:
    made = launch()
    argv = ["timeout", "--signal=INT", "2", *made.argv, "sh", "-c", "echo begun; exec sleep 100"]
    done = subprocess.run(
        argv, env=made.environment(), capture_output=True, check=False, timeout=WAIT_S
    )
    assert done.returncode == 124
    assert made.noted("finish")[0]["exit_status"] == 130


def _has_child(pid: int) -> bool:
    done = subprocess.run(["pgrep", "-x", "-P", str(pid), "sleep"], stdout=-1, check=False)
    return bool(done.stdout)


class Overdue:
    """A proxy that should have been ready by now."""

    def __init__(self) -> None:
        self.deadline: float | None = time.monotonic()
        self.kills = 0

    def fileno(self) -> None:
        return None

    def kill(self) -> None:
        self.kills += 1
        self.deadline = None


def test_a_proxy_that_is_not_ready_in_time_is_killed() -> None:
    conductor = Conductor(Inbox(), Witness())
    proxy: Any = Overdue()
    conductor.proxy = proxy
    assert not conductor.wait(lambda: False, 0.05)
    assert proxy.kills == 1
