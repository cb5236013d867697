"""What a soak takes for a fault."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from benchmarks.soak.__main__ import Row, _is_wrong
from benchmarks.soak.plan import CHUNKS, DUE, FAULTS, Call, Fault
from benchmarks.soak.report import Count, Look, Soak, faults_of, table

LOOKS = [
    Look(done=done / 10, rss_mb=70.0, descriptors=20 if done in (0, 10) else 117, threads=5)
    for done in range(11)
]
GOOD = Soak(
    hours=1.0, calls=10, seconds=2.0, looks=LOOKS, journals_left=[],
    counts=[Count(fault="cut", calls=10, rows=10, lost=0, doubled=0, wrong=0)],
)  # fmt: skip


def test_a_good_one_has_none() -> None:
    assert faults_of(GOOD) == []
    assert "| cut | 10 | 10 | 0 | 0 | 0 |" in table(GOOD)


@pytest.mark.parametrize("name", ["lost", "doubled", "wrong"])
def test_a_row_too_few_too_many_or_wrong(name: str) -> None:
    count = msgspec.structs.replace(GOOD.counts[0], **{name: 1})
    assert faults_of(msgspec.structs.replace(GOOD, counts=[count]))


@pytest.mark.parametrize("change", [{"rss_mb": 80.0}, {"descriptors": 40}])
def test_what_grows(change: dict[str, float]) -> None:
    later = [msgspec.structs.replace(look, **change) if look.done > 0.7 else look for look in LOOKS]
    assert faults_of(msgspec.structs.replace(GOOD, looks=later))


def test_journals_that_are_left() -> None:
    assert faults_of(msgspec.structs.replace(GOOD, journals_left=["journal-0.jsonl"]))


def test_each_kind_of_call_can_be_told() -> None:
    assert set(FAULTS) == set(DUE)
    assert all(1 <= Call(number).chunks <= CHUNKS for number in range(2000))


def call_of(fault: Fault) -> Call:
    return next(call for call in map(Call, range(100)) if call.fault == fault)


@pytest.mark.parametrize(
    ("fault", "outcome", "completeness", "more"),
    [
        ("none", "complete", "final", 0),
        ("leaves late", "complete", "final", 0),
        ("leaves", "aborted", "partial", None),
        ("cut", "truncated", "partial", None),
    ],
)
def test_a_row_must_say_what_is_due(
    fault: Fault, outcome: str, completeness: str, more: int | None
) -> None:
    call = call_of(fault)
    count = 1 if more is None else call.output_tokens
    right = Row(session_id="", outcome=outcome, completeness=completeness, output_tokens=count)
    assert not _is_wrong(call, right)
    for change in (
        {"outcome": "lost"},
        {"completeness": "none"},
        {"output_tokens": count + 1},
        {"output_tokens": count - 1},
        {"output_tokens": None},
    ):
        assert _is_wrong(call, msgspec.structs.replace(right, **change))


@pytest.mark.timeout(240)
def test_a_few_minutes_of_it() -> None:
    """All of it for real, an hour's fiftieth."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.soak", "--hours", "0.02"],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
