from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tokenproxy.record import turn

pytestmark = pytest.mark.skipif(not turn._KNOWN, reason="this system has no such locks")

TAKE = """
import os, sys
from tokenproxy.record import turn
print(turn.take(os.open(sys.argv[1], os.O_RDWR)), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "ledger"
    made.touch()
    return made


@pytest.fixture
def two(path: Path) -> Iterator[tuple[int, int]]:
    """Two openings of one file."""
    fds = os.open(path, os.O_RDWR), os.open(path, os.O_RDWR)
    yield fds
    for fd in fds:
        os.close(fd)


def test_one_has_the_turn_until_it_is_given_back(two: tuple[int, int]) -> None:
    one, other = two
    assert not turn.taken(one)
    assert turn.take(one)
    assert not turn.taken(one), "it is its own"
    assert turn.taken(other)
    assert not turn.take(other)
    turn.give_back(one)
    assert not turn.taken(other)
    assert turn.take(other)


def test_a_dead_one_has_no_turn(path: Path, two: tuple[int, int]) -> None:
    command = [sys.executable, "-c", TAKE, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"True\n"
        assert turn.taken(two[0])
        process.kill()
        process.wait()
    assert not turn.taken(two[0])


def test_what_cannot_be_locked_has_no_turns() -> None:
    reading, writing = os.pipe()
    os.close(writing)
    assert not turn.take(reading)
    assert not turn.taken(reading)
    turn.give_back(reading)
    os.close(reading)


def test_systems_without_such_locks_go_without(
    two: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert turn.take(two[0])
    monkeypatch.setattr(turn, "_KNOWN", False)
    assert not turn.taken(two[1])
    assert not turn.take(two[1])
