from __future__ import annotations

import os
import subprocess
import sys

from benchmarks import machine

SPIN = "import time; end = time.process_time() + 0.05\nwhile time.process_time() < end: pass\n"
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SPIN + 'input()'!r}])"


def test_what_a_process_and_its_children_used_is_counted() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    try:
        while machine.cpu_s([process.pid]) < 0.05:
            assert process.poll() is None
        assert machine.rss_mb([process.pid]) > 1
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait()
    assert machine.cpu_s([process.pid]) == 0
    assert machine.family([process.pid]) == []


def test_the_machine_is_described() -> None:
    described = machine.describe()
    assert described["cores"] == os.cpu_count()
    assert described["processor"]
    assert machine.busy_s() > 0
