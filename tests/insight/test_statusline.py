from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.insight.rows import legacy, row, write
from tokenproxy.insight import statusline as module
from tokenproxy.insight.statusline import Asked, look, read_asked

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def line(ledger: Path, session: str | None = None, now: datetime = NOW) -> str:
    return look(ledger, ledger.parent, Asked(session), now, UTC).line()


def append(path: Path, *rows: object) -> None:
    with path.open("ab") as file:
        file.writelines(json.dumps(one).encode() + b"\n" for one in rows)


def test_the_line_grows_with_the_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "l.jsonl", [row("a", session_id="s")])
    assert line(path, "s") == "17.1k in 55 out $0.0145 · today 17.1k in 55 out $0.0145"
    append(path, row("b", session_id="t"), row("a", session_id="s"))
    # What was read is not read again.
    monkeypatch.setattr(module, "FIRST_BYTES", path.stat().st_size - 1)
    assert line(path, "s") == "17.1k in 55 out $0.0145 · today 34.1k in 110 out $0.0290"
    assert line(path, "s").startswith("17.1k in")
    assert line(path, "new") == "0 in 0 out $0.00 · today 34.1k in 110 out $0.0290"
    assert line(path).startswith("run 34.1k in")


def test_without_a_ledger_nothing_was_used(tmp_path: Path) -> None:
    assert line(tmp_path / "none.jsonl") == "today 0 in 0 out $0.00"


def test_of_a_large_ledger_bounds_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_BYTES", 2000)
    path = write(tmp_path / "l.jsonl", [row(str(number), session_id="s") for number in range(50)])
    assert line(path, "s").startswith("≥51.2k in ≥165 out ≥$0.0435 · today ≥")
    assert line(path, "unseen").startswith("today ≥51.2k")


def test_a_new_ledger_or_day_or_zone_begins_anew(tmp_path: Path) -> None:
    path = write(tmp_path / "l.jsonl", [row("a")])
    assert line(path).endswith("today 17.1k in 55 out $0.0145")
    assert line(path, now=datetime(2026, 11, 23, tzinfo=UTC)).endswith("today 0 in 0 out $0.00")
    samoa = ZoneInfo("Pacific/Pago_Pago")
    assert look(path, tmp_path, Asked(), NOW, samoa).today.calls == 0
    write(path, [legacy(), legacy()])
    assert line(path) == "today 34.1k in 110 out $0.0290"


@pytest.mark.parametrize("damage", [b"", b"\x00", b"\x93\x02\x93\x01\x01\x00"])
def test_damaged_sums_are_made_again(tmp_path: Path, damage: bytes) -> None:
    path = write(tmp_path / "l.jsonl", [row("a")])
    before = line(path)
    (kept,) = (tmp_path / "statusline").iterdir()
    kept.write_bytes(damage)
    assert line(path) == before
    assert kept.stat().st_mode & 0o777 == 0o600
    assert list((tmp_path / "statusline").iterdir()) == [kept]


def test_sums_that_cannot_be_kept_are_still_said(tmp_path: Path) -> None:
    path = write(tmp_path / "l.jsonl", [row("a")])
    (tmp_path / "statusline").write_bytes(b"a file")
    assert line(path).startswith("run 17.1k in")


def test_what_claude_code_tells() -> None:
    told = {"session_id": "s", "model": {"id": "m", "display_name": "Opus"}, "cost": {}}
    assert read_asked(json.dumps(told).encode()) == Asked("s", "Opus")
    assert read_asked(b'{"model": {"id": "m"}}') == Asked(None, "m")
    for odd in (b"", b"{", b"[]", b'{"session_id": 1, "model": []}', b"\xff"):
        assert read_asked(odd) == Asked()


def test_json(tmp_path: Path) -> None:
    path = write(tmp_path / "l.jsonl", [row("a", session_id="s", completeness="partial")])
    made = look(path, tmp_path, Asked("s", "Opus"), NOW, UTC).as_json()
    assert made["schema"] == "tokenproxy.statusline/1"
    assert (made["model"], made["run"]) == ("Opus", None)
    assert made["session"] == {
        "calls": 1, "failed": 0, "incomplete": 1, "unpriced": 0, "input_tokens": 17_060,
        "output_tokens": 55, "cost_usd": 0.0145, "bound": "≥",
    }  # fmt: skip
