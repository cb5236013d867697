"""A proxy that crashes leaves no core, which would hold keys; the command's limits are its own."""

from __future__ import annotations

import resource
import subprocess
from pathlib import Path

from tests.e2e.bench import Bench, child_of, proxy_of, wait_until


def limit(pid: int, name: str) -> list[str]:
    """The soft and the hard limit of a process, as the kernel says them."""
    for line in Path(f"/proc/{pid}/limits").read_text().splitlines():
        if line.startswith(name):
            return line.removeprefix(name).split()[:2]
    raise AssertionError(name)


def test_the_proxys_limits_and_the_commands(bench: Bench) -> None:
    def as_a_user_may_have_it() -> None:
        _, most = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (most, most))
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, most))

    run = subprocess.Popen(
        bench.argv("run", "--", "sleep", "60"),
        env=bench.env,
        cwd=bench.work,
        stderr=subprocess.DEVNULL,
        preexec_fn=as_a_user_may_have_it,  # noqa: PLW1509 - this process has no other threads
    )
    try:
        proxy = proxy_of(run)
        command = child_of(run, lambda line: line.startswith("sleep"), 30)
        wait_until(lambda: limit(proxy.pid, "Max core file size")[0] == "0", 30)
        assert limit(command.pid, "Max core file size") == limit(run.pid, "Max core file size")
        assert int(limit(proxy.pid, "Max open files")[0]) > 1024
        assert limit(command.pid, "Max open files")[0] == "256"
        command.terminate()
    finally:
        run.wait(timeout=30)
