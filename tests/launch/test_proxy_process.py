from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.launch.harness import Launch, alive, until
from tokenproxy.config import IterationEnd, ProxyConfig, RunContext
from tokenproxy.launch import proxy_process
from tokenproxy.launch.listener import open_listener
from tokenproxy.launch.proxy_process import Proxy


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with open_listener() as sock:
        yield sock


type Make = Callable[..., tuple[Proxy, Launch]]


@pytest.fixture
def make(tmp_path: Path, listener: socket.socket) -> Iterator[Make]:
    made: list[Proxy] = []

    def start(*behaviour: str) -> tuple[Proxy, Launch]:
        launch = Launch(tmp_path, behaviour)
        proxy = Proxy(listener, tmp_path, {}, launch.proxy)
        made.append(proxy)
        proxy.start()
        run = RunContext(run_id="r", trace_id="t", span_id="s", started_ns=0)
        proxy.configure(
            ProxyConfig(run=run, ledger="l", run_dir=str(tmp_path), listen_fd=listener.fileno())
        )
        return proxy, launch

    yield start
    for proxy in made:
        if proxy.pid:
            proxy.kill("the test is over")
            _, status = os.waitpid(proxy.pid, 0)
            proxy.exited(status)


def drive(proxy: Proxy, done: Callable[[], object]) -> None:
    """What the conductor does."""

    def step() -> object:
        line = proxy.fileno()
        if line is not None and select.select([line], [], [], 0)[0]:
            proxy.read()
        if proxy.pid:
            pid, status = os.waitpid(proxy.pid, os.WNOHANG)
            if pid:
                proxy.exited(status)
        return done()

    until(step)


def test_it_comes_up_serves_and_settles(make: Make) -> None:
    proxy, launch = make()
    before = proxy.deadline
    drive(proxy, lambda: proxy.was_ready)
    after = proxy.deadline
    assert before is not None
    assert after is None
    proxy.command_started(42)
    proxy.finish(IterationEnd(ended_ns=1, exit_status=3))
    drive(proxy, lambda: not proxy.pid)
    assert proxy.summary is not None
    assert (proxy.failure, proxy.deaths) == (None, 0)
    assert launch.noted("child") == [42]
    assert proxy.log.stat().st_mode & 0o777 == 0o600


def test_one_that_dies_is_replaced_with_the_same_orders(make: Make) -> None:
    proxy, launch = make()
    drive(proxy, lambda: proxy.was_ready)
    proxy.command_started(42)
    until(lambda: launch.noted("child"))
    os.kill(proxy.pid, signal.SIGKILL)
    drive(proxy, lambda: proxy.generation == 1 and proxy.deadline is None)
    until(lambda: len(launch.noted("child")) == 2)
    assert [config.get("generation", 0) for config in launch.noted("config")] == [0, 1]
    assert proxy.failure is None


def test_one_that_ends_by_itself_with_a_summary_is_replaced_too(make: Make) -> None:
    """Somebody sent it a SIGTERM; the command goes on."""
    proxy, launch = make()
    drive(proxy, lambda: proxy.was_ready)
    proxy._send({"finish": {}})  # as the proxy itself would take a SIGTERM
    drive(proxy, lambda: proxy.generation == 1 and proxy.deadline is None)
    assert proxy.summary is None
    assert launch.noted("ready") == [0, 1]


def test_restarts_have_an_end(make: Make) -> None:
    proxy, _ = make()
    for generation in range(proxy_process.RESTARTS + 1):
        drive(proxy, lambda want=generation: proxy.generation == want and proxy.deadline is None)  # type: ignore[misc] # the loop's value
        os.kill(proxy.pid, signal.SIGKILL)
        drive(proxy, lambda pid=proxy.pid: proxy.pid != pid)  # type: ignore[misc] # the loop's value
    assert proxy.failure == "killed by signal 9"
    assert not proxy.pid


def test_deaths_are_forgotten_in_time(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """One a time longer than it takes to forget: never given up."""
    clock = [1000.0]
    monkeypatch.setattr(proxy_process, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    proxy, _ = make()
    for generation in range(3 * proxy_process.RESTARTS):
        drive(proxy, lambda want=generation: proxy.generation == want and proxy._ready)  # type: ignore[misc] # the loop's value
        os.kill(proxy.pid, signal.SIGKILL)
        drive(proxy, lambda pid=proxy.pid: proxy.pid != pid)  # type: ignore[misc] # the loop's value
        clock[0] += proxy_process.WITHIN_S
    assert proxy.failure is None
    assert proxy.deaths == 3 * proxy_process.RESTARTS


def test_starts_in_vain_are_not_forgotten(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A successor that hangs holds up every call until it is given up."""
    clock = [1000.0]
    monkeypatch.setattr(proxy_process, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    proxy, launch = make()
    drive(proxy, lambda: proxy._ready)
    proxy._command = [*launch.proxy, "deaf"]
    for _ in range(proxy_process.RESTARTS + 1):
        clock[0] += proxy_process.WITHIN_S
        os.kill(proxy.pid, signal.SIGKILL)
        drive(proxy, lambda pid=proxy.pid: proxy.pid != pid)  # type: ignore[misc] # the loop's value
    assert proxy.failure is None  # the first of these deaths was of one that had come up
    clock[0] += proxy_process.WITHIN_S
    os.kill(proxy.pid, signal.SIGKILL)
    drive(proxy, lambda: not proxy.pid)
    assert proxy.failure == "killed by signal 9"


@pytest.mark.parametrize(
    ("behaviour", "failure", "tries"),
    [("crash=what it said last", "what it said last", 2), ("fatal=why", "why", 1)],
)
def test_one_that_never_comes_up(make: Make, behaviour: str, failure: str, tries: int) -> None:
    proxy, _ = make(behaviour)
    drive(proxy, lambda: proxy.failure)
    assert (proxy.failure, proxy.deaths, proxy.was_ready) == (failure, tries, False)


def test_one_that_is_killed_for_good_is_not_replaced(make: Make) -> None:
    proxy, _ = make("deaf")
    pid = proxy.pid
    proxy.kill("not needed")
    drive(proxy, lambda: not proxy.pid)
    assert (proxy.failure, proxy.generation) == ("not needed", 0)
    assert not alive(pid)


def test_no_file_to_be_had_is_a_failure_not_an_exception(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxy_process, "LOG_NAME", "no/such/proxy.log")
    proxy, launch = make()
    assert proxy.failure == f"cannot start {launch.proxy[0]}: No such file or directory"
    proxy.finish(IterationEnd(ended_ns=1, exit_status=0))
    assert proxy.fileno() is None


def test_the_users_modules_cannot_pass_for_ours() -> None:
    assert "-P" in proxy_process.COMMAND
