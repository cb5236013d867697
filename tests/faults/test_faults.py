"""Every fault of ``make faults``, at some of its steps; and that the reckoning can find one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.faults import contention, plan, reckoning, recorder
from tests.faults.place import place
from tests.faults.reckoning import Outcome, merged, read_strictly
from tests.faults.table import back, table
from tests.faults.upstream import wait_for
from tokenproxy.launch import proxy_process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")

QUICK = plan.quick()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", range(len(QUICK)))
def test_nothing_is_lost(number: int) -> None:
    outcome = QUICK[number]()
    assert outcome.problems == []
    assert outcome.sound, outcome
    assert outcome.expected, "nothing was tried"


Change = Callable[[list[str]], list[str]]


def _again(lines: list[str]) -> list[str]:
    return [*lines, lines[0]]


def _half(lines: list[str]) -> list[str]:
    return [lines[0][:40] + "\n", *lines[1:]]


def _more(lines: list[str]) -> list[str]:
    row = json.loads(lines[0])
    row["output_tokens"] += 1
    return [json.dumps(row) + "\n", *lines[1:]]


def _less(lines: list[str]) -> list[str]:
    row = json.loads(lines[0])
    row["input_tokens"] -= 1
    return [json.dumps(row) + "\n", *lines[1:]]


@pytest.mark.parametrize(
    ("change", "duplicated", "torn", "problem"),
    [
        (_again, 1, 0, ""),
        (_half, 0, 1, "has no row"),
        (lambda lines: lines[1:], 0, 0, "has no row"),
        (_more, 0, 0, "more than the bill's"),
        (_less, 0, 0, "said to be final"),
    ],
    ids=["doubled", "torn", "lost", "too much", "too little"],
)
def test_a_fault_is_found(change: Change, duplicated: int, torn: int, problem: str) -> None:
    """A sound ledger, spoilt in one way."""
    with place("a ledger that is spoilt") as here:
        run = here.run()
        run.up()
        for _ in range(2):
            here.whole(run, run.ask())
        here.ended(run)
        lines = here.bench.ledger.read_text().splitlines(keepends=True)
        assert len(lines) == 2
        here.bench.ledger.write_text("".join(change(lines)))
    outcome = here.outcome
    assert not outcome.sound
    assert (outcome.duplicated, outcome.torn) == (duplicated, torn)
    assert outcome.lost == (problem == "has no row")
    assert any(problem in said for said in outcome.problems) or not problem


@pytest.mark.parametrize(
    ("change", "lost", "duplicated", "torn"),
    [
        (lambda lines: lines, 0, 0, 0),
        (_again, 0, 1, 0),
        (_half, 1, 0, 1),
        (lambda lines: lines[1:], 1, 0, 0),
        (lambda lines: [*lines, '{"call_id": "w9-9"}\n'], 0, 0, 0),
    ],
    ids=["sound", "doubled", "torn", "lost", "nobody's"],
)
def test_a_fault_among_writers_is_found(
    change: Change, lost: int, duplicated: int, torn: int, tmp_path: Path
) -> None:
    book = tmp_path / "ledger"
    lines = [json.dumps({"call_id": f"w0-{n}", "pad": "x" * 40}) + "\n" for n in range(3)]
    book.write_text("".join(change(lines)))
    outcome = Outcome(fault="writers")
    contention.hold(outcome, book, {"w0-0", "w0-1", "w0-2"})
    assert (outcome.lost, outcome.duplicated, outcome.torn) == (lost, duplicated, torn)
    assert outcome.sound == (change(lines) == lines)


def test_two_inside_the_lock_are_found() -> None:
    shared = contention.Shared(1)
    shared.enter()
    shared.leave()
    assert shared.met == 0
    living = os.getppid()
    shared[shared._inside] = living
    shared.enter()
    assert shared.met == 1
    shared[shared._inside] = living
    shared.leave()
    assert shared.met == 2


@pytest.mark.parametrize(
    ("change", "lost", "duplicated", "torn"),
    [
        (lambda lines: lines, 0, 0, 0),
        (_again, 0, 1, 0),
        (_half, 1, 0, 1),
        (lambda lines: lines[1:], 1, 0, 0),
        (_more, 0, 0, 0),
    ],
    ids=["sound", "doubled", "torn", "lost", "too much"],
)
def test_a_fault_of_a_recorder_is_found(
    change: Change,
    lost: int,
    duplicated: int,
    torn: int,
    tmp_path: Path,
) -> None:
    counts = {"completeness": "final", "output_tokens": 5, "success": True, "pad": "x" * 40}
    names = {"c-0", "d-0"}
    lines = [json.dumps({"call_id": name, **counts}) + "\n" for name in sorted(names)]
    (tmp_path / "provider_usage.jsonl").write_text("".join(change(lines)))
    outcome = Outcome(fault="recorder")
    recorder._reckon(outcome, tmp_path, recorder.Told(opened=names), "now")
    assert (outcome.lost, outcome.duplicated, outcome.torn) == (lost, duplicated, torn)
    assert outcome.sound == (change(lines) == lines)


def tried(*names: str, longest_s: float = 60) -> tuple[int, str]:
    """``make faults`` with planted outcomes: its status, and what it says."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.faults.planted", str(longest_s), *names],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return ran.returncode, ran.stdout


