"""Programs of a client's own, run behind tokenproxy, and rows held against what they print."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.e2e.bench import Bench, Row
from tests.real import needs
from tokenproxy.simulator.server import Simulator

PROGRAMS = Path(__file__).parent / "programs"

MODES = ("forward", "reverse")


def run(
    bench: Bench,
    sim: Simulator,
    mode: str,
    hosts: Mapping[str, str],
    command: Sequence[str],
    **env: str,
) -> subprocess.CompletedProcess[bytes]:
    """``command`` behind tokenproxy; it must end well.

    Args:
        bench: the user's machine.
        sim: who answers.
        mode: forward or reverse.
        hosts: host -> the simulator's flavour that answers for it.
        command: the client.
        env: more of the user's environment.
    """
    routes = [
        word
        for host, flavour in hosts.items()
        for word in ("--route", f"{host}={sim.url}/{flavour}")
    ]
    done = bench.tokenproxy("run", "--mode", mode, *routes, "--", *command, env=env, timeout_s=180)
    assert done.returncode == 0, done.stderr.decode()
    return done


def program(
    bench: Bench,
    sim: Simulator,
    mode: str,
    hosts: Mapping[str, str],
    words: Sequence[str],
    **env: str,
) -> list[Row]:
    """What a program of ``programs/`` prints: ``words`` are its SDK's, its own name, arguments."""
    sdk, name, *arguments = words
    command = [str(needs.python_of(sdk)), str(PROGRAMS / f"{name}.py"), *arguments]
    return lines(run(bench, sim, mode, hosts, command, **env).stdout)


def lines(stdout: bytes) -> list[Row]:
    """JSON lines; what else a client prints is left out."""
    return [json.loads(line) for line in stdout.splitlines() if line.startswith(b"{")]


def equal(rows: Sequence[Row], said: Sequence[Row]) -> None:
    """Each row has what the client says of its call (in this order), and there are no more.

    What the client has as None must be absent from the row.
    """
    picked = [
        {column: row.get(column) for column in one} for row, one in zip(rows, said, strict=False)
    ]
    assert picked == list(said)
    assert len(rows) == len(said), rows
    assert said


def same(rows: Sequence[Row], **columns: Any) -> None:
    """Every row has ``columns``."""
    for row in rows:
        assert {name: row.get(name) for name in columns} == columns
