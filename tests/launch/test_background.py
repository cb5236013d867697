"""What a process of ours gets, and what not."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.launch.harness import ROOT, WAIT_S
from tokenproxy.launch import background

CHILD = """
import json, os, sys
os.read(0, 1) == b"" or sys.exit(9)
open_files = []
for fd in map(int, os.listdir("/proc/self/fd")):
    try:
        os.fstat(fd)
    except OSError:  # the listing's own
        continue
    open_files.append(fd)
print(json.dumps({
    "open": sorted(open_files), "leads": os.getsid(0) == os.getpid(), "env": dict(os.environ),
}))
"""


def started(tmp_path: Path, keep: tuple[int, ...] = ()) -> dict[str, Any]:
    with (tmp_path / "log").open("wb") as log:
        pid = background.spawn(
            [sys.executable, "-I", "-S", "-c", CHILD],
            {"NAME": "value"},
            output=log.fileno(),
            keep=keep,
        )
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    found: dict[str, Any] = json.loads((tmp_path / "log").read_text())
    return found


def inherit(descriptor: int) -> None:
    os.set_inheritable(descriptor, True)  # noqa: FBT003 - its only way


def test_it_has_a_session_of_its_own_and_only_the_descriptors_that_are_kept(
    tmp_path: Path,
) -> None:
    pipes = [*os.pipe(), *os.pipe()]
    try:
        inherit(pipes[0])
        inherit(pipes[1])
        found = started(tmp_path, keep=(pipes[1], pipes[2]))
        assert [os.get_inheritable(pipe) for pipe in pipes] == [True, True, False, False]
    finally:
        for pipe in pipes:
            os.close(pipe)
    assert found["open"] == sorted([0, 1, 2, pipes[1], pipes[2]])
    assert found["leads"]
    found["env"].pop("LC_CTYPE", None)  # Python's own doing
    assert found["env"] == {"NAME": "value"}


def test_descriptors_beyond_a_limit_that_was_lowered_later_are_kept_from_it(
    tmp_path: Path,
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    read, write = os.pipe()
    # Far above whatever else is open in this process, which needs some more meanwhile.
    limit = max(read, write) + 64
    high = fcntl.fcntl(read, fcntl.F_DUPFD, limit + 10)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        assert started(tmp_path)["open"] == [0, 1, 2]
        assert os.get_inheritable(high)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in (read, write, high):
            os.close(descriptor)


def test_signals_act_on_it_as_if_none_were_ignored_or_blocked(tmp_path: Path) -> None:
    code = f"""
import os, signal; from tokenproxy.launch import background
for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {{signal.SIGTERM, signal.SIGINT}})
log = os.open({str(tmp_path / "log")!r}, os.O_WRONLY | os.O_CREAT)
pid = background.spawn(["/bin/cat", "/proc/self/status"], {{}}, output=log, keep=())
print(os.waitpid(pid, 0)[1])
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        check=True,
        timeout=WAIT_S,
    )
    assert done.stdout == b"0\n"
    lines = (tmp_path / "log").read_text().splitlines()
    status = dict(line.split(":", 1) for line in lines)
    for line in ("SigIgn", "SigBlk"):
        bits = int(status[line], 16)
        # Those that valid_signals leaves out are the C library's own.
        assert [n for n in signal.valid_signals() if bits >> (n - 1) & 1] == []


def test_where_descriptors_cannot_be_listed_they_are_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: str) -> list[str]:
        raise FileNotFoundError

    monkeypatch.setattr(os, "listdir", refuse)
    read, write = os.pipe()
    try:
        inherit(write)
        found = started(tmp_path)
    finally:
        os.close(read)
        os.close(write)
    assert found["open"] == [0, 1, 2]


def test_a_program_that_does_not_exist(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log, pytest.raises(FileNotFoundError):
        background.spawn(["/no/such/program"], {}, output=log.fileno(), keep=(log.fileno(),))
