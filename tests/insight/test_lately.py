from __future__ import annotations

import json
from typing import Any

import pytest

from tests.insight.rows import Row, failed, legacy, row
from tokenproxy.insight import lately as module
from tokenproxy.insight.lately import Call, Lately, Sums, moment_ms, read_call

DAY = moment_ms("2026-11-22T00:00:00Z") or 0
ROW = row(session_id="s")


def run_id(at: str) -> str:
    digits = f"{moment_ms(at):012x}"
    return f"{digits[:8]}-{digits[8:]}-7000-8000-000000000000"


def begin(*rows: Row, skipped: bool = False) -> Lately:
    return Lately.begin(DAY, [json.dumps(one).encode() for one in rows], skipped=skipped)


def call(**changes: Any) -> Call:
    found = read_call(json.dumps(ROW | changes).encode())
    assert found is not None
    return found


def test_sums_are_of_the_session_the_run_and_today() -> None:
    old = row("b", timestamp="2026-11-21T23:59:59.999Z", session_id="s", run_id="other")
    found = begin(ROW, old, failed("c"))
    assert found.today == Sums(2, 1, 0, 0, 17_060, 55, 0.0145)
    assert found.sessions["s"] == Sums(2, 0, 0, 0, 34_120, 110, 0.029)
    assert found.runs["other"].calls == 1
    assert found.last_run == ROW["run_id"]


def test_a_call_counts_once_in_its_fullest_form() -> None:
    part = row("c1", session_id="s", completeness="partial", outcome="lost", output_tokens=3)
    for rows in ((part, ROW, ROW), (ROW, part, ROW)):
        found = begin(*rows)
        assert found.sessions["s"] == Sums(1, 0, 0, 0, 17_060, 55, 0.0145)
    assert begin(legacy(), legacy()).today.calls == 2


def test_what_is_no_row_is_passed_over_and_what_is_odd_is_unknown() -> None:
    assert [read_call(line) for line in (b"", b"{torn", b"[1]", b"{}", b'{"else": 1}')] == [
        None
    ] * 5
    assert read_call(b'{"model": "m", "cost_usd": .5}') == Call(model="m", cost_usd=0.5)
    assert read_call(b'{"model": 7, "input_tokens": "x", "cost_usd": 2}') == Call(cost_usd=2.0)


def test_bounds_are_told() -> None:
    unpriced, partial = Sums(), Sums()
    assert (unpriced.count_sign, unpriced.sign, unpriced.cost_sign) == ("", "", "")
    unpriced.add(call(cost_usd=None))
    partial.add(call(completeness="partial"))
    assert [(one.count_sign, one.sign, one.cost_sign) for one in (unpriced, partial)] == [
        ("", "", "≥"),
        ("", "≥", "≥"),
    ]
    assert (Sums(doubles=True).count_sign, Sums(doubles=True).sign) == ("≤", "≤")
    assert Sums(doubles=True, lacks=True).cost_sign == "≈"


@pytest.mark.parametrize(
    ("first", "day_lacks"), [("2026-11-21T23:59:00Z", False), ("2026-11-22T00:01:00Z", True)]
)
def test_the_end_of_a_ledger_does_not_tell_all(first: str, day_lacks: bool) -> None:
    before, after = run_id("2026-11-21T23:00:00Z"), run_id("2026-11-22T00:30:00Z")
    found = begin(
        row("a", timestamp=first, session_id="s", run_id=before),
        row("b", run_id=after),
        skipped=True,
    )
    assert found.today.lacks is day_lacks
    assert found.sessions["s"].lacks
    assert found.runs[before].lacks
    assert not found.runs[after].lacks


def test_nothing_of_an_end_without_rows_is_known() -> None:
    found = begin(skipped=True)
    found.add([call(run_id=run_id("2026-11-23T00:00:00Z"))])
    assert found.today.lacks
    assert [sums.lacks for sums in found.runs.values()] == [True]


def test_a_new_day_begins_at_nothing() -> None:
    found = begin(ROW, skipped=True)
    found.turn_day(DAY + 86_400_000)
    assert found.today == Sums()
    assert found.sessions["s"].calls == 1
    found.turn_day(DAY)
    assert found.day_ms == DAY + 86_400_000


def test_what_was_forgotten_is_not_taken_for_new(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SESSIONS", "RUNS", "CALLS"):
        monkeypatch.setattr(module, name, 2)
    monkeypatch.setattr(module, "OLDER", 3)
    found = begin()
    ids = [run_id(f"2026-11-22T0{hour}:00:00Z") for hour in range(9)]
    for number, one in enumerate(ids):
        at = f"2026-11-22T0{number}:00:00Z"
        found.add([call(call_id=one, run_id=one, session_id=one, timestamp=at)])
    assert (len(found.sessions), len(found.runs), len(found.calls)) == (2, 2, 2)
    found.add([call(call_id=ids[6], run_id=ids[6])])  # known by its hash
    assert found.today == Sums(9, 0, 0, 0, 9 * 17_060, 9 * 55, 0.1305)
    found.add([call(call_id=ids[0], run_id=ids[0], session_id=ids[0])])
    assert found.today.doubles
    assert found.runs[ids[0]].lacks
    assert found.sessions[ids[0]].lacks
