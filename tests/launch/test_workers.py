"""Several proxies on one port."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.launch.harness import Launch
from tests.proxy.harness import RUN
from tokenproxy import ids
from tokenproxy.config import ProxyConfig, Summary
from tokenproxy.launch import proxy_process
from tokenproxy.launch.proxy_process import Proxy
from tokenproxy.launch.run_dir import RunDir
from tokenproxy.launch.workers import Worker, Workers, open_listeners, together


def worker(tmp_path: Path, listener: socket.socket, command: Sequence[str]) -> Worker:
    (tmp_path / "runs").mkdir(exist_ok=True)
    run_dir = RunDir(tmp_path, ids.uuid7())
    config = ProxyConfig(run=RUN, ledger="", run_dir=str(run_dir.path), listen_fd=listener.fileno())
    return Worker(Proxy(listener, run_dir.path, dict(os.environ), command), config, run_dir)


def test_sums_of_several() -> None:
    one = Summary(calls=2, failed=1, input_tokens=10, cost_usd=0.5, warnings=("a", "b"))
    other = Summary(calls=3, output_tokens=7, cost_usd=0.25, unpriced=1, warnings=("b", "c"))
    assert together([one, other]) == Summary(
        calls=5,
        failed=1,
        input_tokens=10,
        output_tokens=7,
        cost_usd=0.75,
        unpriced=1,
        warnings=("a", "b", "c"),
    )
    assert together([]) == Summary()


@pytest.mark.parametrize("count", [1, 3])
def test_they_all_listen_on_one_port(count: int) -> None:
    listeners = open_listeners("127.0.0.1", 0, count)
    try:
        assert len(listeners) == count
        (port,) = {listener.getsockname()[1] for listener in listeners}
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        with pytest.raises(OSError, match="in use"):
            open_listeners("127.0.0.1", port, 2)
    finally:
        for listener in listeners:
            listener.close()


def test_workers_that_cannot_start(tmp_path: Path) -> None:
    listeners = open_listeners("127.0.0.1", 0, 2)
    broken = (sys.executable, "-c", "raise SystemExit('no such module')")
    workers = [worker(tmp_path, listener, broken) for listener in listeners]
    said: list[str] = []
    with pytest.raises(ChildProcessError, match="no such module"):
        Workers(lambda: workers).run(lambda: said.append("ready"))
    assert not said
    assert not any(one.proxy.pid for one in workers)
    for listener in listeners:
        listener.close()


def test_one_that_is_stuck_at_its_start_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxy_process, "START_S", 1.0)
    listeners = open_listeners("127.0.0.1", 0, 2)
    stub = Launch(tmp_path).proxy
    deaf = [*stub, "deaf"]
    workers = [
        worker(tmp_path, listener, command)
        for listener, command in zip(listeners, (stub, deaf), strict=True)
    ]
    with pytest.raises(ChildProcessError, match="killed by signal 9"):
        Workers(lambda: workers).run(lambda: None)
    assert [one.proxy.deaths for one in workers] == [0, proxy_process.FIRST_TRIES]
    for listener in listeners:
        listener.close()
