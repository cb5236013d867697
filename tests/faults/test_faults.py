"""Every fault of ``make faults``, at some of its steps; and that the reckoning can find one."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.faults import plan
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