@pytest.mark.parametrize(
    ("name", "status", "says"),
    [
        ("sound", 0, ""),
        ("lost", 1, "| lost | 0 | 0 | 0 | 2 | 1 | 0 | 0 | 0 |"),
        ("doubled", 1, "| doubled | 0 | 0 | 0 | 2 | 2 | 1 | 0 | 0 |"),
        ("torn", 1, "| torn | 0 | 0 | 0 | 2 | 2 | 0 | 1 | 0 |"),
        ("wrong", 1, "- wrong: more than the bill's"),
        ("nothing", 1, "- nothing: nothing was tried"),
        ("failing", 1, "- the harness: TimeoutError: it did not come"),
    ],
)
def test_the_status_tells(name: str, status: int, says: str) -> None:
    found, said = tried("sound", name)
    assert found == status
    assert "| **all** |" in said
    assert says in said


def test_too_few_kills_are_a_fault() -> None:
    status, said = tried("weak")
    assert status == 1
    assert "only 1 kills" in said


@pytest.mark.parametrize(
    ("name", "says"), [("hanging", "a fault does not end"), ("dying", "died of it")]
)
def test_a_fault_that_never_tells_is_one_and_the_others_are_tried(name: str, says: str) -> None:
    status, said = tried(name, "sound", longest_s=1)
    assert status == 1
    assert says in said
    assert "| sound | 0 | 2,000 |" in said


def test_rows_that_always_know_too_little_are_found() -> None:
    answers = {f"c{number}": {"whole": True} for number in range(8)}
    rows = [{"client_request_id": call, "outcome": "lost"} for call in answers]
    assert reckoning._too_modest(rows, answers) == ["8 answers came whole, 0 rows say so"]
    for row in rows[:2]:
        row["outcome"] = "complete"
    assert reckoning._too_modest(rows, answers) == []
    assert reckoning._too_modest([], {}) == []
    few = dict(list(answers.items())[:7])
    assert reckoning._too_modest([], few) == []


def test_restarts_have_an_end_and_it_is_said() -> None:
    """Then calls are refused at once, the command goes on, and the next start settles."""
    with place("a proxy that dies too often") as here:
        run = here.run(patient=False)
        run.up()
        for _ in range(proxy_process.RESTARTS + 1):
            waiting = run.ask(fault="stall:3")
            wait_for(partial(here.upstream.sent, waiting, 3), "no answer")
            run.hit(run.proxy())
            run.done(waiting)
        wait_for(lambda: "has died" in run.said(), "nothing is said")
        refused = run.one()
        assert "ConnectionRefused" in refused["error"]
        here.ended(run)
        sentences = run.said().splitlines()
    died = proxy_process.RESTARTS + 1
    assert sum(f"the proxy has died {died} times" in sentence for sentence in sentences) == 1
    assert any("`tokenproxy ledger recover` completes it" in sentence for sentence in sentences)
    assert here.outcome.problems == []
    assert here.outcome.expected == here.outcome.found == died


def test_what_is_left_behind_is_found() -> None:
    with place("a lock that is left") as here:
        run = here.run()
        run.up()
        here.ended(run)
        here.settle()
        here.bench.ledger.with_name("provider_usage.jsonl.lock").touch()
        here.check()
    assert here.outcome.problems == ["left behind: provider_usage.jsonl.lock"]


def test_a_fault_of_the_harness_is_told() -> None:
    def fail() -> None:
        raise TimeoutError("it did not come")

    with place("a run that cannot be") as here:
        fail()
    assert here.outcome.problems == ["TimeoutError: it did not come"]


def test_the_table_sums_up() -> None:
    one = Outcome(fault="a", runs=1, kills=2, expected=1_000, found=999, back_ms=[2.0, 1.0])
    other = Outcome(fault="b", runs=1, torn=1)
    assert [total.runs for total in merged([one, other, one])] == [2, 1]
    printed = table([one, other])
    assert "| a | 1 | 2 | 0 | 1,000 | 999 | 0 | 0 | 0 |" in printed
    assert "| **all** | 2 | 2 | 0 | 1,000 | 999 | 0 | 1 | 0 |" in printed
    assert "2 ms (the longest)" in back([one])
    assert back([other]) == ""


def test_a_strict_parser(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.write_text('{"a": 1}\n   {"b": 2}\n{"c": .5}\n{"d": NaN}\n{"e": 1')
    rows, torn = read_strictly(path)
    assert (rows, torn) == ([{"a": 1}, {"b": 2}], 3)
    assert read_strictly(tmp_path / "missing") == ([], 0)
