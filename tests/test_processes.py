from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tokenproxy.processes import running


def test_a_process_runs_until_it_has_been_waited_for() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert running(child.pid)
    assert not running(child.pid)


def test_another_users_process_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int, number: int) -> None:
        assert (pid, number) == (1, 0)
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert running(1)


@pytest.mark.skipif(sys.platform != "linux", reason="told on Linux only")
def test_one_that_nobody_waits_for_runs_no_more() -> None:
    with subprocess.Popen(["true"]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not running(child.pid)
