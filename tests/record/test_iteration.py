from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.record.make import names
from tokenproxy.record import iteration
from tokenproxy.record.iteration import next_iteration

RUNNER = """
import sys, pathlib
from tokenproxy.record.iteration import next_iteration
state, ledger = map(pathlib.Path, sys.argv[1:])
for _ in range(25):
    print(next_iteration(ledger, "s", "p", state=state))
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "provider_usage.jsonl"


def rows(ledger: Path, *found: dict[str, object]) -> None:
    ledger.write_text("".join(json.dumps(row) + "\n" for row in found))


def test_counts_from_one(state: Path, ledger: Path) -> None:
    assert [next_iteration(ledger, "s", "p", state=state) for _ in range(3)] == [1, 2, 3]


def test_each_story_and_each_ledger_has_its_own_count(
    state: Path, ledger: Path, tmp_path: Path
) -> None:
    assert next_iteration(ledger, "a", "p", state=state) == 1
    assert next_iteration(ledger, "b", "p", state=state) == 1
    assert next_iteration(tmp_path / "other.jsonl", "a", "p", state=state) == 1
    assert next_iteration(ledger, "a", "p", state=state) == 2


def test_without_a_story_the_directory_counts(state: Path, ledger: Path, tmp_path: Path) -> None:
    def begin(directory: Path) -> int:
        return next_iteration(ledger, "", "same-name", directory=directory, state=state)

    one, two = tmp_path / "one" / "same-name", tmp_path / "two" / "same-name"
    assert [begin(one), begin(two), begin(one)] == [1, 1, 2]


def test_the_working_directory_is_the_default(
    state: Path, ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert next_iteration(ledger, "", "p", state=state) == 1
    assert next_iteration(ledger, "", "p", directory=tmp_path, state=state) == 2


def test_a_given_number_moves_the_count(state: Path, ledger: Path) -> None:
    assert next_iteration(ledger, "s", "p", 40, state=state) == 40
    assert next_iteration(ledger, "s", "p", state=state) == 41
    assert next_iteration(ledger, "s", "p", 1, state=state) == 1
    assert next_iteration(ledger, "s", "p", state=state) == 2


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(story=st.text(min_size=1) | st.just('say "hi"\n\x00../../x') | st.just("caf\udce9"))
def test_any_text_can_be_a_story(tmp_path: Path, story: str) -> None:
    state = tmp_path / "state"
    first = next_iteration(tmp_path / "l", story, "p", state=state)
    assert next_iteration(tmp_path / "l", story, "p", state=state) == first + 1


def test_a_new_count_goes_on_from_the_ledger(state: Path, ledger: Path) -> None:
    rows(
        ledger,
        {"story_id": "s", "iteration": 7},
        {"story_id": "s", "iteration": 6},
        {"story_id": "other", "iteration": 99},
        {"story_id": "s", "iteration": True},
        {"story_id": "s", "iteration": "500"},
    )
    assert next_iteration(ledger, "s", "p", state=state) == 8


def test_rows_without_a_story_belong_to_their_project(state: Path, ledger: Path) -> None:
    rows(
        ledger,
        {"story_id": "", "iteration": 3},
        {"story_id": "", "iteration": 4, "project": "loom"},
        {"story_id": "", "iteration": 50, "project": "other"},
        {"story_id": "s", "iteration": 60, "project": "loom"},
    )
    assert next_iteration(ledger, "", "loom", state=state) == 5


def test_a_long_ledger_is_not_read_to_its_beginning(
    state: Path, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(iteration, "TAIL_BYTES", 1_000)
    early = {"story_id": "s", "iteration": 7}
    rows(ledger, early, *({"story_id": "x", "iteration": 1} for _ in range(1_000)))
    assert next_iteration(ledger, "s", "p", state=state) == 1


def test_a_counter_cut_off_in_writing_is_no_counter(state: Path, ledger: Path) -> None:
    next_iteration(ledger, "s", "p", 12, state=state)
    (counter,) = (state / "iterations").iterdir()
    counter.write_bytes(b"1")
    rows(ledger, {"story_id": "s", "iteration": 12})
    assert next_iteration(ledger, "s", "p", state=state) == 13


def test_concurrent_runs_get_different_numbers(state: Path, ledger: Path) -> None:
    command = [sys.executable, "-c", RUNNER, str(state), str(ledger)]
    runners = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    numbers = [int(n) for runner in runners for n in runner.communicate(timeout=30)[0].split()]
    assert sorted(numbers) == list(range(1, 101))


def test_without_a_state_directory_the_ledger_decides(tmp_path: Path, ledger: Path) -> None:
    (tmp_path / "file").touch()
    rows(ledger, {"story_id": "s", "iteration": 7})
    assert next_iteration(ledger, "s", "p", state=tmp_path / "file") == 8
    assert next_iteration(ledger, "s", "p", 3, state=tmp_path / "file") == 3


def test_a_stuck_lock_does_not_hold_the_run(
    state: Path, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(iteration, "_LOCK_WAIT_S", 0.05)
    next_iteration(ledger, "s", "p", state=state)
    (counter,) = (state / "iterations").iterdir()
    with counter.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert next_iteration(ledger, "s", "p", state=state) == 1


def test_counters_are_the_users_own(state: Path, ledger: Path) -> None:
    next_iteration(ledger, "s", "p", state=state)
    assert (state / "iterations").stat().st_mode & 0o077 == 0
    assert "s" not in names(state / "iterations")
