"""The real Claude CLI where something of ours cannot work: it works all the same."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.bench import Bench
from tests.real.needs import require
from tests.real.test_claude_cli import GOLDEN_PROMPT, PRINT, equals_model_usage, forward
from tokenproxy.simulator.server import Simulator

PROMISED_S = 1.2
"""All that a collector that never answers may cost a run."""
TRIES = 3


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, 1 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = sys.platform == "linux" and not subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], check=False
    ).returncode  # fmt: skip
    require(place if mounted else None, "a small file system", "be root on Linux")
    yield place
    subprocess.run(["umount", place], check=True)


def fill(disk: Path) -> Path:
    """Leave no byte free; returns the file that takes the room."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass
    assert shutil.disk_usage(disk).free == 0
    return filler


def test_a_collector_that_never_answers_is_not_felt(bench: Bench, claude: str) -> None:
    """In turns, the best of each: what else this machine does is no part of it."""
    took: dict[bool, list[float]] = {False: [], True: []}
    with socket.create_server(("127.0.0.1", 0), backlog=64) as hole, Simulator("agent") as sim:
        endpoint = f"http://127.0.0.1:{hole.getsockname()[1]}"
        for _ in range(TRIES):
            for holed in (False, True):
                env = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint} if holed else {}
                begun = time.monotonic()
                run = forward(bench, sim, claude, "-p", GOLDEN_PROMPT, *PRINT, **env)
                took[holed].append(time.monotonic() - begun)
                assert run.returncode == 0, run.stderr
                assert run.stderr.count(b"collector") == holed
        assert len(bench.rows()) == len(sim.calls)
    assert min(took[True]) - min(took[False]) <= PROMISED_S


def test_a_full_disk_costs_no_call_and_no_row(bench: Bench, claude: str, small_disk: Path) -> None:
    """The rows wait in the journal, the user is told once, and the next run appends them."""
    ledger = small_disk / "ledger.jsonl"
    filler = fill(small_disk)
    with Simulator("agent") as sim:
        run = forward(
            bench, sim, claude, "-p", GOLDEN_PROMPT, *PRINT, TOKENPROXY_LEDGER=str(ledger)
        )
        assert run.returncode == 0, run.stderr
        result = json.loads(run.stdout)
        calls = len(sim.calls)
    assert run.stderr.count(b"No space left on device") == 1, run.stderr
    assert not ledger.exists() or not ledger.read_bytes()
    filler.unlink()
    after = bench.tokenproxy("run", "--", "true", env={"TOKENPROXY_LEDGER": str(ledger)})
    assert after.returncode == 0, after.stderr
    rows = [json.loads(line) for line in ledger.read_text().splitlines()]
    assert len({row["call_id"] for row in rows}) == len(rows) == calls
    equals_model_usage(rows, result)


def test_a_disk_that_is_full_altogether_is_said(
    bench: Bench, claude: str, small_disk: Path
) -> None:
    """Nothing can be kept anywhere: the call goes on, and what is missing is no secret."""
    state = small_disk / "state"
    state.mkdir()
    fill(small_disk)
    places = {
        "TOKENPROXY_STATE_DIR": str(state), "TOKENPROXY_LEDGER": str(small_disk / "ledger.jsonl"),
    }  # fmt: skip
    with Simulator("agent") as sim:
        run = bench.tokenproxy(
            "run", "--fail-open", "--", claude, "-p", "hello", *PRINT,
            env={**places, "ANTHROPIC_BASE_URL": sim.url},
        )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert b"No space left on device" in run.stderr
