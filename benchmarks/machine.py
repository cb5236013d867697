"""What the machine and its processes do: load, processor time, memory."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

BUSY_LOAD = 0.5
"""Runnable processes per core, before we begin, from which on a machine is busy."""

FOREIGN_LIMIT = 0.1
"""Share of all cores that others may use during a measurement before it counts as disturbed."""


def describe() -> dict[str, str | int | float | bool]:
    """The machine, for the results."""
    load = os.getloadavg()[0]
    cores = os.cpu_count() or 1
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": cores,
        "python": platform.python_version(),
        "load_before": round(load, 2),
        "busy": load > BUSY_LOAD * cores,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def family(pids: Iterable[int]) -> list[psutil.Process]:
    """These processes and all below them, as far as they live."""
    found: dict[int, psutil.Process] = {}
    for pid in pids:
        try:
            process = psutil.Process(pid)
            for member in (process, *process.children(recursive=True)):
                found[member.pid] = member
        except psutil.NoSuchProcess:
            continue
    return list(found.values())


def cpu_s(pids: Iterable[int]) -> float:
    """Processor seconds that they and those below them have used."""
    return sum(_cpu_s(process) for process in family(pids))


def _cpu_s(process: psutil.Process) -> float:
    if psutil.LINUX:
        # The process' own clock (clock_getcpuclockid): nanoseconds, where /proc has hundredths.
        try:
            return time.clock_gettime((~process.pid << 3) | 2)
        except OSError:
            return 0.0
    times = process.cpu_times()
    return float(times.user + times.system)


def rss_mb(pids: Iterable[int]) -> float:
    """Resident memory of them and those below them, in MB (10**6 bytes)."""
    return sum(process.memory_info().rss for process in family(pids)) / 1e6


def busy_s() -> float:
    """Processor seconds that the whole machine has used."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    return float(sum(times) - idle - getattr(times, "guest", 0.0))


def children_cpu_s() -> float:
    """Processor seconds of this process' children that have ended."""
    times = os.times()
    return times.children_user + times.children_system
