"""What is tried, how often: the whole of it, and a part for every run of the test suite."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial

import msgspec

from tests.faults import clocks, contention, disks, gateway, kills, own_steps, recorder
from tests.faults.reckoning import Outcome

Job = Callable[[], Outcome]


def apart(fault: str, module: str, *words: object) -> Outcome:
    """One that forks: in a process of its own, which has one thread."""
    ran = subprocess.run(
        [sys.executable, "-m", f"tests.faults.{module}", *map(str, words)],
        capture_output=True,
        check=False,
        timeout=600,
    )
    try:
        return msgspec.json.decode(ran.stdout, type=Outcome)
    except msgspec.DecodeError:
        said = ran.stderr.decode(errors="replace")
        return Outcome(fault=fault, problems=[f"status {ran.returncode}: {said}"])


def writers(count: int, rows: int, pause_s: float) -> Job:
    """Contention for the ledger."""
    fault = contention.FAULT.format(count)
    return partial(apart, fault, "contention", count, rows, pause_s)


def recorders(times: int) -> list[Job]:
    """The recorder's own steps."""
    return [partial(apart, fault, "recorder", fault, 1, times) for fault in recorder.KINDS]


def on_disks() -> list[Job]:
    """What disks do; the mounted ones where that is possible."""
    mounted: list[Job] = [
        *(partial(disks.until_the_next_start, trouble) for trouble in disks.TROUBLES),
        *(partial(disks.within_a_run, trouble) for trouble in disks.TROUBLES),
        disks.from_the_start,
        *(partial(disks.of_the_state, trouble) for trouble in disks.STATE_TROUBLES),
    ]
    return [
        *(mounted if disks.can_mount() else []),
        disks.quota,
        partial(disks.rotated, kill=False),
        partial(disks.rotated, kill=True),
        disks.replaced,
        disks.linked,
        disks.without_locks,
        partial(clocks.is_set, kill=False),
        partial(clocks.is_set, kill=True),
    ]


def full() -> list[Job]:
    """Every step, with what the command had received and without, and again. The longest first."""
    jobs: list[Job] = [
        partial(own_steps.recovery, how=how, first=first, every=2)
        for first in (1, 2)
        for how in ("kill", "half")
    ]
    jobs += [*recorders(3), writers(16, 5_000, 0.03)]
    for received in (False, True):
        jobs += [
            partial(kills.launcher_killed, received=received),
            partial(kills.launcher_terminated, received=received),
            partial(kills.command_killed, received=received),
            partial(kills.all_killed, received=received),
            *[partial(kills.proxy_terminated, received=received)] * 2,
            *[partial(kills.stopped, received=received)] * 2,
            *[partial(kills.proxy_killed, received=received)] * 8,
            *[partial(kills.proxy_killed, received=received, forward=True)] * 4,
        ]
    jobs += [partial(own_steps.launcher, first=first, last=first + 20) for first in (1, 21)]
    jobs += [
        partial(own_steps.proxy, how=how, first=first, last=first + 40)
        for first in (1, 41, 81)
        for how in ("kill", "half")
    ]
    jobs += [partial(gateway.workers_killed, seed) for seed in range(4)]
    jobs += [partial(kills.storm, seed) for seed in range(8)]
    return [*jobs, *on_disks()]


def quick() -> list[Job]:
    """Each fault, at some of its steps."""
    return [
        partial(kills.proxy_killed, received=True, every=3),
        partial(kills.proxy_killed, received=False, forward=True, every=6),
        partial(kills.proxy_terminated, received=False, every=6),
        partial(kills.stopped, received=True, every=4),
        partial(kills.launcher_killed, received=True, every=9),
        partial(kills.launcher_terminated, received=False, every=9),
        partial(kills.command_killed, received=True, every=9),
        partial(kills.all_killed, received=False, every=8),
        partial(kills.storm, 1, kills=6),
        partial(gateway.workers_killed, 1, kills=6),
        partial(own_steps.proxy, how="kill", first=20, last=32),
        partial(own_steps.proxy, how="half", first=16, last=26),
        partial(own_steps.launcher, first=2, last=40, every=6),
        partial(own_steps.recovery, how="kill", dead_runs=1, every=6),
        partial(own_steps.recovery, how="half", dead_runs=1, every=7),
        *recorders(1),
        writers(8, 400, 0.02),
        *on_disks(),
    ]
